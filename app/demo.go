package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"sam/agent"
	"sam/config"
	"sam/handlers"
	"sam/sandbox/model"
	"sam/sandbox/seed"
)

type demoFlags struct {
	once     bool
	agent    string
	provider string
	request  string
	listen   string
	unsafe   bool
	verbose  bool
}

// demoAgents are the agents that the world's node has.
func demoAgents() []string { return []string{"claude", demoAgentName} }

func demoProviders() []string { return []string{providerLocal, providerHetzner} }

func newDemo() *cobra.Command {
	f := demoFlags{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the whole product on this machine, with no account, key or internet",
		Long: "Run the whole product in one process tree: a GitHub that behaves, Redis, the server and a node. Open the\n" +
			"printed page, comment \"/sam add rate limiting to /api/upload\" on the issue, and watch a pull request appear.\n" +
			"With --once it does that by itself and prints one JSON object as its last line.\n\n" +
			"With --provider hetzner no node stands: SAM has a machine made by a stand-in for Hetzner, which boots it as a container\n" +
			"and has a bill. As root, with Docker.\n\n" +
			"With --agent claude the real Claude Code works in a container, on a scripted stand-in for a model where\n" +
			"ANTHROPIC_API_KEY is not set. The stand-in understands nothing, and the cost it shows is invented. It can add\n" +
			"rate limiting to /api/upload and nothing else; to see how SAM behaves, comment \"/sam scenario NAME\":\n\n" +
			scenarioHelp(),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			level := "warn"
			if f.verbose {
				level = "debug"
			}
			quiet := &quiet{}
			log := newLog(config.Log{Level: level, Format: "console"}, cmd.ErrOrStderr()).Hook(quiet)
			return runDemo(log.WithContext(cmd.Context()), f, quiet, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&f.once, "once", false, "do the job by itself, print one JSON object, and exit 0 only if the pull request holds the commit")
	cmd.Flags().StringVar(&f.agent, "agent", demoAgentName, "the coding `AGENT`: demo, or claude (on a scripted model, or on the real one where ANTHROPIC_API_KEY is set)")
	cmd.Flags().StringVar(&f.provider, "provider", providerLocal, "where nodes are from: local, this process; or hetzner, machines of a stand-in (`PROVIDER`)")
	cmd.Flags().BoolVar(&f.unsafe, unsafeFlag, false, "let a real agent run without a container where no engine answers")
	cmd.Flags().StringVar(&f.request, "request", "add rate limiting to /api/upload", "with --once: what to ask for, `TEXT`")
	cmd.Flags().StringVar(&f.listen, "listen", "127.0.0.1:3000", "`ADDR` of GitHub's stand-in; a free port when it is taken, and with --once")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "log everything that happens")
	return cmd
}

