package agent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sam/agent/shim"
)

// shimClient asks the shim of one workspace.
type shimClient struct{ http *http.Client }

func newShimClient(f runFolder) *shimClient {
	return &shimClient{&http.Client{Transport: &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return f.dial(ctx) },
		DisableCompression: true, MaxIdleConnsPerHost: 2,
	}}}
}

func (s *shimClient) close() { s.http.CloseIdleConnections() }

// shimRefusedError is an answer of the shim's that is no success.
type shimRefusedError struct {
	status int
	words  string
}

func (r *shimRefusedError) Error() string { return r.words }

// ask sends a request; answer, when it is not nil, is decoded from what comes back. A *shimRefusedError means that the shim is
// there and would not, any other error that it could not be asked.
func (s *shimClient) ask(ctx context.Context, method, path string, body []byte, answer any) error {
	response, err := s.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("hear from the shim: %w", err)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return fmt.Errorf("hear from the shim: %w", err)
	}
	return nil
}

// send returns an answer that is a success, with its body open.
func (s *shimClient) send(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://shim"+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask the shim: %w", err)
	}
	response, err := s.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask the shim: %w", err)
	}
	if response.StatusCode < http.StatusBadRequest {
		return response, nil
	}
	defer response.Body.Close()
	words, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if err != nil {
		return nil, fmt.Errorf("hear from the shim: %w", err)
	}
	return nil, &shimRefusedError{response.StatusCode, strings.TrimSpace(string(words))}
}

// ready waits until the shim answers, ctx ends, or check says that it never will. It is asked now and then.
func (s *shimClient) ready(ctx context.Context, check func() error) error {
	for tries := 1; ; tries++ {
		err := s.ask(ctx, http.MethodGet, "/v1/health", nil, nil)
		if err == nil {
			return nil
		}
		if tries%100 == 0 {
			if err := check(); err != nil {
				return err
			}
		}
		if after(ctx, 3*time.Millisecond) != nil {
			return fmt.Errorf("wait for the shim: %w", errors.Join(context.Cause(ctx), err))
		}
	}
}

func (s *shimClient) start(ctx context.Context, key string, p shim.Program) (shim.Started, error) {
	var started shim.Started
	body, err := json.Marshal(p)
	if err != nil {
		return started, fmt.Errorf("ask the shim: %w", err)
	}
	return started, s.ask(ctx, http.MethodPut, "/v1/programs/"+key, body, &started)
}

func (s *shimClient) signal(ctx context.Context, key string, number syscall.Signal) error {
	return s.ask(ctx, http.MethodPost, "/v1/programs/"+key+"/signal?number="+strconv.Itoa(int(number)), nil, nil)
}

func (s *shimClient) forget(ctx context.Context, key string) error {
	return s.ask(ctx, http.MethodDelete, "/v1/programs/"+key, nil, nil)
}

// stopAll ends everything in the workspace.
func (s *shimClient) stopAll(ctx context.Context, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, grace+5*time.Second)
	defer cancel()
	return s.ask(ctx, http.MethodPost, "/v1/stop?grace="+grace.String(), nil, nil)
}

// feed gives a program its input until that ends, the program takes no more, or ctx ends.
func (s *shimClient) feed(ctx context.Context, key string, input io.Reader) error {
	buffer := make([]byte, 64<<10)
	for at := int64(0); ; {
		n, end := readSome(input, buffer)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		path := "/v1/programs/" + key + "/input?at=" + strconv.FormatInt(at, 10)
		if end {
			path += "&end=1"
		}
		var taken shim.Taken
		if n > 0 || end {
			if err := s.ask(ctx, http.MethodPut, path, buffer[:n], &taken); err != nil {
				return err
			}
		}
		if end || taken.Closed {
			return nil
		}
		at += int64(n)
	}
}

// readSome reads what is there. In whatever way an input ends, the program is told that no more will come.
func readSome(input io.Reader, buffer []byte) (n int, end bool) {
	n, err := input.Read(buffer)
	return n, err != nil
}

// follow reads what a program prints from an offset on, into the command's writers, until it has ended. next is where to
// go on should the stream break, which is an error.
func (s *shimClient) follow(ctx context.Context, key string, from int64, cmd Command) (exit shim.Exit, next int64, err error) {
	response, err := s.send(ctx, http.MethodGet, "/v1/programs/"+key+"/output?from="+strconv.FormatInt(from, 10), nil)
	if err != nil {
		return exit, from, err
	}
	defer response.Body.Close()
	reader := bufio.NewReaderSize(response.Body, shim.FrameHead+shim.MaxFrame)
	content := make([]byte, shim.MaxFrame)
	for {
		var head [shim.FrameHead]byte
		if _, err := io.ReadFull(reader, head[:]); err != nil {
			return exit, from, fmt.Errorf("hear from the shim: %w", err)
		}
		length := binary.BigEndian.Uint32(head[1:])
		if length > shim.MaxFrame {
			return exit, from, &shimRefusedError{0, fmt.Sprintf("the shim sent a frame of %d bytes", length)}
		}
		if _, err := io.ReadFull(reader, content[:length]); err != nil {
			return exit, from, fmt.Errorf("hear from the shim: %w", err)
		}
		from += shim.FrameHead + int64(length)
		var to io.Writer
		switch shim.Kind(head[0]) {
		case shim.Stdout:
			to = cmd.Stdout
		case shim.Stderr:
			to = cmd.Stderr
		case shim.Cut:
			if err := cut(content[:length], cmd); err != nil {
				return exit, from, err
			}
		case shim.Ended:
			if err := json.Unmarshal(content[:length], &exit); err != nil {
				return exit, from, &shimRefusedError{0, "the shim did not say how the program ended"}
			}
			return exit, from, nil
		}
		if to != nil {
			if _, err := to.Write(content[:length]); err != nil {
				return exit, from, &shimRefusedError{0, "what the program printed is not taken: " + err.Error()}
			}
		}
	}
}

// cut tells of output that the shim has left out: to whoever wants to know, and in its place in the stream.
func cut(content []byte, cmd Command) error {
	var left shim.Left
	if err := json.Unmarshal(content, &left); err != nil {
		return &shimRefusedError{0, "the shim did not say how much it left out"}
	}
	if cmd.Cut != nil {
		cmd.Cut(left.Bytes)
	}
	to := cmd.Stdout
	if left.Kind == shim.Stderr {
		to = cmd.Stderr
	}
	if to == nil {
		return nil
	}
	mark := cutMark(left.Bytes) + "\n"
	if left.Midline {
		mark = "\n" + mark
	}
	if _, err := io.WriteString(to, mark); err != nil {
		return &shimRefusedError{0, "what the program printed is not taken: " + err.Error()}
	}
	return nil
}
