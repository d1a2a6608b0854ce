package agent

import (
	"net/url"
	"path"
	"strings"

	"sam/agent/wire"
)

// listedGit is what makes git in a workspace fetch the repositories that its account lists from the git broker, wherever a
// submodule says that they are: at the repository's host by any of its addresses, or beside the task's own repository. root
// is the forwarder's address, with a slash at its end.
func listedGit(s wire.Start, root string) gitConfig {
	config := gitConfig{{"http." + root + ".extraHeader", wire.BrokerAddressHeader + ": " + strings.TrimSuffix(root, "/")}}
	if len(s.Listed) == 0 {
		return config
	}
	origin := root + strings.TrimPrefix(wire.GitPath, "/") + s.Task
	instead := func(at, of string) { config = append(config, [2]string{"url." + at + ".insteadOf", of}) }
	instead(origin, origin) // the longest match counts, and a repository may be called as the task's id begins
	web, hasWeb := strings.CutSuffix(s.CloneURL, s.FullName+".git")
	host := ""
	if u, err := url.Parse(web); err == nil {
		host = u.Hostname()
	}
	for _, name := range s.Listed {
		at := origin + "/sub/" + name
		if hasWeb {
			instead(at, web+name)
		}
		if host != "" {
			instead(at, "git@"+host+":"+name)
			instead(at, "ssh://git@"+host+"/"+name)
		}
		// What a relative address in .gitmodules makes of the origin's: ../name and ../../owner/name.
		if path.Dir(name) == path.Dir(s.FullName) {
			instead(at, strings.TrimSuffix(origin, s.Task)+path.Base(name))
		}
		instead(at, root+name)
	}
	return config
}
