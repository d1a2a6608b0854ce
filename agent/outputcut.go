package agent

import (
	"context"
	"fmt"
	"sync"

	"sam/task"
)

// codeOutputCut is the code of the notice that something an agent printed was left out. It is told in its place among the
// driver's events, and again, the same, when the output is read again after a restart.
const codeOutputCut = "output_cut"

// maxCutNotices is how many cuts of one program are told one by one. The last notice says that more may follow.
const maxCutNotices = 10

// attentive is a workspace that notices where an agent's output is cut.
type attentive struct {
	Workspace
	emit func(task.Event) error
}

// Exec implements Workspace.
func (w *attentive) Exec(ctx context.Context, cmd Command) (Exit, error) {
	if cmd.Key != agentKey || cmd.Cut != nil {
		return w.Workspace.Exec(ctx, cmd)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	count := 0
	var refused error
	cmd.Cut = func(bytes int64) {
		mu.Lock()
		defer mu.Unlock()
		if count++; count > maxCutNotices || refused != nil {
			return
		}
		if refused = w.emit(cutNotice(bytes, count == maxCutNotices)); refused != nil {
			cancel(refused) // nothing more can be recorded
		}
	}
	exit, err := w.Workspace.Exec(ctx, cmd)
	mu.Lock()
	defer mu.Unlock()
	if refused != nil {
		return exit, refused
	}
	return exit, err
}

func cutNotice(bytes int64, last bool) task.Event {
	text := fmt.Sprintf("The agent printed more, and faster, than is kept: %s are left out here. It was not held up, and what it does goes on; what it did shows in its commits.", size(bytes))
	if last {
		text += " Output that is left out after this is not told one by one."
	}
	return task.Event{Kind: task.Noticed, Text: text, Notice: &task.Notice{Code: codeOutputCut, Subject: size(bytes)}}
}

// cutMark stands in a program's output where something is left out.
func cutMark(bytes int64) string { return "[SAM: " + size(bytes) + " of output are left out here]" }

// size is a number of bytes for a person.
func size(bytes int64) string {
	switch {
	case bytes >= 10<<30:
		return fmt.Sprintf("%d GiB", bytes>>30)
	case bytes >= 10<<20:
		return fmt.Sprintf("%d MiB", bytes>>20)
	case bytes >= 10<<10:
		return fmt.Sprintf("%d KiB", bytes>>10)
	}
	return fmt.Sprintf("%d bytes", bytes)
}
