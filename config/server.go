// Package config reads the server's configuration: one strict YAML file, with overrides from the environment. What it
// does not know, or finds wrong, stops the start with the file, the line and the key.
package config

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"time"
)

// Server is the configuration of `sam serve`.
type Server struct {
	Public    Public
	Dashboard Dashboard
	Operator  Operator
	GitHub    GitHub
	Redis     Redis
	Blob      Blob
	Node      Node
	Tasks     Tasks
	Git       Git
	Network   Network
	Hetzner   Hetzner
	Keys      Keys
	Agent     string   // the agent that new tasks are given to
	Agents    []string // others that a project's own file may choose
	Model     Model
	Log       Log
}

// Public is the listener for GitHub's deliveries and for nodes.
type Public struct {
	Listen string // host:port
	URL    string // by which GitHub and nodes reach it; empty: http:// and the listener's address
	// Proxies are addresses, and ranges of them, of reverse proxies before it: see TrustedProxies.
	Proxies []string
}

// Dashboard is the listener for the pages. It has no sign-in: keep it on loopback, or behind something that has.
type Dashboard struct {
	Listen string
	URL    string // by which people reach it, for links; empty: http:// and the listener's address
}

// Operator is the listener for health, metrics and profiles. It has no sign-in: keep it on loopback.
type Operator struct {
	Listen string
}

// GitHub says which App SAM is, and where.
type GitHub struct {
	AppID             int64
	PrivateKeyFile    string // PEM, as GitHub gave it
	WebhookSecretFile string // one line
	APIURL            string
	WebURL            string
}

// Redis says how to reach Redis.
type Redis struct {
	Mode                 string   // single, sentinel or cluster
	Address              string   // single: host:port, or the path of a unix socket
	Addresses            []string // sentinel: the Sentinels' host:port; cluster: some of its servers'
	SentinelMaster       string   // the name under which the Sentinels know the master
	SentinelUsername     string
	SentinelPasswordFile string
	Username             string
	PasswordFile         string
	TLS                  bool
	CAFile               string // PEM: whom to trust instead of the system's authorities
	Replicas             string // how many must have what is acknowledged: auto, or a number
	AllowLossy           bool   // start although Redis may lose what it acknowledged
}

// Node is the one standing node of the local provider.
type Node struct {
	Name      string
	Slots     int    // workspaces at once
	TokenFile string // where its credential is written for `sam node`
}

// Model says which model the agents' requests go to, and what it costs.
type Model struct {
	Anthropic Anthropic
	Prices    Prices
	// ServerTools are the tools of the model's servers that tasks may use: web_search, web_fetch. Each is a way out of a workspace.
	ServerTools []string
}

// Anthropic is the Messages API, or what speaks it.
type Anthropic struct {
	KeyFile string // one line; empty: agents that need a model are refused one
	BaseURL string
}

// Log says how much is logged, and how.
type Log struct {
	Level  string // debug, info, warn, error
	Format string // json, or console for people
}

