package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sam/agent/wire"
)

// gatewayClient is the node's way to the gateway by HTTP.
type gatewayClient struct {
	base     *url.URL
	token    string    // of a node that an operator starts
	identity *identity // of a machine that SAM made; nil: the token is the credential
	http     *http.Client
}

func newGatewayClient(base, token string, client *http.Client) (*gatewayClient, error) {
	parsed, err := url.Parse(base)
	if err != nil || (parsed.Scheme != "http" && parsed.Scheme != "https") || parsed.Host == "" {
		return nil, fmt.Errorf("the gateway's address %q is not an http or https address", base)
	}
	parsed.Path = strings.TrimSuffix(parsed.Path, "/")
	return &gatewayClient{base: parsed, token: token, http: client}, nil
}

func (g *gatewayClient) authorization() string {
	if g.identity != nil {
		return "Bearer " + g.identity.current()
	}
	return "Bearer " + g.token
}

func (g *gatewayClient) transport() http.RoundTripper {
	if g.http.Transport != nil {
		return g.http.Transport
	}
	return http.DefaultTransport
}

// fetchToken asks for a token that can read the attempt's repository, a few times if the gateway is not in order: it may
// be restarting.
func (g *gatewayClient) fetchToken(ctx context.Context, ref wire.Ref) (token string, err error) {
	again := false
	err = retry(ctx, []time.Duration{200 * time.Millisecond, time.Second, 3 * time.Second}, func(error) bool { return again }, func() error {
		token, again, err = g.askFetchToken(ctx, ref)
		return err
	})
	return token, err
}

func (g *gatewayClient) askFetchToken(ctx context.Context, ref wire.Ref) (token string, again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	body, err := json.Marshal(wire.FetchTokenRequest{Ref: ref})
	if err != nil {
		return "", false, fmt.Errorf("ask for a fetch token: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, g.base.JoinPath(wire.FetchTokenPath).String(), bytes.NewReader(body))
	if err != nil {
		return "", false, fmt.Errorf("ask for a fetch token: %w", err)
	}
	request.Header.Set("Authorization", g.authorization())
	request.Header.Set("Content-Type", "application/json")
	response, err := g.http.Do(request)
	if err != nil {
		return "", true, fmt.Errorf("ask for a fetch token: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return "", false, fmt.Errorf("ask for a fetch token: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		words, _, _ := strings.Cut(strings.TrimSpace(string(answer)), "\n")
		return "", response.StatusCode >= 500, fmt.Errorf("ask for a fetch token: the gateway answered %s: %s", response.Status, keepHead(words, 300))
	}
	var reply wire.FetchTokenReply
	if err := json.Unmarshal(answer, &reply); err != nil || reply.Token == "" {
		return "", false, errors.New("ask for a fetch token: the gateway's answer holds none")
	}
	return reply.Token, false, nil
}