// scenarioHelp lists the scripted model's scenarios for a terminal.
func scenarioHelp() string {
	var b strings.Builder
	for _, s := range model.Scenarios() {
		fmt.Fprintf(&b, "  %-10s  %s\n", s, strings.ReplaceAll(s.Does(), "`", ""))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// check refuses what could come to nothing only, before anything is started.
func (f demoFlags) check() error {
	if !slices.Contains(demoAgents(), f.agent) {
		return fmt.Errorf("there is no agent %q: choose one of %s", f.agent, strings.Join(demoAgents(), ", "))
	}
	if !slices.Contains(demoProviders(), f.provider) {
		return fmt.Errorf("there is no provider %q: choose one of %s", f.provider, strings.Join(demoProviders(), ", "))
	}
	if f.provider == providerHetzner && f.unsafe {
		return errors.New("--" + unsafeFlag + " is for a node without a container engine, and machines have one: leave it out, or --provider")
	}
	if commands := handlers.ParseCommands(requestComment(f.request)); len(commands) != 1 || commands[0].Verb != handlers.VerbRequest {
		return fmt.Errorf("--request %q makes no task, or several: say what is to be done, in more than one word", f.request)
	}
	return nil
}

// requestComment is the comment that asks for something.
func requestComment(request string) string { return "/sam " + request }

// quiet keeps warnings out of the log once it is set: --once tells by itself what they tell.
type quiet struct{ atomic.Bool }

// Run implements zerolog.Hook.
func (q *quiet) Run(e *zerolog.Event, level zerolog.Level, _ string) {
	if level == zerolog.WarnLevel && q.Load() {
		e.Discard()
	}
}

func runDemo(ctx context.Context, f demoFlags, quiet *quiet, out io.Writer) error {
	if f.once {
		f.listen = "127.0.0.1:0"
	} else {
		f.listen = listenOr(ctx, f.listen)
	}
	removeAbandonedMachines(ctx)
	return withWorld(ctx, worldOptions{listen: f.listen, agent: f.agent, provider: f.provider, unsafe: f.unsafe}, func(ctx context.Context, w *world) error {
		isolated, err := w.isolated(ctx, f)
		if err != nil {
			return err
		}
		words := agentWords(f.agent, w.model, isolated)
		if f.once {
			quiet.Store(!f.verbose)
			return w.once(ctx, f.request, words, out)
		}
		w.announce(words, out)
		<-ctx.Done()
		return nil
	})
}

// isolated reports whether the agent is kept from the rest of the machine, or needs not be. It refuses one that would not be
// run for that reason.
func (w *world) isolated(ctx context.Context, f demoFlags) (bool, error) {
	if f.agent == demoAgentName || f.provider == providerHetzner {
		return true, nil
	}
	nodes, err := w.server.store.Nodes(ctx)
	if err != nil {
		return false, err
	}
	if len(nodes) == 1 && nodes[0].Workspace == agent.KindDocker {
		return true, nil
	}
	if f.unsafe {
		return false, nil
	}
	return false, errors.New("no container engine answers here, and " + f.agent + " is not run without one: nothing would keep it from the rest of this machine.\n" +
		"Start Docker, or have it installed with the image of workspaces (`make tools`, as root on Debian), and run the demo again.\n" +
		"Or run `sam demo`, whose own agent needs no container.\n" +
		"Or let the agent have all that you have: `sam demo --agent " + f.agent + " --" + unsafeFlag + "`")
}

// agentWords say which agent works, and what it asks: nobody is to take a script for a model, or its cost for money.
func agentWords(name, asks string, isolated bool) string {
	var words string
	switch asks {
	case modelNone:
		words = name + ", built in: it has no model, and a few recipes for this one repository"
	case modelScripted:
		words = name + ", on a scripted stand-in for a model: it understands nothing, and the cost it shows is invented.\n" +
			"`sam demo --help` lists what it can be asked; the real model answers where ANTHROPIC_API_KEY is set"
	default:
		words = name + ", on the model at " + asks + ": what it uses is billed to the key of ANTHROPIC_API_KEY"
	}
	if !isolated {
		words += ".\nNOT ISOLATED: it runs without a container, as you, for so --" + unsafeFlag + " says"
	}
	return words + "."
}

// announce says where everything is.
func (w *world) announce(agent string, out io.Writer) {
	repository := "/" + seed.Owner + "/" + seed.Repository
	fmt.Fprintf(out, "SAM is running on this machine, with a stand-in for GitHub.\n\n"+
		"  Open     %s\n  Comment  /sam add rate limiting to /api/upload\n  Watch    a pull request appear, a few seconds later\n\n",
		w.hub.url()+repository+"/issues/1")
	machines := "none: this process is the node"
	if w.rack != nil {
		machines = fmt.Sprintf("made when they are needed, by Hetzner's stand-in: export HCLOUD_ENDPOINT=%s/v1 HCLOUD_TOKEN=%s", w.rack.door.url(), hetznerToken)
	}
	for _, row := range [][2]string{
		{"Agent", agent},
		{"Live pages", w.server.pages.url() + "/projects" + repository},
		{"GitHub's stand-in", fmt.Sprintf("%s   people: %s (may ask), %s (may not), %s (a stranger)", w.hub.url(), maintainer, triager, stranger)},
		{"Machines", machines},
		{"SAM", fmt.Sprintf("%s   metrics and health: %s/metrics", w.server.public.url(), w.server.operator.url())},
		{"Redis", w.redis.Name},
		{"Files", w.dir + ", removed at the end"},
	} {
		fmt.Fprintf(out, "  %-17s  %s\n", row[0], strings.ReplaceAll(row[1], "\n", "\n"+strings.Repeat(" ", 21)))
	}
	fmt.Fprint(out, "\nCtrl-C ends it.\n")
}