// Defaults are the values of what a configuration leaves out.
func Defaults() Server {
	return Server{
		Public:    Public{Listen: "127.0.0.1:8080"},
		Dashboard: Dashboard{Listen: "127.0.0.1:8090"},
		Operator:  Operator{Listen: "127.0.0.1:9090"},
		GitHub:    GitHub{APIURL: "https://api.github.com/", WebURL: "https://github.com"},
		Redis:     Redis{Mode: "single", Address: "127.0.0.1:6379", Replicas: "auto"},
		Node:      Node{Name: "local", Slots: 2},
		Tasks:     Tasks{AtOnce: 100, OfAccount: 20, Place: 24 * time.Hour, Silence: 20 * time.Minute, Keep: 180 * 24 * time.Hour},
		Network:   defaultNetwork(),
		Git:       defaultGit(),
		Hetzner:   defaultHetzner(),
		Agent:     "demo",
		Model:     Model{Anthropic: Anthropic{BaseURL: "https://api.anthropic.com"}, Prices: defaultPrices()},
		Log:       Log{Level: "info", Format: "json"},
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
		{key: "public.proxies", value: &s.Public.Proxies},
		{key: "dashboard.listen", value: &s.Dashboard.Listen},
		{key: "dashboard.url", value: &s.Dashboard.URL},
		{key: "operator.listen", value: &s.Operator.Listen},
		{key: "github.app_id", value: &s.GitHub.AppID},
		{key: "github.private_key_file", value: &s.GitHub.PrivateKeyFile, file: true},
		{key: "github.webhook_secret_file", value: &s.GitHub.WebhookSecretFile, file: true},
		{key: "github.api_url", value: &s.GitHub.APIURL},
		{key: "github.web_url", value: &s.GitHub.WebURL},
		{key: "redis.mode", value: &s.Redis.Mode},
		{key: "redis.address", value: &s.Redis.Address},
		{key: "redis.addresses", value: &s.Redis.Addresses},
		{key: "redis.sentinel_master", value: &s.Redis.SentinelMaster},
		{key: "redis.sentinel_username", value: &s.Redis.SentinelUsername},
		{key: "redis.sentinel_password_file", value: &s.Redis.SentinelPasswordFile, file: true},
		{key: "redis.username", value: &s.Redis.Username},
		{key: "redis.password_file", value: &s.Redis.PasswordFile, file: true},
		{key: "redis.tls", value: &s.Redis.TLS},
		{key: "redis.ca_file", value: &s.Redis.CAFile, file: true},
		{key: "redis.replicas", value: &s.Redis.Replicas},
		{key: "redis.allow_lossy", value: &s.Redis.AllowLossy},
		{key: "blob.dir", value: &s.Blob.Dir, file: true},
		{key: "blob.s3.endpoint", value: &s.Blob.S3.Endpoint},
		{key: "blob.s3.region", value: &s.Blob.S3.Region},
		{key: "blob.s3.bucket", value: &s.Blob.S3.Bucket},
		{key: "blob.s3.prefix", value: &s.Blob.S3.Prefix},
		{key: "blob.s3.access_key", value: &s.Blob.S3.AccessKey},
		{key: "blob.s3.secret_key_file", value: &s.Blob.S3.SecretKeyFile, file: true},
		{key: "tasks.at_once", value: &s.Tasks.AtOnce},
		{key: "tasks.of_account", value: &s.Tasks.OfAccount},
		{key: "tasks.place", value: &s.Tasks.Place},
		{key: "tasks.silence", value: &s.Tasks.Silence},
		{key: "tasks.keep", value: &s.Tasks.Keep},
		{key: "git.workflows", value: &s.Git.Workflows},
		{key: "git.repositories", value: &s.Git.Repositories},
		{key: "git.max_pack", value: &s.Git.MaxPack},
		{key: "git.max_objects", value: &s.Git.MaxObjects},
		{key: "node.name", value: &s.Node.Name},
		{key: "node.slots", value: &s.Node.Slots},
		{key: "node.token_file", value: &s.Node.TokenFile, file: true},
		{key: "network.policy", value: &s.Network.Policy},
		{key: "network.registries", value: &s.Network.Registries},
		{key: "network.allow", value: &s.Network.Allow},
		{key: "network.images", value: &s.Network.Images},
		{key: "network.internal", value: &s.Network.Internal},
		{key: "network.credentials_file", value: &s.Network.CredentialsFile, file: true},
		{key: "hetzner.token_file", value: &s.Hetzner.TokenFile, file: true},
		{key: "hetzner.endpoint", value: &s.Hetzner.Endpoint},
		{key: "hetzner.machines", value: &s.Hetzner.Machines},
		{key: "hetzner.image", value: &s.Hetzner.Image},
		{key: "hetzner.memory", value: &s.Hetzner.Memory},
		{key: "hetzner.workspace_image", value: &s.Hetzner.WorkspaceImage},
		{key: "hetzner.ssh_keys", value: &s.Hetzner.SSHKeys},
		{key: "hetzner.programs", value: &s.Hetzner.Programs, file: true},
		{key: "hetzner.max_machines", value: &s.Hetzner.MaxMachines},
		{key: "hetzner.daily_budget", value: &s.Hetzner.DailyBudget},
		{key: "hetzner.monthly_budget", value: &s.Hetzner.MonthlyBudget},
		{key: "hetzner.policy", value: &s.Hetzner.Policy},
		{key: "hetzner.warm", value: &s.Hetzner.Warm},
		{key: "hetzner.timezone", value: &s.Hetzner.Timezone},
		{key: "hetzner.call_home", value: &s.Hetzner.CallHome},
		{key: "hetzner.lost", value: &s.Hetzner.Lost},
		{key: "hetzner.again", value: &s.Hetzner.Again},
		{key: "hetzner.reconcile", value: &s.Hetzner.Reconcile},
		{key: "hetzner.orphan", value: &s.Hetzner.Orphan},
		{key: "keys.files", value: &s.Keys.Files, file: true},
		{key: "keys.dir", value: &s.Keys.Dir, file: true},
		{key: "agent", value: &s.Agent},
		{key: "agents", value: &s.Agents},
		{key: "model.anthropic.key_file", value: &s.Model.Anthropic.KeyFile, file: true},
		{key: "model.anthropic.base_url", value: &s.Model.Anthropic.BaseURL},
		{key: "model.prices", value: &s.Model.Prices},
		{key: "model.server_tools", value: &s.Model.ServerTools},
		{key: "log.level", value: &s.Log.Level},
		{key: "log.format", value: &s.Log.Format},
	}
}

