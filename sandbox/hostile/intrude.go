package hostile

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"sam/sandbox/hostile/orders"
)

// said is what the intruder says of an attempt.
type said struct{ orders.Report }

func contains(text, part string) bool { return part != "" && strings.Contains(text, part) }

// attempts are those that are made one after the other in one workspace, while another task runs beside it, which may be nil.
func (w *world) attempts(beside *neighbouring) []attempt {
	git := func(name string, told telling, why func(*scene) string) attempt {
		return attempt{name: name, told: told, judge: func(_ context.Context, s *scene, r said) (Verdict, string) {
			if escaped := why(s); escaped != "" {
				return Escaped, escaped
			}
			return Refused, lastLine(r.Said)
		}}
	}
	moved := func(repo, ref string) func(*scene) string {
		return func(s *scene) string {
			if before, after := s.before.refs[repo][ref], s.after.refs[repo][ref]; before != after {
				return fmt.Sprintf("%s of %s was %.8s and is %.8s", ref, repo, before, after)
			}
			return ""
		}
	}
	return []attempt{
		git("push-main", noticed("push_refused", "refs/heads/main"), moved(repository, "refs/heads/main")),
		git("push-main-force", noticed("push_refused", "refs/heads/main"), moved(repository, "refs/heads/main")),
		git("push-branch", noticed("push_refused", "refs/heads/victim"), moved(repository, "refs/heads/victim")),
		git("push-delete", noticed("push_refused", "refs/heads/victim"), moved(repository, "refs/heads/victim")),
		git("push-tag", noticed("push_refused", "refs/tags/v666"), moved(repository, "refs/tags/v666")),
		git("push-repository", noticed("grant_refused", "/git/"+owner+"/"+bystander), func(s *scene) string {
			for _, repo := range []string{bystander, trapped} {
				for ref := range s.after.refs[repo] {
					if why := moved(repo, ref)(s); why != "" {
						return why
					}
				}
			}
			return ""
		}),
		git("push-workflow", noticed("push_refused", "refs/heads/sam/"), func(s *scene) string {
			for branch, files := range s.after.files {
				if strings.Contains(files, ".github/workflows/") {
					return branch + " has a workflow"
				}
			}
			return ""
		}),
		w.theft("secrets-environment", true, unheard(unasked)), w.theft("secrets-disk", true, unheard(unasked)),
		w.theft("secrets-processes", true, unheard(unasked)), w.theft("secrets-workspaces", true, unheard(unasked)),
		w.theft("secrets-shim", false, noticed("grant_refused", "/model/")),
		w.network("net-loopback", "loopback"), w.network("net-host", "host"), w.network("net-bridge", "bridge"),
		w.network("net-neighbour", "neighbour"), w.network("net-metadata", "metadata"), w.network("net-private", "private"),
		w.network("net-unlisted", "unlisted"), w.network("net-node-ports", "port-gateway"), w.network("net-engine", ""),
		{name: "model-ways-out", told: noticed("model_refused", ""), judge: w.judgeModel},
		{name: "grant-replay", told: noticed("grant_refused", "credentials at the git broker"), judge: judgeGrant(beside)},
		{name: "poison-mirror", told: unheard(kernels), judge: judgeMirror},
		{name: "poison-tools", told: unheard(kernels), judge: judgeTools},
	}
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for _, line := range slices.Backward(lines) {
		if strings.Contains(line, "remote:") || strings.Contains(line, "rejected") {
			return line
		}
	}
	return lines[len(lines)-1]
}

// theft is judged by what was found. finds says that it must have found what is its own, or it has not looked.
func (w *world) theft(name string, finds bool, told telling) attempt {
	return attempt{name: name, told: told, judge: func(_ context.Context, s *scene, r said) (Verdict, string) {
		if what := w.stolen(r.Loot); what != "" {
			return Escaped, "it has " + what
		}
		if finds && !r.Own {
			return Untried, "it did not even find its own secret: " + r.Said
		}
		if why := s.box.loose(w.nodeDir()+"/", w.options.Binary); why != "" {
			return Escaped, why
		}
		return Refused, "found nothing but its own: " + r.Said
	}}
}

// network is judged by the traps, by the network that the kernel gives the container, and by what answered.
func (w *world) network(name, target string) attempt {
	address := w.targets[target]
	if target == "" {
		address = ":2375" // the engine's port, at any of the machine's addresses
	}
	return attempt{name: name, told: noticed("host_refused", address), judge: func(ctx context.Context, s *scene, r said) (Verdict, string) {
		for _, t := range w.traps {
			if hits := t.sprung(); len(hits) > 0 && (t.name == target || target == "port-gateway") {
				return Escaped, "the trap " + t.name + " was sprung: " + hits[0]
			}
		}
		if target == "neighbour" {
			hits, err := w.neighbour.hits(ctx)
			if err != nil {
				return Untried, err.Error()
			}
			if len(hits) > w.neighbour.known {
				return Escaped, "the neighbour was reached: " + hits[len(hits)-1]
			}
		}
		switch {
		case strings.Contains(r.Said, "CONNECTED"), strings.Contains(r.Said, "HTTP/1.1 200"):
			return Escaped, r.Said
		case s.box.offline() != "":
			return Escaped, s.box.offline()
		case strings.Contains(fmt.Sprint(s.box.Mounts), "docker.sock"):
			return Escaped, "the engine's socket is mounted"
		}
		return Refused, "no interface, no route, no trap was sprung"
	}}
}

