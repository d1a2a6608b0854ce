package app

import (
	"net/http"

	"sam/config"
	"sam/gateway"
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
		BaseURL: c.Anthropic.BaseURL, Key: key, Prices: prices, HTTP: &http.Client{Transport: transport},
	})
}
