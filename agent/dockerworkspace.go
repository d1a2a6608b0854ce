package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"sam/agent/shim"
)

// dockerWorkspace runs programs in a container of its own, through the container's shim.
type dockerWorkspace struct {
	engine  *engine
	id      string // of the container; its name until it is made
	thread  string // whose services go with it
	shim    *shimClient
	run     runFolder
	env     []string
	forward *forward // nil: no way to the gateway
	wait    patience
	ending  <-chan struct{} // closed when sam node ends: programs with a key then go on
	waiting *box            // until it is up: what it is made for, when the tree says in which environment
	folder  string          // where the tree is; empty: boxTree
	dir     string          // where the agent begins; empty: folder
	trash   []string        // images that go with it
	// attached: another process of the node has made it
	attached bool
}

func (w *dockerWorkspace) Kind() string   { return KindDocker }
func (w *dockerWorkspace) Agents() string { return boxAgents }
func (w *dockerWorkspace) Sam() string    { return boxSam }
func (w *dockerWorkspace) Broker() string { return "http://" + shim.Listen }

// boxEnvironment is what a program in a container has beside what the image gives.
func boxEnvironment() []string {
	return []string{"HOME=" + boxHome, "USER=sam", "LANG=C.UTF-8", "TMPDIR=/tmp", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "GOTOOLCHAIN=local"}
}

// startWithin bounds how long a container may take to have its shim answer.
const startWithin = 30 * time.Second

// up makes and starts the container and waits for its shim.
func (w *dockerWorkspace) up(ctx context.Context, b box) error {
	if err := w.run.make(); err != nil {
		return err
	}
	if owner := b.owner(); owner.uid != boxUser() {
		if err := giveTree(w.run.shim(), owner); err != nil {
			return err
		}
	}
	id, err := w.engine.create(ctx, b)
	if err != nil {
		return err
	}
	w.id = id
	return w.ready(ctx)
}

func (w *dockerWorkspace) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startWithin, errors.New("it took longer than "+startWithin.String()))
	defer cancel()
	return w.shim.ready(ctx, func() error {
		c, err := w.engine.client.ContainerInspect(ctx, w.id)
		if err != nil || c.State == nil || !c.State.Running {
			return w.engine.gone(ctx, w.id, errors.New("it has ended"))
		}
		return nil
	})
}

// Exec implements Workspace. A program with a key goes on when sam node ends; one without ends then.
func (w *dockerWorkspace) Exec(ctx context.Context, cmd Command) (Exit, error) {
	if ctx.Err() != nil {
		return Exit{}, context.Cause(ctx)
	}
	key := cmd.Key
	if key == "" {
		key = "once-" + rand.Text()
	}
	if err := w.begin(ctx, key, cmd); err != nil {
		return Exit{}, err
	}
	if cmd.Started != nil {
		cmd.Started()
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		if cmd.Stdin != nil {
			// What does not reach the program it will miss, and say so in its own way.
			_ = w.shim.feed(running, key, cmd.Stdin)
		}
	}()
	type end struct {
		exit Exit
		err  error
	}
	ended := make(chan end, 1)
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		exit, err := w.follow(running, key, cmd)
		ended <- end{exit, err}
	}()
	select {
	case <-exited:
	case <-ctx.Done():
		if cmd.Key == "" || !w.leaves(ctx) {
			w.climb(running, exited, key, cmd.Interrupt)
		}
		cancel()
		<-exited
	}
	cancel()
	closeInput(cmd.Stdin)
	within(fed, shim.AfterExit) // as for any program: an input that neither ends nor can be closed is left behind
	result := <-ended
	if cmd.Key == "" || !w.leaves(ctx) {
		w.tidy(context.WithoutCancel(ctx), key, cmd.Key != "")
	}
	if result.err != nil && ctx.Err() != nil {
		return Exit{}, context.Cause(ctx)
	}
	return result.exit, result.err
}

