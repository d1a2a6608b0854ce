package shim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sam/sandbox/redis"
)

// asked is a shim that runs as the first process of a namespace of its own, and a client of it.
type asked struct {
	t      *testing.T
	client *http.Client
	listen string
	node   string // path of the socket that it dials
}

// newShim starts one, or skips loudly where no namespace may be made.
func newShim(t *testing.T) *asked {
	t.Helper()
	dir, err := os.MkdirTemp("", "shim-") //nolint:usetesting // the name of a socket in it holds 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	port, err := redis.FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a := &asked{t: t, listen: fmt.Sprintf("127.0.0.1:%d", port), node: filepath.Join(dir, NodeSocket)}
	c := exec.Command(os.Args[0], "shim", "-folder", dir, "-node", a.node, "-listen", a.listen)
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	c.Env = append(os.Environ(), "FROM=container")
	var words bytes.Buffer
	c.Stderr = &words
	if err := c.Start(); err != nil {
		t.Skipf("SKIPPED, NOT TESTED: a process may not have a namespace of its own here: %v", err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	socket := filepath.Join(dir, Socket)
	a.client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	t.Cleanup(a.client.CloseIdleConnections)
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if response, err := a.client.Get("http://shim/v1/health"); err == nil {
			_ = response.Body.Close()
			return a
		}
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("it does not answer: %s", words.String())
		}
	}
}

