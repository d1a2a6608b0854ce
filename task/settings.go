package task

// Settings are what a project's own file, `.github/sam.yml` on its default branch, asks for. They only narrow what the
// operator allows; the zero Settings leave everything as it is.
type Settings struct {
	Environment  []string `json:"environment,omitempty"`  // names of the project's secrets that workspaces are given
	Agent        string   `json:"agent,omitempty"`        // the driver to use
	Network      string   `json:"network,omitempty"`      // the policy of the workspaces' network
	Devcontainer string   `json:"devcontainer,omitempty"` // the configuration to use, by its folder's name
}

// SettingsError says for the person what is wrong with a project's file, with the line and the column, and what helps. The task
// waits until that is mended.
type SettingsError struct{ Reason string }

func (e SettingsError) Error() string { return e.Reason }

// NetworkPolicies are what a workspace's network may be, the narrowest first.
func NetworkPolicies() []string { return []string{"brokers", "registries", "open"} }