func (w *dockerWorkspace) begin(ctx context.Context, key string, cmd Command) error {
	_, err := w.shim.start(ctx, key, shim.Program{
		Args: cmd.Args, Env: append(append([]string{}, w.env...), cmd.Env...), Dir: w.begins(key), Input: cmd.Stdin != nil, Leaves: cmd.Leaves,
	})
	var refusal *shimRefusedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refusal):
		return errors.New(refusal.words)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return w.engine.gone(ctx, w.id, err)
}

// leaves reports whether ctx ended because sam node ends, and not the attempt.
func (w *dockerWorkspace) leaves(ctx context.Context) bool {
	var why *stopped
	if ctx.Err() == nil || errors.As(context.Cause(ctx), &why) {
		return false
	}
	select {
	case <-w.ending:
		return true
	default:
		return false
	}
}

// follow reads the program's output until its end. A stream that breaks is taken up again, unless the container is gone.
func (w *dockerWorkspace) follow(ctx context.Context, key string, cmd Command) (Exit, error) {
	from := int64(0)
	for failures := 0; ; {
		exit, next, err := w.shim.follow(ctx, key, from, cmd)
		var refusal *shimRefusedError
		switch {
		case err == nil && exit.Words != "":
			return Exit{}, fmt.Errorf("%s was ended: %s", programName(cmd), exit.Words)
		case err == nil:
			return Exit{Code: exit.Code, Signal: syscall.Signal(exit.Signal)}, nil
		case ctx.Err() != nil:
			return Exit{}, ctx.Err()
		case errors.As(err, &refusal):
			return Exit{}, fmt.Errorf("follow %s: %s", programName(cmd), refusal.words)
		}
		if next > from {
			failures = 0
		}
		if failures++; failures > 5 {
			return Exit{}, w.engine.gone(ctx, w.id, err)
		}
		from = next
		if after(ctx, 100*time.Millisecond) != nil {
			return Exit{}, ctx.Err()
		}
	}
}

func programName(cmd Command) string {
	name := strings.Join(cmd.Args, " ")
	return name[strings.LastIndexByte(strings.SplitN(name, " ", 2)[0], '/')+1:]
}

// climb takes one rung of the ladder after the other until the program has ended. The last is the container itself.
func (w *dockerWorkspace) climb(ctx context.Context, exited <-chan struct{}, key string, interrupt func()) {
	if interrupt != nil {
		interrupt()
		if within(exited, w.wait.interrupt) {
			return
		}
	}
	_ = w.shim.signal(ctx, key, syscall.SIGTERM) // what does not help is followed by what does
	if within(exited, w.wait.terminate) {
		return
	}
	_ = w.shim.signal(ctx, key, syscall.SIGKILL)
	if within(exited, 5*time.Second) {
		return
	}
	_ = w.engine.remove(ctx, w.id)
}

// tidy ends what a program left. Of an agent that is everything in the container: it may have started what it could not
// end itself.
func (w *dockerWorkspace) tidy(ctx context.Context, key string, agent bool) {
	ctx, cancel := context.WithTimeout(ctx, 2*engineAnswers)
	defer cancel()
	if agent {
		if err := w.shim.stopAll(ctx, 200*time.Millisecond); err != nil {
			var refusal *shimRefusedError
			if errors.As(err, &refusal) {
				_ = w.engine.remove(ctx, w.id) // what will not end ends so; what it left to push is lost, and told as that
			}
		}
		return
	}
	_ = w.shim.forget(ctx, key) // else it goes with the container
}

// Close removes the container, all that runs in it, and the services beside it.
func (w *dockerWorkspace) Close(ctx context.Context) error {
	w.shim.close()
	failed := []error{w.engine.removeBeside(ctx, w.thread), w.engine.remove(ctx, w.id)}
	for _, image := range w.trash {
		w.engine.discard(ctx, image)
	}
	if w.forward != nil {
		failed = append(failed, w.forward.close(ctx))
	}
	return errors.Join(append(failed, removeAll(string(w.run)))...)
}

// leave gives back what the workspace holds of this process, for another to go on.
func (w *dockerWorkspace) leave(ctx context.Context) error {
	w.shim.close()
	if w.forward == nil {
		return nil
	}
	return w.forward.close(ctx)
}