// ask returns the status and the answer.
func (a *asked) ask(method, path string, body any) (int, string) {
	a.t.Helper()
	var content []byte
	switch b := body.(type) {
	case nil:
	case string:
		content = []byte(b)
	default:
		var err error
		if content, err = json.Marshal(b); err != nil {
			a.t.Fatal(err)
		}
	}
	request, err := http.NewRequestWithContext(a.t.Context(), method, "http://shim"+path, bytes.NewReader(content))
	if err != nil {
		a.t.Fatal(err)
	}
	response, err := a.client.Do(request)
	if err != nil {
		a.t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return response.StatusCode, string(data)
}

func (a *asked) start(key string, input bool, args ...string) Started {
	a.t.Helper()
	status, words := a.ask(http.MethodPut, "/v1/programs/"+key, Program{Args: args, Dir: "/", Input: input, Env: []string{"MORE=program"}})
	var started Started
	if status != http.StatusOK || json.Unmarshal([]byte(words), &started) != nil {
		a.t.Fatalf("%d %s", status, words)
	}
	return started
}

// output is what a program printed from byte on, its streams marked, and how it ended.
func (a *asked) output(key string, from int) (string, Exit) {
	a.t.Helper()
	status, data := a.ask(http.MethodGet, "/v1/programs/"+key+"/output?from="+strconv.Itoa(from), nil)
	if status != http.StatusOK {
		a.t.Fatalf("%d %s", status, data)
	}
	var printed strings.Builder
	var exit Exit
	for len(data) > 0 {
		length := int(data[1])<<24 | int(data[2])<<16 | int(data[3])<<8 | int(data[4])
		content := data[FrameHead : FrameHead+length]
		switch Kind(data[0]) {
		case Ended:
			if err := json.Unmarshal([]byte(content), &exit); err != nil {
				a.t.Fatal(err)
			}
		default:
			fmt.Fprintf(&printed, "%d:%s", data[0], content)
		}
		data = data[FrameHead+length:]
	}
	return printed.String(), exit
}

// ready waits until a program has printed something.
func (a *asked) ready(key string) {
	a.t.Helper()
	request, err := http.NewRequestWithContext(a.t.Context(), http.MethodGet, "http://shim/v1/programs/"+key+"/output?from=0", nil)
	if err != nil {
		a.t.Fatal(err)
	}
	response, err := a.client.Do(request)
	if err != nil {
		a.t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := response.Body.Read(make([]byte, 1)); err != nil {
		a.t.Fatal(err)
	}
}

func TestAProgramIsStartedOnceForEachKeyAndItsOutputIsKept(t *testing.T) {
	t.Parallel()
	a := newShim(t)
	first := a.start("agent", false, "sh", "-c", `echo "$FROM $MORE"; exit 3`)
	for range 2 {
		if printed, exit := a.output("agent", 0); printed != "1:container program\n" || exit != (Exit{Code: 3}) {
			t.Errorf("it printed %q and ended with %+v", printed, exit)
		}
		if again := a.start("agent", false, "sh", "-c", "echo other"); !again.Again || again.PID != first.PID {
			t.Errorf("asked again it answered %+v", again)
		}
	}
	if printed, _ := a.output("agent", FrameHead+len("container program\n")); printed != "" {
		t.Errorf("from its end on there is %q", printed)
	}
	if status, _ := a.ask(http.MethodDelete, "/v1/programs/agent", nil); status != http.StatusNoContent {
		t.Errorf("it is not forgotten: %d", status)
	}
	if status, _ := a.ask(http.MethodGet, "/v1/programs/agent/output?from=0", nil); status != http.StatusNotFound {
		t.Errorf("what is forgotten answers %d", status)
	}
}

func TestInputThatAProgramHasIsPassedOver(t *testing.T) {
	t.Parallel()
	a := newShim(t)
	a.start("cat", true, "cat")
	for _, row := range []struct {
		query, body string
		status      int
		want        Taken
	}{
		{"at=0", "hello ", 200, Taken{Bytes: 6}},
		{"at=0", "hello wor", 200, Taken{Bytes: 9}},
		{"at=3", "lo", 200, Taken{Bytes: 9}},
		{"at=99", "x", 409, Taken{}},
		{"at=9&end=1", "ld", 200, Taken{Bytes: 11, Closed: true}},
		{"at=11", "late", 200, Taken{Bytes: 11, Closed: true}},
	} {
		status, words := a.ask(http.MethodPut, "/v1/programs/cat/input?"+row.query, row.body)
		var taken Taken
		if status == 200 {
			if err := json.Unmarshal([]byte(words), &taken); err != nil {
				t.Fatal(err)
			}
		}
		if status != row.status || taken != row.want {
			t.Errorf("%s: %d %s", row.query, status, words)
		}
	}
	printed, exit := a.output("cat", 0)
	if got := strings.ReplaceAll(printed, "1:", ""); got != "hello world" || exit != (Exit{}) {
		t.Errorf("it printed %q and ended with %+v", got, exit)
	}
}

func TestWhatCannotBeDoneIsRefused(t *testing.T) {
	t.Parallel()
	a := newShim(t)
	for _, row := range []struct {
		method, path string
		body         any
		status       int
		words        string
	}{
		{"PUT", "/v1/programs/x", "{", 400, "not a program"},
		{"PUT", "/v1/programs/x", Program{}, 422, "no program named"},
		{"PUT", "/v1/programs/x", Program{Args: []string{"no-such-program"}}, 422, "not in the PATH"},
		{"PUT", "/v1/programs/x", Program{Args: []string{"/no/such"}}, 422, "not in the workspace"},
		{"PUT", "/v1/programs/x", Program{Args: []string{"/etc/passwd"}}, 422, "not a program"},
		{"GET", "/v1/programs/x/output?from=0", nil, 404, "no such program"},
		{"POST", "/v1/programs/x/signal?number=9", nil, 404, "no such program"},
		{"POST", "/v1/stop?grace=long", nil, 400, "a duration"},
	} {
		if status, words := a.ask(row.method, row.path, row.body); status != row.status || !strings.Contains(words, row.words) {
			t.Errorf("%s %s: %d %s", row.method, row.path, status, words)
		}
	}
}

func TestStopEndsDaemonsAndWhatIgnoresSIGTERM(t *testing.T) {
	t.Parallel()
	a := newShim(t)
	a.start("agent", false, "sh", "-c", `trap '' TERM; (setsid sh -c 'trap "" TERM; while :; do sleep 0.01; done' &); echo ready; while :; do sleep 0.01; done`)
	a.ready("agent")
	if status, words := a.ask(http.MethodPost, "/v1/stop?grace=100ms", nil); status != http.StatusNoContent {
		t.Fatalf("%d %s", status, words)
	}
	if _, exit := a.output("agent", 0); exit.Signal != int(syscall.SIGKILL) {
		t.Errorf("it ended with %+v", exit)
	}
	// Whatever is left would still be there to be signalled: a second stop has nothing to wait for.
	began := time.Now()
	if status, _ := a.ask(http.MethodPost, "/v1/stop?grace=30s", nil); status != http.StatusNoContent || time.Since(began) > 20*time.Second {
		t.Errorf("something was left: %d after %s", status, time.Since(began))
	}
}

func TestASignalReachesTheGroupAndNoSignalFromInsideEndsTheShim(t *testing.T) {
	t.Parallel()
	a := newShim(t)
	a.start("waits", false, "sh", "-c", `for s in TERM INT HUP QUIT USR1; do kill -$s 1; done; echo ready; exec sleep 1000`)
	a.ready("waits")
	if status, _ := a.ask(http.MethodPost, "/v1/programs/waits/signal?number=15", nil); status != http.StatusNoContent {
		t.Errorf("it answers %d", status)
	}
	if _, exit := a.output("waits", 0); exit.Signal != int(syscall.SIGTERM) {
		t.Errorf("it ended with %+v", exit)
	}
}

func TestAConnectionWaitsForANodeThatRestarts(t *testing.T) {
	t.Parallel()
	a := newShim(t)
	conn, err := net.Dial("tcp", a.listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", a.node) // only now
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	served, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	var echo sync.WaitGroup
	echo.Go(func() { _, _ = io.Copy(served, served); _ = served.Close() })
	defer echo.Wait()
	half, ok := conn.(*net.TCPConn)
	if !ok {
		t.Fatalf("dialled is a %T", conn)
	}
	if err := half.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); err != nil || string(got) != "hello\n" {
		t.Errorf("%q came back, %v", got, err)
	}
}