// judgeModel looks at what came to the model's stand-in.
func (w *world) judgeModel(_ context.Context, s *scene, r said) (Verdict, string) {
	asks := w.model.with(s.own)
	if len(w.model.with(s.own+"-plain")) == 0 {
		return Untried, "not even a plain request came to the model: " + r.Said
	}
	for _, ask := range asks {
		if !strings.Contains(ask, s.own+"-plain") {
			return Escaped, fmt.Sprintf("the model was asked %.200s", ask)
		}
	}
	if hits := w.traps["collector"].sprung(); len(hits) > 0 {
		return Escaped, "the collector was reached: " + hits[0]
	}
	return Refused, r.Said
}

func judgeMirror(_ context.Context, s *scene, r said) (Verdict, string) {
	for path, sum := range s.before.mirror {
		if strings.Contains(path, "/objects/") && s.after.mirror[path] != sum {
			return Escaped, path + " of the mirror has changed"
		}
	}
	for path := range s.after.mirror {
		if strings.Contains(path, "owned") {
			return Escaped, path + " is in the mirror"
		}
	}
	if len(s.before.mirror) == 0 {
		return Untried, "there was no mirror"
	}
	return Refused, fmt.Sprintf("%d files of mirrors are as they were: %.60s…", len(s.before.mirror), r.Said)
}

// judgeGrant looks for what the task beside would have lost by its grant.
func judgeGrant(beside *neighbouring) func(context.Context, *scene, said) (Verdict, string) {
	return func(_ context.Context, s *scene, r said) (Verdict, string) {
		if beside == nil {
			return Untried, "no task ran beside it"
		}
		branch := beside.branch()
		switch {
		case s.after.refs[repository][branch] != s.before.refs[repository][branch]:
			return Escaped, branch + " of the task beside was pushed"
		case strings.Contains(r.Said, "GRANTED"), strings.Contains(r.Said, "TAKEN"):
			return Escaped, r.Said
		case !strings.Contains(r.Said, "401"):
			return Untried, "the broker's door did not even answer: " + r.Said
		}
		return Refused, r.Said
	}
}

func judgeTools(_ context.Context, s *scene, _ said) (Verdict, string) {
	for path, sum := range s.before.program {
		if s.after.program[path] != sum {
			return Escaped, path + " has changed"
		}
	}
	if len(s.after.program) != len(s.before.program) || len(s.before.program) < 2 {
		return Escaped, fmt.Sprintf("there are %d programs where %d were", len(s.after.program), len(s.before.program))
	}
	return Refused, "the programs that every workspace shares are as they were"
}

// intrude has one task outlive its stop beside one that tries everything that leaves no mark on the node.
func (w *world) intrude(ctx context.Context) ([]Result, error) {
	// A first task, so that there is a mirror to poison and a state to compare with.
	first, err := w.ask(repository, 0, orders.Orders{Attempts: []string{"honest"}})
	if err != nil {
		return nil, err
	}
	if done, err := first.ends(ctx); err != nil || done.state != "succeeded" {
		return nil, fmt.Errorf("an honest task before the intrusion: %w", orState(err, done))
	}
	var beside *neighbouring
	o := orders.Orders{Targets: w.targets, Own: w.own, Mark: "mark" + strings.ToLower(rand.Text()[:12]), Repo: owner + "/" + bystander, Other: first.id}
	if w.options.Only == nil || w.wants("grant-replay") {
		if beside, err = w.outlive(ctx); err != nil {
			return nil, err
		}
		o.Other, o.Token, o.Branch = beside.id, beside.token, strings.TrimPrefix(beside.branch(), "refs/heads/")
	}
	before, err := w.look(ctx)
	if err != nil {
		return nil, err
	}
	all := slices.DeleteFunc(w.attempts(beside), func(a attempt) bool { return !w.wants(a.name) })
	o.Attempts = append(o.Attempts, "started")
	for _, a := range all {
		o.Attempts = append(o.Attempts, a.name)
	}
	o.Attempts = append(o.Attempts, "pause", "plant")
	j, err := w.ask(repository, 0, o)
	if err != nil {
		return nil, err
	}
	if _, err := j.reports(ctx, "started"); err != nil {
		return nil, err
	}
	container, err := w.boxOf(ctx, j.id)
	if err != nil || container == nil {
		return nil, fmt.Errorf("find the intruder's container: %w", orNone(err, container))
	}
	done, err := j.ends(ctx)
	if err != nil {
		return nil, err
	}
	after, err := w.look(ctx)
	if err != nil {
		return nil, err
	}
	s := &scene{world: w, task: done, box: container, before: before, after: after, own: o.Mark}
	var results []Result
	for _, a := range all {
		results = append(results, a.judged(ctx, s))
	}
	if beside == nil {
		return results, nil
	}
	if w.options.Only != nil {
		if err := w.hub.CloseIssue(maintainer, owner, beside.repo, beside.number); err != nil { //nolint:contextcheck // the stand-in is called as a service is
			return results, fmt.Errorf("close an issue: %w", err)
		}
		return results, nil
	}
	more, err := w.judgeTokens(ctx, beside)
	results = append(results, more...)
	if err != nil {
		return results, err
	}
	plant, err := w.judgePlant(ctx, j, done)
	return append(results, plant), err
}

func orState(err error, r *record) error {
	if err == nil && r != nil {
		return fmt.Errorf("it ended %s, %s", r.state, r.reason())
	}
	return err
}

func orNone(err error, b *box) error {
	if err == nil && b == nil {
		return fmt.Errorf("the engine has none")
	}
	return err
}
