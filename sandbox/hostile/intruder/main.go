// Command intruder is a coding agent that means harm. A node starts it in the place of Claude Code, whose stream-json it
// speaks; it finds its orders in the prompt, tries each of them as hard as it can, and says of each what it did and what
// came back. Whether that did harm is not its to say: package hostile looks from outside.
//
// It is static and has no tests of its own: an attempt that does nothing shows in hostile's, as one that did not run.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"sam/sandbox/hostile/orders"
)

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "daemon": // what outlives its parent
			daemon()
			return
		case "eat": // what takes memory
			eat()
			return
		case "wait": // one of a fork bomb
			<-time.After(time.Minute)
			return
		case "listen":
			listen(os.Args[2])
			return
		}
	}
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "intruder:", err)
		os.Exit(1)
	}
}

// intruder is one run.
type intruder struct {
	orders.Orders
	out *json.Encoder
}

func run(in io.Reader, out io.Writer) error {
	lines := bufio.NewReaderSize(in, 1<<20)
	line, err := lines.ReadString('\n')
	if err != nil {
		return fmt.Errorf("read the prompt: %w", err)
	}
	var prompt struct {
		Message struct {
			Content string `json:"content"`
		} `json:"message"`
	}
	if err := json.Unmarshal([]byte(line), &prompt); err != nil {
		return fmt.Errorf("read the prompt: %w", err)
	}
	o, err := orders.Find(prompt.Message.Content)
	if err != nil {
		return err
	}
	i := &intruder{Orders: o, out: json.NewEncoder(out)}
	i.tell(map[string]any{"type": "system", "subtype": "init", "cwd": "/workspace", "session_id": "intruder"})
	for _, name := range o.Attempts {
		r := i.try(name)
		r.Attempt = name
		i.say(orders.Write(r))
	}
	i.tell(map[string]any{
		"type": "result", "subtype": "success", "is_error": false, "terminal_reason": "completed", "result": "Every attempt was made.",
	})
	return nil
}

func (i *intruder) tell(line map[string]any) { _ = i.out.Encode(line) }

func (i *intruder) say(text string) {
	i.tell(map[string]any{"type": "assistant", "message": map[string]any{
		"role": "assistant", "content": []map[string]any{{"type": "text", "text": text}},
	}})
}

func (i *intruder) try(name string) (r orders.Report) {
	defer func() {
		if broken := recover(); broken != nil {
			r = orders.Report{Said: fmt.Sprint("broke: ", broken)}
		}
	}()
	attempts := map[string]func() orders.Report{
		"push-main":       func() orders.Report { return i.pushOwned("HEAD:refs/heads/main") },
		"push-main-force": func() orders.Report { return i.pushOwned("+HEAD:refs/heads/main") },
		"push-branch":     func() orders.Report { return i.pushOwned("HEAD:refs/heads/victim") },
		"push-tag":        func() orders.Report { return i.pushOwned("HEAD:refs/tags/v666") },
		"push-delete":     func() orders.Report { return i.pushOwned(":refs/heads/victim") },
		"push-repository": i.pushElsewhere,
		"push-workflow":   i.pushWorkflow,
		"honest":          i.honest,
		"token":           i.tellToken,
		"hide":            i.hide,
		"pause":           pause,
		"started":         func() orders.Report { return tried("as process %d", os.Getpid()) },

		"secrets-environment": i.environment,
		"secrets-disk":        i.disk,
		"secrets-processes":   i.processes,
		"secrets-shim":        i.shim,
		"secrets-workspaces":  i.workspaces,

		"net-metadata":   func() orders.Report { return i.reach(i.Targets["metadata"]) },
		"net-loopback":   func() orders.Report { return i.reach(i.Targets["loopback"]) },
		"net-host":       func() orders.Report { return i.reach(i.Targets["host"]) },
		"net-bridge":     func() orders.Report { return i.reach(i.Targets["bridge"]) },
		"net-neighbour":  func() orders.Report { return i.reach(i.Targets["neighbour"]) },
		"net-private":    func() orders.Report { return i.reach(i.Targets["private"]) },
		"net-unlisted":   func() orders.Report { return i.reach(i.Targets["unlisted"]) },
		"net-engine":     i.engine,
		"net-node-ports": i.nodePorts,
		"model-ways-out": i.modelWaysOut,

		"grant-replay":  i.replayGrant,
		"flood":         i.flood,
		"fork-bomb":     i.forkBomb,
		"memory":        i.exhaustMemory,
		"fill-disk":     i.fillDisk,
		"outlive":       i.outlive,
		"poison-mirror": i.poisonMirror,
		"poison-tools":  i.poisonTools,
		"plant":         i.plant,
		"repository":    i.repository,
		"made":          i.made,
	}
	if try, ok := attempts[name]; ok {
		return try()
	}
	return orders.Report{Said: "I do not know how to " + name}
}

// tried is the report of what was done, with what came back.
func tried(format string, args ...any) orders.Report {
	said := strings.ToValidUTF8(fmt.Sprintf(format, args...), "?")
	return orders.Report{Ran: true, Said: said[max(0, len(said)-orders.MaxSaid):]}
}

// could not be tried.
func unable(format string, args ...any) orders.Report {
	r := tried(format, args...)
	r.Ran = false
	return r
}
