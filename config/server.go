// Package config reads the server's configuration: one strict YAML file, with overrides from the environment. What it
// does not know, or finds wrong, stops the start with the file, the line and the key.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Server is the configuration of `sam serve`.
type Server struct {
	Public   Public   `yaml:"public"`
	Operator Operator `yaml:"operator"`
	GitHub   GitHub   `yaml:"github"`
	Redis    Redis    `yaml:"redis"`
	Node     Node     `yaml:"node"`
	Agent    string   `yaml:"agent"` // the agent that new tasks are given to
	Log      Log      `yaml:"log"`
}

// Public is the listener for GitHub's deliveries and for nodes.
type Public struct {
	Listen string `yaml:"listen"` // host:port
	URL    string `yaml:"url"`    // by which GitHub and nodes reach it; empty: http:// and the listener's address
}

// Operator is the listener for health, metrics and profiles. It has no sign-in: keep it on loopback.
type Operator struct {
	Listen string `yaml:"listen"`
}

// GitHub says which App SAM is, and where.
type GitHub struct {
	AppID             int64  `yaml:"app_id"`
	PrivateKeyFile    string `yaml:"private_key_file"`    // PEM, as GitHub gave it
	WebhookSecretFile string `yaml:"webhook_secret_file"` // one line
	APIURL            string `yaml:"api_url"`
	WebURL            string `yaml:"web_url"`
}

// Redis says how to reach Redis.
type Redis struct {
	Address      string `yaml:"address"` // host:port, or the path of a unix socket
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"`
	TLS          bool   `yaml:"tls"`
	AllowLossy   bool   `yaml:"allow_lossy"` // start although Redis may lose what it acknowledged
}

// Node is the one standing node of the local provider.
type Node struct {
	Name      string `yaml:"name"`
	Slots     int    `yaml:"slots"`      // workspaces at once
	TokenFile string `yaml:"token_file"` // where its credential is written for `sam node`
}

// Log says how much is logged, and how.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // json, or console for people
}

// Defaults are the values of what a configuration leaves out.
func Defaults() Server {
	return Server{
		Public:   Public{Listen: "127.0.0.1:8080"},
		Operator: Operator{Listen: "127.0.0.1:9090"},
		GitHub:   GitHub{APIURL: "https://api.github.com/", WebURL: "https://github.com"},
		Redis:    Redis{Address: "127.0.0.1:6379"},
		Node:     Node{Name: "local", Slots: 2},
		Agent:    "demo",
		Log:      Log{Level: "info", Format: "json"},
	}
}

// Load reads a file over the defaults, then SAM_… variables of the environment over that, and checks the result. A path
// in the file is relative to the file's folder. An empty path reads no file.
func Load(path string, environ []string) (Server, error) {
	s := Defaults()
	if err := load(path, environ, &s); err != nil {
		return Server{}, err
	}
	return s, nil
}

func (s *Server) settings() []setting {
	return []setting{
		{key: "public.listen", value: &s.Public.Listen},
		{key: "public.url", value: &s.Public.URL},
		{key: "operator.listen", value: &s.Operator.Listen},
		{key: "github.app_id", value: &s.GitHub.AppID},
		{key: "github.private_key_file", value: &s.GitHub.PrivateKeyFile, file: true},
		{key: "github.webhook_secret_file", value: &s.GitHub.WebhookSecretFile, file: true},
		{key: "github.api_url", value: &s.GitHub.APIURL},
		{key: "github.web_url", value: &s.GitHub.WebURL},
		{key: "redis.address", value: &s.Redis.Address},
		{key: "redis.username", value: &s.Redis.Username},
		{key: "redis.password_file", value: &s.Redis.PasswordFile, file: true},
		{key: "redis.tls", value: &s.Redis.TLS},
		{key: "redis.allow_lossy", value: &s.Redis.AllowLossy},
		{key: "node.name", value: &s.Node.Name},
		{key: "node.slots", value: &s.Node.Slots},
		{key: "node.token_file", value: &s.Node.TokenFile, file: true},
		{key: "agent", value: &s.Agent},
		{key: "log.level", value: &s.Log.Level},
		{key: "log.format", value: &s.Log.Format},
	}
}

func (s *Server) check() error {
	var errs []error
	wrong := func(key, why string) { errs = append(errs, Error{key, why}) }
	for key, address := range map[string]string{"public.listen": s.Public.Listen, "operator.listen": s.Operator.Listen} {
		if _, _, err := net.SplitHostPort(address); err != nil {
			wrong(key, fmt.Sprintf("%q is not host:port", address))
		}
	}
	if s.GitHub.AppID <= 0 {
		wrong("github.app_id", "is missing: the App's settings page on GitHub shows it")
	}
	if s.GitHub.PrivateKeyFile == "" {
		wrong("github.private_key_file", "is missing: make a key on the App's settings page and give the file's path")
	}
	if s.GitHub.WebhookSecretFile == "" {
		wrong("github.webhook_secret_file", "is missing: without a secret anybody could command SAM")
	}
	addresses := map[string]string{"github.api_url": s.GitHub.APIURL, "github.web_url": s.GitHub.WebURL}
	if s.Public.URL != "" {
		addresses["public.url"] = s.Public.URL
	}
	for key, address := range addresses {
		if why := notAddress(address); why != "" {
			wrong(key, why)
		}
	}
	if s.Redis.Address == "" {
		wrong("redis.address", "is missing")
	}
	if s.Node.Name == "" || strings.ContainsAny(s.Node.Name, " ./\n") {
		wrong("node.name", fmt.Sprintf("%q is not a name: letters, digits and dashes", s.Node.Name))
	}
	if why := notSlots(s.Node.Slots); why != "" {
		wrong("node.slots", why)
	}
	if s.Agent == "" {
		wrong("agent", "is missing")
	}
	return errors.Join(append(errs, s.Log.check()...)...)
}

func (l Log) check() []error {
	var errs []error
	switch l.Level {
	case "debug", "info", "warn", "error":
	default:
		errs = append(errs, Error{"log.level", fmt.Sprintf("%q is none of debug, info, warn, error", l.Level)})
	}
	if l.Format != "json" && l.Format != "console" {
		errs = append(errs, Error{"log.format", fmt.Sprintf("%q is neither json nor console", l.Format)})
	}
	return errs
}

// notAddress says why an address is not one that SAM can call, "" when it is.
func notAddress(address string) string {
	if u, err := url.Parse(address); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return fmt.Sprintf("%q is not an http or https address", address)
	}
	return ""
}

func notSlots(n int) string {
	if n < 1 || n > 64 {
		return fmt.Sprintf("%d is not between 1 and 64", n)
	}
	return ""
}
