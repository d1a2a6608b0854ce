package agent

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"sam/agent/wire"
	"sam/task"
)

// claudeDriver runs Claude Code over its native stream-json: one JSON object a line, in both directions. It is headless,
// allowed everything within its workspace, and has the task's token for a key: its requests go to the model broker.
//
//	prompt, control answers -> stdin     Claude Code     stdout -> events (claudeparse.go)
//
// Its own word about how it ended is its last line, "result". Without one it has died, whatever its exit code says.
type claudeDriver struct {
	releases *releases
	silence  time.Duration // how long it may say nothing while the model owes it an answer
	patience time.Duration // and while a tool of its own runs
	farewell time.Duration // how long it may take to end after its result
}

// newClaudeDriver returns the driver. dir is the node's folder of agents, where Claude Code is installed at its first use.
func newClaudeDriver(dir string) claudeDriver {
	return claudeDriver{
		releases: &releases{dir: dir},
		// With partial messages, below, an answer that is being written shows itself every second; what is silent for so
		// long hangs. Claude Code gives no sign of its own, and tries again only after apiTimeout.
		silence: 5 * time.Minute,
		// Its shell's own limit is 10 minutes; a subagent's tools run within a tool.
		patience: 30 * time.Minute,
		farewell: 10 * time.Second,
	}
}

func (claudeDriver) Name() string { return "claude" }

// Real reports that a model decides what runs.
func (claudeDriver) Real() bool { return true }

// apiTimeout is how long Claude Code waits for an answer to begin, less than the driver's silence, so that it tries again
// and says so first.
const (
	apiTimeout = 2 * time.Minute
	apiRetries = 10
)

// maxClaudeLine bounds one line, in bytes: one holds a whole tool result, with the file that was edited.
const maxClaudeLine = 16 << 20

// errLingers is why the driver ends an agent that has said its last word and does not go.
var errLingers = errors.New("the agent has finished and does not end")

// silentError is why the driver ends an agent that says nothing any more.
type silentError struct {
	limit time.Duration
	tool  bool
}

func (s *silentError) Error() string {
	if s.tool {
		return fmt.Sprintf("A tool of Claude Code gave no sign for %s, so it was ended.", s.limit)
	}
	return fmt.Sprintf("Claude Code gave no sign for %s while it waited for the model, so it was ended: the model seems to hang. Ask again later.", s.limit)
}

// Run implements Driver.
func (d claudeDriver) Run(ctx context.Context, w Workspace, s wire.Start, emit func(task.Event) error, given *answers) (task.End, error) {
	installed := claudeRelease()
	if err := d.releases.ensure(ctx, installed); err != nil {
		return task.End{}, err
	}
	prompt, err := claudePrompt(s.Prompt)
	if err != nil {
		return task.End{}, err
	}
	outer := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var refused error // of emit
	input := newAgentInput(prompt, cancel)
	defer input.close()
	var turn sync.Mutex // of who changes the talk: its output, or an answer
	var watch *claudeWatch
	replies := newReplies(input.send, given, func() {
		turn.Lock()
		defer turn.Unlock()
		watch.reset()
	})
	talk := &claudeTalk{
		replies: replies,
		answers: given,
		emit: func(e task.Event) {
			if err := emit(e); err != nil && refused == nil {
				refused = err
				cancel(err)
			}
		},
	}
	watch = d.watch(talk, cancel)
	defer func() {
		replies.close() // it may set the watch
		watch.stop()
	}()
	words := &tail{max: 8 << 10}
	began := time.Now()
	begin := sync.OnceFunc(func() { // its first line may be read before Exec says that it runs
		talk.emit(stepped(task.StepAgent, began, installed.what+" "+installed.version+" runs"))
	})
	program := path.Join(w.Agents(), installed.folder, installed.program)
	exit, err := w.Exec(ctx, Command{
		Args:  claudeArgs(program, claudeSession(s)),
		Env:   claudeEnv(w, s),
		Key:   agentKey,
		Stdin: input.reader,
		Stdout: &lines{max: maxClaudeLine, each: func(line []byte, long bool) {
			turn.Lock()
			defer turn.Unlock()
			begin()
			talk.line(line, long)
			if talk.leave {
				input.send(claudeInterrupt())
			}
			if talk.end != nil {
				input.end()
			}
			watch.reset()
		}},
		Stderr:    words,
		Started:   begin,
		Interrupt: func() { input.send(claudeInterrupt()); input.end() },
	})
	switch {
	case refused != nil:
		return task.End{}, refused
	case err != nil && outer.Err() != nil:
		return task.End{}, context.Cause(outer)
	case err != nil:
		// The kernel's word for a program whose loader is not there, and the shim's.
		if words := err.Error(); strings.Contains(words, "fork/exec "+program+": no such file or directory") || strings.Contains(words, "built for another libc") {
			return task.End{}, wrongLibc(installed)
		}
		return task.End{}, err
	}
	return d.outcome(outer, ctx, talk, exit, words)
}

