package github

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // GitHub still sends the old signature beside the new one
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	// webhookTimeout is how long GitHub waits for an answer.
	webhookTimeout = 10 * time.Second
	// keptDeliveries bounds an app's log; GitHub forgets by age instead.
	keptDeliveries = 5000
	// keptAnswer bounds what the log keeps of an answer's body, in bytes.
	keptAnswer = 64 << 10
)

// parcel is a webhook on its way to an app.
type parcel struct {
	id           int64
	guid         string
	event        string
	action       string
	installation int64 // 0: none
	repository   int64 // 0: none
	payload      []byte
	redelivery   bool
}

// courier sends an app's webhooks one after the other, in the order in which
// things happened, and keeps the log of it. A webhook is sent once.
type courier struct {
	app    *app
	server *Server
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	queue   []parcel
	busy    bool
	woken   chan struct{} // holds one token when there may be work
	idle    chan struct{} // closed and replaced whenever there is nothing left to send
	log     []*delivered  // oldest first
	stopped bool
}

// delivered is one entry of the log.
type delivered struct {
	parcel
	url             string
	at              time.Time
	duration        time.Duration
	status          string
	code            int
	requestHeaders  map[string]string
	responseHeaders map[string]string
	responseBody    string
}

func startCourier(s *Server, a *app) *courier {
	ctx, cancel := context.WithCancel(context.Background())
	c := &courier{
		app: a, server: s, cancel: cancel, done: make(chan struct{}), woken: make(chan struct{}, 1), idle: make(chan struct{}),
	}
	go c.run(ctx)
	return c
}

func (c *courier) run(ctx context.Context) {
	defer close(c.done)
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.woken:
		}
		for {
			p, ok := c.next()
			if !ok {
				break
			}
			d := c.send(ctx, p)
			c.mu.Lock()
			c.log = append(c.log, d)
			if len(c.log) > keptDeliveries {
				c.log = slices.Delete(c.log, 0, len(c.log)-keptDeliveries)
			}
			c.mu.Unlock()
		}
	}
}

func (c *courier) next() (parcel, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 || c.stopped {
		c.busy = false
		close(c.idle)
		c.idle = make(chan struct{})
		return parcel{}, false
	}
	p := c.queue[0]
	c.queue, c.busy = c.queue[1:], true
	return p, true
}

func (c *courier) post(p parcel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return
	}
	c.queue = append(c.queue, p)
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

func (c *courier) stop() {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	c.cancel()
	<-c.done
}

// settled waits until nothing is left to send.
func (c *courier) settled(ctx context.Context) error {
	for {
		c.mu.Lock()
		idle, left := c.idle, len(c.queue) > 0 || c.busy
		c.mu.Unlock()
		if !left {
			return nil
		}
		select {
		case <-idle:
		case <-c.done:
			return errors.New("the server was closed with webhooks left to send")
		case <-ctx.Done():
			return fmt.Errorf("wait for the webhooks of %s: %w", c.app.slug, ctx.Err())
		}
	}
}

// find looks an entry of the log up; nil when it is not there.
func (c *courier) find(id int64) *delivered {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.log {
		if d.id == id {
			return d
		}
	}
	return nil
}

// entries copies the log, newest first.
func (c *courier) entries() []*delivered {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := slices.Clone(c.log)
	slices.Reverse(list)
	return list
}

// send makes one attempt. Its entry says what came of it.
func (c *courier) send(ctx context.Context, p parcel) *delivered {
	s := c.server
	s.mu.Lock()
	url, secret := c.app.hookURL, c.app.hookSecret
	s.mu.Unlock()
	d := &delivered{parcel: p, url: url, at: s.now().UTC()}
	headers := map[string]string{
		"Accept": "*/*", "Content-Type": "application/json", "User-Agent": "GitHub-Hookshot/0c2f9d1",
		"X-GitHub-Delivery": p.guid, "X-GitHub-Event": p.event, "X-GitHub-Hook-ID": strconv.FormatInt(c.app.hookID, 10),
		"X-GitHub-Hook-Installation-Target-ID":   strconv.FormatInt(c.app.id, 10),
		"X-GitHub-Hook-Installation-Target-Type": "integration",
		"X-Hub-Signature":                        "sha1=" + sign(sha1.New, secret, p.payload),
		"X-Hub-Signature-256":                    "sha256=" + sign(sha256.New, secret, p.payload),
	}
	d.requestHeaders = headers
	begun := time.Now()
	code, header, body, err := post(ctx, s.client, url, headers, p.payload)
	d.duration = time.Since(begun)
	var timeout net.Error
	switch {
	case err == nil:
		d.code, d.status, d.responseBody = code, "OK", string(body)
		d.responseHeaders = map[string]string{}
		for name := range header {
			d.responseHeaders[name] = header.Get(name)
		}
		if d.code < 200 || d.code > 299 {
			d.status = "Invalid HTTP Response: " + strconv.Itoa(d.code)
		}
		return d
	case errors.As(err, &timeout) && timeout.Timeout():
		d.code, d.status = http.StatusGatewayTimeout, "timed out"
	default:
		d.code, d.status = http.StatusBadGateway, "failed to connect to host"
	}
	s.log.Info().Err(err).Str("delivery", p.guid).Str("event", p.event).Int64("app", c.app.id).Msg("webhook not delivered")
	return d
}

func post(ctx context.Context, client *http.Client, url string, headers map[string]string, payload []byte) (code int, header http.Header, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(payload))
	if err != nil {
		return 0, nil, nil, fmt.Errorf("make the request: %w", err)
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(res.Body, keptAnswer))
	if err != nil {
		return 0, nil, nil, fmt.Errorf("read the answer: %w", err)
	}
	return res.StatusCode, res.Header, body, nil
}

func sign(algorithm func() hash.Hash, secret string, payload []byte) string {
	mac := hmac.New(algorithm, []byte(secret))
	mac.Write(payload)
	return hex.EncodeToString(mac.Sum(nil))
}

// newGUID makes a random UUID.
func newGUID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails on a supported system
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// send hands an event to an app's courier. An app with no address gets nothing,
// and nothing is logged. With mu held.
func (s *Server) send(a *app, event, action string, in *installation, r *repository, payload object) {
	if a.hookURL == "" {
		return
	}
	text, err := json.Marshal(payload)
	if err != nil {
		panic(fmt.Sprintf("payload of %s: %v", event, err)) // maps of plain values always marshal
	}
	p := parcel{id: s.newID(deliveryID), guid: newGUID(), event: event, action: action, payload: text}
	if in != nil {
		p.installation = in.id
	}
	if r != nil {
		p.repository = r.id
	}
	a.courier.post(p)
}
