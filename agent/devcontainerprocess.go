package agent

import (
	"fmt"
	"os"

	"sam/agent/devcontainer"
)

// unused says that a tree's configuration is not looked at, for it is worked on without a container; empty when it has none.
func unused(treePath, choice string) string {
	const why = "without a container the agent has the programs of the node, and nothing of the file is done. Start a container engine on the node, and sam node again, to have it"
	tree, err := os.OpenRoot(treePath)
	if err != nil {
		return "" // that there is no tree is told by who works in it
	}
	defer tree.Close()
	name, err := devcontainer.Find(tree, choice)
	switch {
	case err == nil && name != "":
		return name + " is not used: " + why
	case choice != "":
		return fmt.Sprintf("the environment %q is not used: %s", choice, why)
	}
	return ""
}
