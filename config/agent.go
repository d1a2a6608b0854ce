package config

import "errors"

// Agent is the configuration of `sam node`.
type Agent struct {
	Gateway   string `yaml:"gateway"`    // the server's public address, http or https
	TokenFile string `yaml:"token_file"` // the node's credential, as the server wrote it
	Dir       string `yaml:"dir"`        // where mirrors, workspaces and spools are
	Slots     int    `yaml:"slots"`      // workspaces at once
	Log       Log    `yaml:"log"`
}

// AgentDefaults are the values of what a node's configuration leaves out.
func AgentDefaults() Agent {
	return Agent{Gateway: "http://127.0.0.1:8080", Dir: "/var/lib/sam", Slots: 2, Log: Log{Level: "info", Format: "json"}}
}

// LoadAgent reads a node's configuration as Load does a server's.
func LoadAgent(path string, environ []string) (Agent, error) {
	a := AgentDefaults()
	if err := load(path, environ, &a); err != nil {
		return Agent{}, err
	}
	return a, nil
}

func (a *Agent) settings() []setting {
	return []setting{
		{key: "gateway", value: &a.Gateway},
		{key: "token_file", value: &a.TokenFile, file: true},
		{key: "dir", value: &a.Dir, file: true},
		{key: "slots", value: &a.Slots},
		{key: "log.level", value: &a.Log.Level},
		{key: "log.format", value: &a.Log.Format},
	}
}

func (a *Agent) check() error {
	var errs []error
	if why := notAddress(a.Gateway); why != "" {
		errs = append(errs, Error{"gateway", why})
	}
	if a.TokenFile == "" {
		errs = append(errs, Error{"token_file", "is missing: the server writes it where its node.token_file says"})
	}
	if a.Dir == "" {
		errs = append(errs, Error{"dir", "is missing"})
	}
	if why := notSlots(a.Slots); why != "" {
		errs = append(errs, Error{"slots", why})
	}
	return errors.Join(append(errs, a.Log.check()...)...)
}
