package config_test

import (
	"testing"

	"sam/config"
)

func TestAnAddressWithoutTLSIsOneThatOtherMachinesReach(t *testing.T) {
	for _, c := range []struct{ listen, url, plain string }{
		{"127.0.0.1:8080", "", ""},
		{"localhost:8080", "", ""},
		{"[::1]:8080", "", ""},
		{":8080", "", "http://:8080"},
		{"0.0.0.0:8080", "", "http://0.0.0.0:8080"},
		{"10.0.0.5:8080", "", "http://10.0.0.5:8080"},
		{"127.0.0.1:8080", "http://sam.example.com", "http://sam.example.com"},
		{"0.0.0.0:8080", "https://sam.example.com", ""},
		{"0.0.0.0:8080", "http://127.0.0.2:8080", ""},
		{"0.0.0.0:8080", "http://sam.localhost:8080/", ""},
		{"0.0.0.0:8080", "http://localhost.example.com", "http://localhost.example.com"},
	} {
		if got := (config.Public{Listen: c.listen, URL: c.url}).Plain(); got != c.plain {
			t.Errorf("listening on %s as %q: %q, not %q", c.listen, c.url, got, c.plain)
		}
	}
}
