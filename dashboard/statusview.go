package dashboard

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"html/template"
	"slices"
	"strconv"
	"time"

	"sam/task"
)

// maxSummary bounds what a person or an agent wrote at the page's top; all of it stands on GitHub.
const maxSummary = 8 << 10

// statusView is all of a task that is not its events, as templates/status.html shows it.
type statusView struct {
	task.Task
	GitHub  string // the address of GitHub's web
	Name    string
	Words   string
	Sign    string
	Began   time.Time
	Model   string // what the agent says that it asks
	Tokens  int64  // spent, by the model broker's count
	Phases  []phase
	Plan    []task.PlanItem
	Done    int // of the plan
	Why     template.HTML
	Waiting template.HTML
	Asks    template.HTML // the question that the task waits with
	Told    template.HTML // the summary
	Retries int
	Left    bool
}

// IssueURL is the page of the issue or pull request.
func (s statusView) IssueURL() string {
	kind := "issues"
	if s.OnPull {
		kind = "pull"
	}
	return fmt.Sprintf("%s/%s/%s/%d", s.GitHub, s.Repository, kind, s.Number)
}

// Until is when the question is given up.
func (s statusView) Until() time.Time { return s.Ask.Asked.Add(task.Deadline(task.Waiting)) }

// PullLink is the page of the pull request, "" while there is none.
func (s statusView) PullLink() string {
	if s.PullURL != "" || s.Pull == 0 {
		return s.PullURL
	}
	return fmt.Sprintf("%s/%s/pull/%d", s.GitHub, s.Repository, s.Pull)
}

// phase is one part of the progress bar. Mode is done, now, todo, bad or skipped.
type phase struct {
	Name  string
	Mode  string
	At    time.Time
	Took  string
	Steps []phaseStep
}

type phaseStep struct {
	Name task.StepName
	Done bool
	MS   int64
	Note string
}

// way are the phases before the last; waiting is a part of running.
var way = []task.State{task.Queued, task.Placing, task.Preparing, task.Running, task.Publishing}

func phases(t task.Task, sum tally) []phase {
	here := 0
	for i, s := range way {
		if s == t.State || t.State == task.Waiting && s == task.Running {
			here = i
		}
		if _, was := t.At[s]; t.State.Final() && was {
			here = i
		}
	}
	if t.State == task.Succeeded {
		here = len(way)
	}
	var all []phase
	for i, s := range way {
		p := phase{Name: string(s), Mode: "todo", At: t.At[s]}
		switch {
		case i < here && !p.At.IsZero():
			p.Mode = "done"
		case i < here:
			p.Mode = "skipped"
		case i == here && t.State.Final():
			p.Mode = "bad"
		case i == here:
			p.Mode = "now"
		}
		if p.Mode == "done" || p.Mode == "bad" {
			p.Took = duration(until(t, i).Sub(p.At))
		}
		if p.Mode == "todo" {
			p.At = time.Time{}
		}
		if s == task.Preparing && p.Mode != "todo" {
			p.Steps = preparation(sum)
		}
		all = append(all, p)
	}
	last := phase{Name: "done", Mode: "todo"}
	if t.State.Final() {
		last.At = t.At[t.State]
	}
	switch t.State {
	case task.Succeeded:
		last.Mode = "done"
	case task.Failed:
		last.Name, last.Mode = "failed", "bad"
	case task.Cancelled:
		last.Name, last.Mode = "stopped", "bad"
	}
	return append(all, last)
}

// until is when the task went on from the i-th phase.
func until(t task.Task, i int) time.Time {
	for _, s := range way[i+1:] {
		if next, ok := t.At[s]; ok && !next.Before(t.At[way[i]]) {
			return next
		}
	}
	if end, ok := t.At[t.State]; ok && t.State.Final() {
		return end
	}
	return t.At[way[i]]
}

func preparation(sum tally) []phaseStep {
	steps := []phaseStep{{Name: task.StepMirror}, {Name: task.StepWorkspace}, {Name: task.StepAgent}}
	if slices.ContainsFunc(sum.steps, func(s task.Step) bool { return s.Name == task.StepEnvironment }) { // of a repository that asks for one
		steps = slices.Insert(steps, 2, phaseStep{Name: task.StepEnvironment})
	}
	for _, done := range sum.steps {
		for i := range steps {
			if steps[i].Name == done.Name {
				steps[i].Done, steps[i].MS, steps[i].Note = !done.UnderWay, done.MS, line(done.Note, 120)
			}
		}
	}
	return steps
}

func (d *Dashboard) statusOf(t task.Task, sum tally) statusView {
	s := statusView{
		Task: t, GitHub: d.github, Name: name(t), Words: words(t.State), Sign: stateSigns[t.State],
		Began: cmp.Or(t.Accepted, t.At[task.Queued], t.Created), Model: sum.model,
		Tokens: t.Spent.Input + t.Spent.Output + t.Spent.CacheRead + t.Spent.CacheWrite,
		Phases: phases(t, sum), Plan: sum.plan, Retries: sum.retries,
	}
	for _, item := range sum.plan {
		if item.Status == "done" {
			s.Done++
		}
	}
	written := func(words string) template.HTML {
		if words == "" {
			return ""
		}
		return d.render.markdown.html(head(words, maxSummary))
	}
	switch {
	case t.State.Final() && t.State != task.Succeeded:
		s.Why = written(t.Failure)
	case t.State == task.Succeeded:
		s.Told = written(t.Summary)
	default:
		s.Waiting = written(t.Waits)
	}
	if t.State == task.Waiting && t.Ask != nil {
		s.Asks = written(t.Ask.Text)
	}
	s.Left = t.State.Final() && sum.end != nil && sum.end.Left
	return s
}

// Took is how long a finished task took, "" while it is under way.
func (s statusView) Took() string {
	if !s.State.Final() {
		return ""
	}
	if end, ok := s.At[s.State]; ok {
		return duration(end.Sub(s.Began))
	}
	return ""
}

// part is a piece of the page, with a version that tells whether it has changed.
type part struct {
	Version string        `json:"version"`
	HTML    template.HTML `json:"html"`
}

// partNames are the pieces that a status carries; templates/status.html defines each.
var partNames = []string{"head", "phases", "outcome", "plan", "facts"}

func (d *Dashboard) parts(t task.Task, sum tally) (map[string]part, error) {
	s := d.statusOf(t, sum)
	all := map[string]part{}
	for _, name := range partNames {
		text, err := d.render.execute("status-"+name, s)
		if err != nil {
			return nil, err
		}
		hash := fnv.New32a()
		_, _ = hash.Write([]byte(text)) // it returns no error
		all[name] = part{strconv.FormatUint(uint64(hash.Sum32()), 36), text}
	}
	return all, nil
}

// statusMessage is the data of a status message.
func (d *Dashboard) statusMessage(t task.Task, sum tally) ([]byte, error) {
	parts, err := d.parts(t, sum)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(struct {
		Topic string          `json:"topic"`
		State task.State      `json:"state"`
		Words string          `json:"words"`
		Final bool            `json:"final"`
		Parts map[string]part `json:"parts"`
	}{topic{task: t.ID}.String(), t.State, words(t.State), t.State.Final(), parts})
	if err != nil {
		return nil, fmt.Errorf("encode the status of task %s: %w", t.ID, err)
	}
	return data, nil
}