// nodeName is what a node may be called: its credential and Redis's keys carry the name.
var nodeName = regexp.MustCompile(`^[A-Za-z0-9-]{1,63}$`)

func (s *Server) check() []Error {
	var all []Error
	wrong := func(key, why string) { all = append(all, Error{key, why}) }
	if why := notListen(s.Public.Listen); why != "" {
		wrong("public.listen", why)
	}
	if why := notAddress(s.Public.URL); s.Public.URL != "" && why != "" {
		wrong("public.url", why)
	}
	for _, entry := range s.Public.Proxies {
		if _, why := parseProxies(entry); why != "" {
			wrong("public.proxies", why)
			break
		}
	}
	if why := notListen(s.Dashboard.Listen); why != "" {
		wrong("dashboard.listen", why)
	}
	if why := notAddress(s.Dashboard.URL); s.Dashboard.URL != "" && why != "" {
		wrong("dashboard.url", why)
	}
	if why := notListen(s.Operator.Listen); why != "" {
		wrong("operator.listen", why)
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
	if why := notAddress(s.GitHub.APIURL); why != "" {
		wrong("github.api_url", why)
	}
	if why := notAddress(s.GitHub.WebURL); why != "" {
		wrong("github.web_url", why)
	}
	all = append(all, s.Redis.check()...)
	if !nodeName.MatchString(s.Node.Name) {
		wrong("node.name", fmt.Sprintf("%q is not a name: up to 63 letters, digits and dashes", s.Node.Name))
	}
	if why := notSlots(s.Node.Slots, 0); why != "" {
		wrong("node.slots", why)
	}
	all = append(all, s.checkAgents()...)
	if why := notAddress(s.Model.Anthropic.BaseURL); why != "" {
		wrong("model.anthropic.base_url", why)
	}
	for _, tool := range s.Model.ServerTools {
		if tool != "web_search" && tool != "web_fetch" {
			wrong("model.server_tools", fmt.Sprintf("%q is none of web_search, web_fetch", tool))
		}
	}
	all = append(all, s.Blob.check()...)
	all = append(all, s.Tasks.check()...)
	all = append(all, s.Git.check()...)
	all = append(all, s.Network.check()...)
	all = append(all, s.Hetzner.check()...)
	return append(all, s.Log.check()...)
}

func (l Log) check() []Error {
	var wrong []Error
	switch l.Level {
	case "debug", "info", "warn", "error":
	default:
		wrong = append(wrong, Error{"log.level", fmt.Sprintf("%q is none of debug, info, warn, error", l.Level)})
	}
	if l.Format != "json" && l.Format != "console" {
		wrong = append(wrong, Error{"log.format", fmt.Sprintf("%q is neither json nor console", l.Format)})
	}
	return wrong
}

// notListen says why an address is not one that SAM can listen on, "" when it is.
func notListen(address string) string {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return fmt.Sprintf("%q is not host:port", address)
	}
	return ""
}

// notAddress says why an address is not one that SAM can call, "" when it is.
func notAddress(address string) string {
	if u, err := url.Parse(address); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return fmt.Sprintf("%q is not an http or https address", address)
	}
	return ""
}

func notSlots(n, least int) string {
	if n < least || n > 64 {
		return fmt.Sprintf("%d is not between %d and 64", n, least)
	}
	return ""
}
