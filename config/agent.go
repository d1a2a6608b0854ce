package config

// Agent is the configuration of `sam node`.
type Agent struct {
	Gateway   string // the server's public address, http or https
	TokenFile string // the node's credential, as the server wrote it
	Dir       string // where mirrors, workspaces and spools are
	Slots     int    // workspaces at once
	Log       Log
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

func (a *Agent) check() []Error {
	var wrong []Error
	if why := notAddress(a.Gateway); why != "" {
		wrong = append(wrong, Error{"gateway", why})
	}
	if a.TokenFile == "" {
		wrong = append(wrong, Error{"token_file", "is missing: the server writes it where its node.token_file says"})
	}
	if a.Dir == "" {
		wrong = append(wrong, Error{"dir", "is missing"})
	}
	if why := notSlots(a.Slots); why != "" {
		wrong = append(wrong, Error{"slots", why})
	}
	return append(wrong, a.Log.check()...)
}
