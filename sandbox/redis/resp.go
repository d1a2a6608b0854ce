package redis

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// readFrame reads one whole value of Redis's protocol, version 2 or 3, and returns its bytes as they came.
func readFrame(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	if len(line) < 3 {
		return nil, fmt.Errorf("%q does not begin a value of Redis's protocol", line)
	}
	size := func() (int, error) { return strconv.Atoi(strings.TrimRight(string(line[1:]), "\r\n")) }
	switch line[0] {
	case '+', '-', ':', '_', '#', ',', '(':
		return line, nil
	case '$', '!', '=':
		n, err := size()
		if err != nil || n < 0 {
			return line, err
		}
		body := make([]byte, n+2)
		if _, err := io.ReadFull(r, body); err != nil {
			return nil, err
		}
		return append(line, body...), nil
	case '*', '~', '>', '%', '|':
		n, err := size()
		if err != nil {
			return nil, err
		}
		if line[0] == '%' || line[0] == '|' {
			n *= 2 // keys and values
		}
		if line[0] == '|' {
			n++ // attributes come before the value that they describe
		}
		for range n {
			part, err := readFrame(r)
			if err != nil {
				return nil, err
			}
			line = append(line, part...)
		}
		return line, nil
	default:
		return nil, fmt.Errorf("%q does not begin a value of Redis's protocol", line)
	}
}

// parse turns a value's bytes into a string (of a string, a number, a status or an error), a list of values, or nil.
func parse(r *bufio.Reader) (any, error) {
	line, err := r.ReadString('\n')
	if err != nil || len(line) < 3 {
		return nil, err
	}
	text := strings.TrimRight(line[1:], "\r\n")
	switch line[0] {
	case '$', '!', '=':
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, err
		}
		body := make([]byte, n+2)
		if _, err := io.ReadFull(r, body); err != nil {
			return nil, err
		}
		return string(body[:n]), nil
	case '*', '~', '>', '%':
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, err
		}
		if line[0] == '%' {
			n *= 2 // keys and values
		}
		list := make([]any, n)
		for i := range list {
			if list[i], err = parse(r); err != nil {
				return nil, err
			}
		}
		return list, nil
	case '_':
		return nil, nil
	default:
		return text, nil
	}
}

// Words are the strings of a value of Do's, those in lists within it too, in order.
func Words(value any) []string {
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, one := range v {
			all = append(all, Words(one)...)
		}
		return all
	default:
		return nil
	}
}

// words are the strings of a frame.
func words(frame []byte) []string {
	value, err := parse(bufio.NewReader(bytes.NewReader(frame)))
	if err != nil {
		return nil
	}
	return Words(value)
}

// askWithin bounds one question to a server.
const askWithin = 5 * time.Second

// Do sends one command on a connection of its own and returns the reply: a string (of a string, a number or a status), a
// list of such values, or nil. Redis's own error is an error. It waits 5 s at most.
func (s *Server) Do(ctx context.Context, command ...string) (any, error) {
	return do(ctx, s.Address, command...)
}

// ask is Do of the server at an address, as words.
func ask(ctx context.Context, address string, command ...string) ([]string, error) {
	value, err := do(ctx, address, command...)
	return Words(value), err
}

func do(ctx context.Context, address string, command ...string) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network(address), address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(command))
	for _, w := range command {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	if _, err := io.WriteString(conn, b.String()); err != nil {
		return nil, fmt.Errorf("%s at %s: %w", command[0], address, err)
	}
	frame, err := readFrame(bufio.NewReader(conn))
	if err != nil {
		return nil, fmt.Errorf("%s at %s: %w", command[0], address, err)
	}
	if frame[0] == '-' {
		return nil, fmt.Errorf("%s at %s: %w", strings.Join(command, " "), address, errors.New(strings.TrimSpace(string(frame[1:]))))
	}
	return parse(bufio.NewReader(bytes.NewReader(frame)))
}

func network(address string) string {
	if strings.HasPrefix(address, "/") {
		return "unix"
	}
	return "tcp"
}

// await asks every few milliseconds whether something is so, until it is or ctx ends. The last reason why not is in the
// error.
func await(ctx context.Context, what string, is func() error) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		why := is()
		if why == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w (%w)", what, ctx.Err(), why)
		case <-tick.C:
		}
	}
}
