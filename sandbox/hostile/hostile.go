package hostile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// Options are what a run is made with.
type Options struct {
	Binary      string            // the sam binary, static: it also runs in containers
	Intruder    string            // the program of package intruder, static
	Dir         string            // for all that the run writes; it must exist and be short enough for a socket's path
	Permissions map[string]string // of the App, as app.yml has them
	Events      []string
	// Loosen, when not nil, changes what the node asks its engine for a container: it takes a protection away.
	Loosen func(create map[string]any)
	// Vouch has heads that nobody vouches for pass for those of people who may write.
	Vouch bool
	// Only, when not nil, are the attempts to make. Those that are judged by a task's end, as outlive, are not made alone.
	Only []string
}

// runWithin bounds a run.
const runWithin = 5 * time.Minute

// Run makes every attempt and reports what came of them. An error means that the world could not be made, or that the honest
// task at the end did not work.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	ctx, cancel := context.WithTimeout(ctx, runWithin)
	defer cancel()
	if err := Ready(ctx); err != nil {
		return nil, err
	}
	w, err := build(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close(context.WithoutCancel(ctx))) }()
	if err := w.spring(ctx); err != nil {
		return nil, err
	}
	report := &Report{}
	err = w.acts(ctx, report)
	return report, err
}

// act is a part of a run: tasks that are asked for, and what came of the attempts in them.
type act struct {
	names []string // of attempts
	run   func(context.Context) ([]Result, error)
}

// acts has everything tried. The intruder is first, and the node to itself but for the task beside it; the rest is done in two
// lines, as many as the node has places.
func (w *world) acts(ctx context.Context, report *Report) error {
	intrusion := []string{"grant-replay", "token-elsewhere", "outlive", "token-after-end", "plant"}
	for _, a := range w.attempts(nil) {
		intrusion = append(intrusion, a.name)
	}
	greed := func(name string) act {
		return act{[]string{name}, func(ctx context.Context) ([]Result, error) { return w.exhaust(ctx, name) }}
	}
	if err := w.line(ctx, report, act{intrusion, w.intrude}); err != nil {
		return err
	}
	lines := [][]act{
		{{w.baited(), w.bait}, greed("fork-bomb"), greed("memory")},
		{{w.composedNames(), w.compose}, greed("flood"), greed("fill-disk")},
	}
	reports := make([]Report, len(lines))
	var group errgroup.Group
	for i, line := range lines {
		group.Go(func() error { return w.line(ctx, &reports[i], line...) })
	}
	err := group.Wait()
	for _, one := range reports {
		report.add(one.Results...)
	}
	if err != nil || w.options.Only != nil {
		return err
	}
	return w.honest(ctx)
}

// line does acts that have to do with what is wanted, one after the other.
func (w *world) line(ctx context.Context, report *Report, acts ...act) error {
	for _, a := range acts {
		if !slices.ContainsFunc(a.names, w.wants) {
			continue
		}
		results, err := a.run(ctx)
		if err != nil {
			return err
		}
		report.add(slices.DeleteFunc(results, func(r Result) bool { return !w.wants(r.Name) })...)
	}
	return nil
}

// wants reports whether an attempt is to be made.
func (w *world) wants(name string) bool {
	return w.options.Only == nil || slices.Contains(w.options.Only, name)
}

// scene is what an attempt is judged by.
type scene struct {
	world    *world
	task     *record
	box      *box   // of the attempt's container, as it was while it ran
	services []*box // that ran beside it, where that is looked at
	before   *state
	after    *state
	own      string // name of the attempt's report, when that is not the attempt's
}

// attempt is one thing that is tried in a workspace.
type attempt struct {
	name string
	told telling
	// judge looks from outside, and says what it saw. The report is the intruder's.
	judge func(context.Context, *scene, said) (Verdict, string)
}

// judged says what came of an attempt. One that was not made is untried, whatever is seen.
func (a attempt) judged(ctx context.Context, s *scene) Result {
	report, made := s.task.report(a.name)
	result := Result{Name: a.name}
	result.tell(s.task, a.told)
	switch {
	case !made:
		result.Verdict, result.Why = Untried, "the intruder says nothing of it; its task ended with "+s.task.reason()
	case !report.Ran:
		result.Verdict, result.Why = Untried, report.Said
	default:
		result.Verdict, result.Why = a.judge(ctx, s, said{report})
	}
	return result
}

// state is what can be compared before and after.
type state struct {
	refs    map[string]map[string]string // by repository
	files   map[string]string            // of the repository's branches
	mirror  map[string]string            // checksums
	program map[string]string            // of what is mounted into every workspace
	image   string                       // the engine's id of the image of workspaces
}

func (w *world) look(ctx context.Context) (*state, error) {
	s := &state{refs: map[string]map[string]string{}}
	var err error
	for _, name := range []string{repository, trapped, composed, bystander} {
		if s.refs[name], err = w.refs(ctx, name); err != nil {
			return nil, err
		}
	}
	if s.files, err = w.files(ctx, repository); err != nil {
		return nil, err
	}
	if s.mirror, err = sums(w.nodeDir() + "/mirrors"); err != nil {
		return nil, err
	}
	if s.program, err = sums(w.nodeDir() + "/agents"); err != nil {
		return nil, err
	}
	if s.image, err = run(ctx, "", "docker", "image", "inspect", "--format", "{{.Id}}", image); err != nil {
		return nil, err
	}
	sam, err := run(ctx, "", "sha256sum", w.options.Binary)
	if err != nil {
		return nil, err
	}
	s.program["sam"] = sam
	return s, nil
}

// stolen says which secret is among what was found, "" when none is.
func (w *world) stolen(loot []string) string {
	for _, found := range loot {
		for what, secret := range w.secrets {
			if len(found) >= 16 && (contains(found, secret) || contains(secret, found)) {
				return what
			}
		}
		if len(found) > 4 && found[:2] == "gh" && found[3] == '_' {
			return fmt.Sprintf("a token of GitHub's, %.8s…", found)
		}
	}
	return ""
}
