package gateway

import (
	"fmt"
	"strings"
)

// passing reports whether a push may be taken as it is when it comes once more: nothing was refused for what it is. SAM's own
// reasons say "try again" then, which the node looks for as well, and no other reason does.
func passing(reason string) bool {
	return strings.HasPrefix(reason, "fetch first") || strings.HasPrefix(reason, "SAM ") && strings.Contains(reason, "try again")
}

// advised adds to upstream's own reason for refusing an update what the agent at the other end can do about it.
func advised(reason string, c gitCommand) string {
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(reason, w) {
				return true
			}
		}
		return false
	}
	branch := strings.TrimPrefix(c.Ref, headsPrefix)
	switch {
	case has("without `workflows` permission"):
		return reason + "; take what changes under .github/workflows/ out of your commits and describe it in your summary for a person to do, " +
			"or whoever runs SAM may list this account in git.workflows"
	case has("protected branch hook declined", "GH006"):
		return fmt.Sprintf("%s; %s is protected and SAM does not push there: a person has to", reason, branch)
	case has("GH013", "repository rule violations"):
		return reason + "; a rule of this repository forbids it, and the lines above say which: change your commits accordingly and push again"
	case has("failed to update ref", "cannot lock ref", "stale info", "fetch first"):
		return fmt.Sprintf("fetch first: %s moved upstream while this push was under way (%s)", branch, reason)
	}
	return reason
}
