package simulation

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1" // Redis names scripts so
	"encoding/hex"
	"errors"
	"io"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/alicebob/miniredis/v2"
)

// memoryRedis is a Redis in memory that learns the scripts' names as they come.
type memoryRedis struct {
	*miniredis.Miniredis

	mu      sync.Mutex
	scripts map[string]string // by hash
}

func newMemoryRedis() *memoryRedis {
	return &memoryRedis{miniredis.NewMiniRedis(), sync.Mutex{}, map[string]string{}}
}

// header is the first line of each of the store's scripts, and of the prelude before it.
var header = regexp.MustCompile(`(?m)^-- ([a-z]+)\.lua `)

// script names the script that a command runs, by its text or its hash; "" for a hash that Redis does not know either.
func (m *memoryRedis) script(verb, given string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if verb == "EVALSHA" {
		return m.scripts[given]
	}
	names := header.FindAllStringSubmatch(given, -1)
	if len(names) == 0 {
		return "?"
	}
	sum := sha1.Sum([]byte(given))
	name := names[len(names)-1][1]
	m.scripts[hex.EncodeToString(sum[:])] = name
	return name
}

// quietScripts write nothing, or only that time has passed.
func quietScripts() []string { return []string{"held", "sweep", "watch"} }

// writing are the plain commands that SAM writes with. EXPIRE is not among them: nothing depends on it.
func writing() []string {
	return []string{"XADD", "XACK", "XDEL", "HSET", "HDEL", "SET", "DEL", "SADD", "SREM", "ZADD", "ZREM", "XTRIM", "EXEC"}
}

// effect names what a command does to Redis, "" for what only reads.
func (m *memoryRedis) effect(args []string) string {
	verb := strings.ToUpper(args[0])
	switch {
	case (verb == "EVALSHA" || verb == "EVAL") && len(args) > 1:
		name := m.script(verb, args[1])
		if name == "" || slices.Contains(quietScripts(), name) {
			return ""
		}
		return name + ".lua"
	case slices.Contains(writing(), verb):
		if len(args) > 1 && strings.Contains(args[1], ":wake:") {
			return "" // a process's word to itself
		}
		return strings.TrimSpace(verb + " " + keyKind(args[1:]))
	default:
		return ""
	}
}

// keyKind is a key without the name of its record.
func keyKind(args []string) string {
	if len(args) == 0 {
		return ""
	}
	parts := strings.SplitN(args[0], ":", 3)
	return strings.Join(parts[:min(2, len(parts))], ":")
}

// assigns reports whether a command hands out entries of a stream to be worked on: that they were handed out is an effect.
func assigns(verb string) bool {
	return slices.Contains([]string{"XREADGROUP", "XAUTOCLAIM"}, strings.ToUpper(verb))
}

// dialer is a replica's way to Redis.
func (m *memoryRedis) dialer(o *outside) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		inner, err := m.Dial()
		if err != nil {
			return nil, err
		}
		ours, theirs := pipe()
		theirs.closing = func() { _ = inner.Close() } // what blocks in Redis ends with its connection
		ours.closing = theirs.closing
		go func() { //nolint:contextcheck // a connection outlives whoever dialled it
			defer func() { _ = theirs.Close() }()
			m.serve(o, theirs, inner)
		}()
		return ours, nil
	}
}

// serve passes a connection's commands on one by one. A dead replica is told so in place of each reply: its client would
// dial again and again if the connection were cut.
func (m *memoryRedis) serve(o *outside, client, server io.ReadWriter) {
	commands, replies := bufio.NewReader(client), bufio.NewReader(server)
	ctx := context.Background()
	collecting := false // between MULTI and EXEC nothing takes effect
	for {
		frame, err := readFrame(commands)
		if err != nil {
			return
		}
		args := firstWords(frame)
		verb := strings.ToUpper(args[0])
		name := m.effect(args)
		if verb == "MULTI" || verb == "EXEC" || verb == "DISCARD" {
			collecting = verb == "MULTI"
		} else if collecting {
			name = ""
		}
		var reply []byte
		err = o.do(ctx, name, func() (err error) {
			if _, err = server.Write(frame); err == nil {
				reply, err = readFrame(replies)
			} else {
				err = m.late(frame)
			}
			return err
		})
		if err == nil && assigns(verb) && !isNothing(reply) {
			err = o.do(ctx, verb, func() error { return nil })
		}
		switch {
		case errors.Is(err, errDead):
			reply = []byte("-ERR " + errDead.Error() + "\r\n")
		case err != nil:
			return
		}
		if _, err := client.Write(reply); err != nil {
			return
		}
	}
}

// late has a command that was held up take effect after its client has given up and closed the connection.
func (m *memoryRedis) late(frame []byte) error {
	c, err := m.Dial()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Write(frame); err != nil {
		return err
	}
	_, err = readFrame(bufio.NewReader(c))
	return err
}

// isNothing reports whether a stream's reply holds no entry.
func isNothing(reply []byte) bool {
	return bytes.HasPrefix(reply, []byte("_")) || bytes.HasPrefix(reply, []byte("*-1")) || bytes.HasPrefix(reply, []byte("-")) ||
		bytes.HasPrefix(reply, []byte("*3\r\n$3\r\n0-0\r\n*0")) // XAUTOCLAIM's
}

// firstWords are a command's first words, without those that are long.
func firstWords(frame []byte) []string {
	r := bufio.NewReader(bytes.NewReader(frame))
	line, _ := r.ReadString('\n')
	n, _ := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "*")))
	var words []string
	for range min(n, 3) {
		word, err := readFrame(r)
		if err != nil {
			break
		}
		_, text, _ := bytes.Cut(word, []byte("\r\n"))
		words = append(words, strings.TrimSuffix(string(text), "\r\n"))
	}
	return append(words, "")[:max(1, len(words))]
}

// readFrame reads one whole value of Redis's protocol and returns its bytes as they came.
func readFrame(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(line[1:]))) // of what has a length
	switch line[0] {
	case '$', '=', '!':
		if n < 0 {
			return line, nil
		}
		body := make([]byte, n+2)
		if _, err := io.ReadFull(r, body); err != nil {
			return nil, err
		}
		return append(line, body...), nil
	case '*', '~', '>', '%':
		if line[0] == '%' {
			n *= 2 // keys and values
		}
		for range n {
			part, err := readFrame(r)
			if err != nil {
				return nil, err
			}
			line = append(line, part...)
		}
	}
	return line, nil
}
