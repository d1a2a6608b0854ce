package hostile

import (
	"slices"
	"strings"
)

// telling is how a task's page is to tell of an attempt: by an event of SAM's own that names what was refused or cut. An
// agent's words tell nothing.
type telling struct {
	code  string // a notice's, "finished" for how the attempt ended, or a step's name
	names string // in the notice's subject, the end's reason or the step's note
	// nobody says why there is none, for docs/hostile.md: an attempt has either.
	nobody string
}

// noticed is told by a notice.
func noticed(code, names string) telling { return telling{code: code, names: names} }

// unheard is told to nobody, and why.
func unheard(why string) telling { return telling{nobody: why} }

// Why there is nobody to tell.
const (
	unasked = "it read what anybody there may read: nothing was asked for that SAM could refuse"
	kernels = "the kernel refuses it in the container, and nothing of it comes to SAM"
)

// tells reports whether the task's page does.
func (r *record) tells(of telling) bool {
	return of.nobody == "" && slices.ContainsFunc(r.events, func(e event) bool {
		switch e.Kind {
		case "noticed":
			return e.Notice.Code == of.code && strings.Contains(e.Notice.Subject, of.names)
		case "finished":
			return of.code == "finished" && strings.Contains(e.End.Reason, of.names)
		case "stepped":
			return of.code == e.Step.Name && strings.Contains(e.Step.Note, of.names)
		}
		return false
	})
}

// tell notes whether a task's page tells of a result, and who else is to be told when it need not.
func (r *Result) tell(task *record, of telling) {
	r.Told, r.Nobody = task.tells(of), of.nobody
}