// outcome says how a run ended, by what is surest: its own good word, then what the driver asked or did, then the rest.
func (d claudeDriver) outcome(outer, ctx context.Context, talk *claudeTalk, exit Exit, words *tail) (task.End, error) {
	var silent *silentError
	switch {
	case talk.question != "":
		return task.End{Outcome: task.GaveUp, Reason: unanswerable("Claude Code", talk.question)}, nil
	case talk.end != nil && talk.end.Outcome == task.Done:
		return *talk.end, nil
	case outer.Err() != nil:
		return task.End{}, context.Cause(outer)
	case errors.As(context.Cause(ctx), &silent):
		return task.End{Outcome: task.Died, Reason: silent.Error()}, nil
	case errors.Is(context.Cause(ctx), errDeafAgent):
		return task.End{Outcome: task.Died, Reason: "Claude Code asked and asked, and read none of the answers, so it was ended. Ask again; if it happens again, this is a bug in Claude Code or in SAM."}, nil
	case talk.end != nil:
		return *talk.end, nil
	case talk.lines == 0 && exit.Code == 127 && strings.Contains(words.String(), "not found"):
		return task.End{}, wrongLibc(claudeRelease())
	}
	reason := fmt.Sprintf("Claude Code's process %s before it said that it was finished.", exit)
	if last := words.lastLines(10); last != "" {
		reason += " Its last words:\n\n" + last
	} else if last := talk.words.lastLines(10); last != "" {
		reason += " Its last words:\n\n" + last
	}
	return task.End{Outcome: task.Died, Reason: reason}, nil
}

// wrongLibc explains a program that is there and that the kernel does not find: its loader is missing.
func wrongLibc(installed release) error {
	return gaveUpError(fmt.Sprintf("%s %s cannot start in this workspace: it is built for glibc, and the workspace's image seems to have another C library (musl, as Alpine) or none. Choose an image with glibc.",
		installed.what, installed.version))
}

// claudeArgs are its arguments. The prompt is none of them: beside stream-json input one would be ignored, silently.
func claudeArgs(program, session string) []string {
	return []string{
		program, "-p",
		"--output-format", "stream-json", "--verbose", "--input-format", "stream-json",
		"--include-partial-messages", // for the watchdog: a sign of life while a long answer is written
		"--permission-mode", "bypassPermissions",
		"--permission-prompt-tool", "stdio", // it may ask its person, which the driver hears
		"--session-id", session,
	}
}

func claudeEnv(w Workspace, s wire.Start) []string {
	env := []string{
		"ANTHROPIC_BASE_URL=" + w.Broker() + wire.ModelPath + s.Task + "/anthropic",
		"ANTHROPIC_API_KEY=" + s.Token,
		fmt.Sprintf("API_TIMEOUT_MS=%d", apiTimeout.Milliseconds()),
		fmt.Sprintf("CLAUDE_CODE_MAX_RETRIES=%d", apiRetries),
		"DISABLE_TELEMETRY=1", "DISABLE_AUTOUPDATER=1", "DISABLE_ERROR_REPORTING=1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
	}
	if w.Kind() == KindProcess && os.Geteuid() == 0 {
		env = append(env, "IS_SANDBOX=1") // else it refuses to run as root with all permissions
	}
	return env
}

// claudeSession is the attempt's session: a UUID, the same after a restart of sam node, and another for each attempt, for
// one that is used again ends Claude Code at once.
func claudeSession(s wire.Start) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "claude session of %s/%d", s.Task, s.Epoch))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80 // version 8, made up by whom it concerns
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

func claudePrompt(text string) ([]byte, error) {
	type message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	line, err := json.Marshal(struct {
		Type    string  `json:"type"`
		Message message `json:"message"`
	}{"user", message{"user", text}})
	if err != nil {
		return nil, fmt.Errorf("tell Claude Code what to do: %w", err)
	}
	return line, nil
}
