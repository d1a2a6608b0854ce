package egress

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"
)

// maxHello bounds what is read for a TLS ClientHello, bytes: crypto/tls takes 64 KiB of handshake in records.
const maxHello = 128 << 10

// errSilent: the client left, or was not heard in time.
var errSilent = errors.New("the client did not say whom it means")

// errSeen ends a handshake of which no more than its first message is wanted.
var errSeen = errors.New("seen")

// serverName reads a TLS ClientHello and returns the host that it names, and every byte that was read.
func serverName(ctx context.Context, from io.Reader) (name string, read []byte, err error) {
	var seen bytes.Buffer
	conn := &listening{from: io.TeeReader(io.LimitReader(from, maxHello), &seen)}
	named := false
	err = tls.Server(conn, &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		name, named = hello.ServerName, true
		return nil, errSeen
	}}).HandshakeContext(ctx)
	switch {
	case named && name != "":
		return name, seen.Bytes(), nil
	case named:
		return "", seen.Bytes(), errors.New("it names no host")
	case broken(err):
		return "", seen.Bytes(), errSilent
	}
	return "", seen.Bytes(), err
}

// broken reports whether a handshake ended because no more came.
func broken(err error) bool {
	var read *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &read) && read.Op == "read"
}

// listening is a connection on which nothing is said.
type listening struct{ from io.Reader }

func (l *listening) Read(b []byte) (int, error)     { return l.from.Read(b) }
func (*listening) Write(b []byte) (int, error)      { return len(b), nil }
func (*listening) Close() error                     { return nil }
func (*listening) LocalAddr() net.Addr              { return nil }
func (*listening) RemoteAddr() net.Addr             { return nil }
func (*listening) SetDeadline(time.Time) error      { return nil }
func (*listening) SetReadDeadline(time.Time) error  { return nil }
func (*listening) SetWriteDeadline(time.Time) error { return nil }
