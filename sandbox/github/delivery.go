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
	"strconv"
	"time"
)

const (
	// webhookTimeout is how long GitHub waits for an answer.
	webhookTimeout = 10 * time.Second
	// deliveryAge is how long github.com lists and redelivers a delivery.
	deliveryAge = 3 * 24 * time.Hour
	// keptDeliveries bounds an app's log, payloads being what it holds most of;
	// GitHub forgets by age alone.
	keptDeliveries = 5000
	// keptAnswer bounds what the log keeps of an answer's body, in bytes.
	keptAnswer = 64 << 10
)

// delivered is one entry of the log.
type delivered struct {
	parcel
	id              int64
	url             string
	at              time.Time
	duration        time.Duration
	status          string
	code            int
	answered        int // what the app really answered; 0: nothing
	requestHeaders  map[string]string
	responseHeaders map[string]string
	responseBody    string
}

// send makes one attempt. Its entry says what came of it.
func (c *courier) send(ctx context.Context, p parcel) *delivered {
	s := c.server
	s.mu.Lock()
	url, secret := c.app.hookURL, c.app.hookSecret
	// The id is the attempt's, so that who reads the log by cursor misses none that
	// comes late.
	d := &delivered{parcel: p, id: s.newID(deliveryID), url: url, at: s.now().UTC()}
	s.mu.Unlock()
	d.requestHeaders = map[string]string{
		"Accept": "*/*", "Content-Type": "application/json", "User-Agent": "GitHub-Hookshot/0c2f9d1",
		"X-GitHub-Delivery": p.guid, "X-GitHub-Event": p.event, "X-GitHub-Hook-ID": strconv.FormatInt(c.app.hookID, 10),
		"X-GitHub-Hook-Installation-Target-ID":   strconv.FormatInt(c.app.id, 10),
		"X-GitHub-Hook-Installation-Target-Type": "integration",
		"X-Hub-Signature":                        "sha1=" + sign(sha1.New, secret, p.payload),
		"X-Hub-Signature-256":                    "sha256=" + sign(sha256.New, secret, p.payload),
	}
	switch p.fault {
	case Unreachable:
		s.dice.Hit(p.fault)
		d.code, d.status = http.StatusBadGateway, "failed to connect to host"
		return d
	case Failed:
		s.dice.Hit(p.fault)
		d.failed(http.StatusInternalServerError)
		return d
	}
	begun := time.Now()
	code, header, body, err := post(ctx, s.client, url, d.requestHeaders, p.payload)
	d.duration = time.Since(begun)
	var timeout net.Error
	switch {
	case err == nil:
		d.taken(code, header, body)
		if d.code < 300 && (p.fault == FailedTaken || p.fault == TimedOut) {
			s.dice.Hit(p.fault)
			d.belie()
		} else {
			d.fault = ""
		}
		return d
	case errors.As(err, &timeout) && timeout.Timeout():
		d.code, d.status = http.StatusGatewayTimeout, "timed out"
	default:
		d.code, d.status = http.StatusBadGateway, "failed to connect to host"
	}
	d.fault = "" // it was the app's own doing
	s.log.Info().Err(err).Str("delivery", p.guid).Str("event", p.event).Int64("app", c.app.id).Msg("webhook not delivered")
	return d
}

func (d *delivered) taken(code int, header http.Header, body []byte) {
	d.code, d.answered, d.status, d.responseBody = code, code, "OK", string(body)
	d.responseHeaders = map[string]string{}
	for name := range header {
		d.responseHeaders[name] = header.Get(name)
	}
	if d.code < 200 || d.code > 299 {
		d.failed(d.code)
	}
}

func (d *delivered) failed(code int) {
	d.code, d.status = code, "Invalid HTTP Response: "+strconv.Itoa(code)
}

// belie makes the log say that what the app has taken had failed.
func (d *delivered) belie() {
	d.responseHeaders, d.responseBody = nil, ""
	if d.fault == FailedTaken {
		d.failed(http.StatusInternalServerError)
		return
	}
	d.code, d.status, d.duration = http.StatusGatewayTimeout, "timed out", webhookTimeout
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
	p := parcel{guid: newGUID(), event: event, action: action, payload: text}
	if in != nil {
		p.installation = in.id
	}
	if r != nil {
		p.repository = r.id
	}
	a.courier.post(p)
}
