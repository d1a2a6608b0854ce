package app

import (
	"net/http"

	"sam/config"
	"sam/gateway"
)

// newRegistries is the broker of the private registries that a configuration has credentials for.
func newRegistries(c config.Network, transport http.RoundTripper) (*gateway.Registries, error) {
	credentials, err := c.Credentials()
	if err != nil {
		return nil, err
	}
	all := make([]gateway.Registry, len(credentials))
	for i, one := range credentials {
		all[i] = gateway.Registry(one)
	}
	return gateway.NewRegistries(all, &http.Client{Transport: transport}), nil
}
