package hostile

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
)

// doubt stands between the node and its gateway, and marks what the node is told to start as a head that nobody vouches for,
// while it is on: no head is such a one yet, for a pull request from a fork is refused before. All else passes as it is.
type doubt struct {
	on     atomic.Bool
	marked atomic.Int64 // starts
}

// serve returns a door to a gateway.
func (d *doubt) serve(gateway string) http.Handler {
	to := &url.URL{Scheme: "http", Host: gateway}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(to) },
		FlushInterval: -1,
		Transport:     &http.Transport{DisableCompression: true},
	}
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err error) {
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
	proxy.ModifyResponse = func(r *http.Response) error {
		conn, both := r.Body.(io.ReadWriteCloser)
		if r.StatusCode == http.StatusSwitchingProtocols && both {
			r.Body = &doubted{ReadWriteCloser: conn, from: bufio.NewReader(conn), doubt: d}
		}
		return nil
	}
	return proxy
}

// change marks a frame that starts a task in the repository whose image is poisoned.
func (d *doubt) change(frame []byte) []byte {
	const start = `"start":{`
	if !d.on.Load() || !bytes.Contains(frame, []byte(start)) || !bytes.Contains(frame, []byte(`"full_name":"`+owner+"/"+composed+`"`)) {
		return frame
	}
	d.marked.Add(1)
	return bytes.Replace(frame, []byte(start), []byte(start+`"untrusted":true,`), 1)
}

// doubted is a WebSocket's connection, of which what the server says is read frame by frame. A server's frames are not masked.
type doubted struct {
	io.ReadWriteCloser
	from  *bufio.Reader
	ready bytes.Buffer
	doubt *doubt
}

func (c *doubted) Read(p []byte) (int, error) {
	if c.ready.Len() == 0 {
		if err := c.frame(); err != nil {
			return 0, err
		}
	}
	return c.ready.Read(p)
}

// frame reads one frame: a byte of flags and kind, the length in one, three or nine bytes, and the content.
func (c *doubted) frame() error {
	var head [2]byte
	if _, err := io.ReadFull(c.from, head[:]); err != nil {
		return err
	}
	length := uint64(head[1] & 0x7f)
	more := map[uint64]int{126: 2, 127: 8}[length]
	if more > 0 {
		var wide [8]byte
		if _, err := io.ReadFull(c.from, wide[8-more:]); err != nil {
			return err
		}
		length = binary.BigEndian.Uint64(wide[:])
	}
	if length > 16<<20 {
		return fmt.Errorf("the gateway sent a frame of %d bytes", length)
	}
	content := make([]byte, length)
	if _, err := io.ReadFull(c.from, content); err != nil {
		return err
	}
	const wholeText = 0x81
	if head[0] == wholeText {
		content = c.doubt.change(content)
	}
	c.ready.WriteByte(head[0])
	switch n := len(content); {
	case n < 126:
		c.ready.WriteByte(byte(n))
	case n < 1<<16:
		c.ready.WriteByte(126)
		c.ready.Write(binary.BigEndian.AppendUint16(nil, uint16(n)))
	default:
		c.ready.WriteByte(127)
		c.ready.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
	}
	c.ready.Write(content)
	return nil
}

// openDoubt opens the door that the node dials.
func (w *world) openDoubt(ctx context.Context) (address string, err error) {
	w.doubt = &doubt{}
	return w.door(ctx, w.doubt.serve(w.gateway))
}
