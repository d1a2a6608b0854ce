package app

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"sam/config"
	"sam/gateway"
	"sam/sandbox/model"
)

// newModel is the broker of the model that a configuration names, nil where it names none.
func newModel(c config.Model, transport http.RoundTripper) (*gateway.Model, error) {
	if c.Anthropic.KeyFile == "" {
		return nil, nil //nolint:nilnil // the gateway takes nil for having no model, and says so to who asks for one
	}
	key, err := config.Secret("model.anthropic.key_file", c.Anthropic.KeyFile)
	if err != nil {
		return nil, err
	}
	prices := gateway.Prices{}
	for name, price := range c.Prices {
		prices[name] = gateway.Price(price)
	}
	return gateway.NewModel(gateway.ModelOptions{
		BaseURL: c.Anthropic.BaseURL, Key: key, Prices: prices, ServerTools: c.ServerTools, HTTP: &http.Client{Transport: transport},
	})
}

// What a world's agent asks, when that is no model at an address.
const (
	modelNone     = "none"     // the demo's own agent has none
	modelScripted = "scripted" // a stand-in: see package sandbox/model
)

// chooseModel points the server at the real model where the environment has a key for it, else at a scripted one, and notes
// which: modelNone, modelScripted, or the real one's host.
func (w *world) chooseModel(ctx context.Context, group *errgroup.Group, o worldOptions, c *config.Model) error {
	if o.agent == demoAgentName {
		w.model = modelNone
		return nil
	}
	key := os.Getenv("ANTHROPIC_API_KEY")
	if w.model = hostOf(c.Anthropic.BaseURL); key == "" {
		if key = o.key; key == "" {
			key = scriptedKey
		}
		m := model.New(model.Options{APIKey: scriptedKey, Log: *zerolog.Ctx(ctx)})
		d, err := newDoor(ctx, "model", "127.0.0.1:0", m.Handler())
		if err != nil {
			m.Close()
			return err
		}
		group.Go(func() error {
			defer m.Close()
			return d.serve(ctx)
		})
		w.model, c.Anthropic.BaseURL = modelScripted, d.url()
	}
	c.Anthropic.KeyFile = filepath.Join(w.dir, "model-key")
	if err := os.WriteFile(c.Anthropic.KeyFile, []byte(key+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the model's key: %w", err)
	}
	return nil
}
