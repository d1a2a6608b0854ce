package hostile

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sam/sandbox/hostile/orders"
)

// composedFiles are a repository whose compose file asks for the host, and whose image is another one each time that it is made:
// who gets the same has got what somebody else made.
func (w *world) composedFiles() map[string][]byte {
	outside := filepath.Join(w.options.Dir, "outside")
	return map[string][]byte{
		".devcontainer/devcontainer.json": []byte(`{"dockerComposeFile": "compose.yml", "service": "dev"}`),
		".devcontainer/Dockerfile":        []byte("FROM " + image + "\nLABEL " + labelRun + "=" + w.options.Dir + "\nUSER 0\nRUN head -c 16 /dev/urandom | od -An -tx1 >/made\nUSER 1000\n"),
		".devcontainer/compose.yml": []byte(`services:
  dev:
    build: {context: ., dockerfile: Dockerfile, network: host, cache_from: [sam-workspace:latest], privileged: true}
    privileged: true
    cap_add: [ALL]
    security_opt: [seccomp=unconfined]
    network_mode: host
    pid: host
    ipc: host
    userns_mode: host
    devices: ["/dev/kmsg:/dev/kmsg"]
    volumes: ["` + outside + `:/mnt/host", "/var/run/docker.sock:/var/run/docker.sock", "/:/mnt/root"]
    env_file: ["` + outside + `/canary"]
    ports: ["0.0.0.0:9:9"]
    cgroup_parent: /
  second:
    image: ` + image + `
    privileged: true
    network_mode: host
    pid: host
    cap_add: [ALL]
    volumes: ["` + w.ownedDir() + `:/owned", "/var/run/docker.sock:/var/run/docker.sock"]
    entrypoint: ["sh", "-c", "touch /owned/by-second; sleep 600"]
`),
	}
}

// composes are what the compose file asks for.
func (w *world) composes() []attempt {
	refused := func(name string) telling { return noticed("devcontainer_refused", name) }
	return []attempt{
		unless("compose-mounts", refused("volumes"), w.loose),
		unless("compose-privileges", refused("privileged"), w.loose),
		unless("compose-namespaces", refused("pid"), w.loose),
		unless("compose-network", refused("network_mode"), func(s *scene, _ said) string { return s.box.offline() }),
		unless("compose-environment", refused("env_file"), func(_ *scene, r said) string { return w.stolen(r.Loot) }),
		unless("compose-services", refused("the compose service second"), w.second),
	}
}

// second says what the service beside the workspace has that it should not.
func (w *world) second(s *scene, r said) string {
	if why := w.ran("second")(s, r); why != "" {
		return why
	}
	for _, one := range s.services {
		if why := one.loose() + one.wired(); why != "" {
			return why
		}
	}
	return ""
}

// buildCache is the name of the attempt to have others work in an image that nobody vouches for.
const buildCache = "poison-build-cache"

func (w *world) composedNames() []string {
	names := []string{buildCache}
	for _, a := range w.composes() {
		names = append(names, a.name)
	}
	return names
}

// compose has tasks work in that repository: one on a head that nobody vouches for, and two that are vouched for.
func (w *world) compose(ctx context.Context) ([]Result, error) {
	w.doubt.on.Store(!w.options.Vouch)
	poisoner, s, err := w.furnished(ctx, "made", "pause")
	w.doubt.on.Store(false)
	if err != nil {
		return nil, err
	}
	var results []Result
	for _, a := range w.composes() {
		results = append(results, a.judgedAs(ctx, s, "made"))
	}
	first, _, err := w.furnished(ctx, "made")
	if err != nil {
		return results, err
	}
	second, _, err := w.furnished(ctx, "made")
	if err != nil {
		return results, err
	}
	result := Result{Name: buildCache, Verdict: Refused, Why: "its image was made apart, and is gone; the next task's is its own, and is used again"}
	result.tell(s.task, telling{code: "environment", names: "built apart"})
	left, err := w.untrustedImages(ctx)
	switch {
	case err != nil:
		return results, err
	case !w.options.Vouch && w.doubt.marked.Load() != 1:
		result.Verdict, result.Why = Untried, fmt.Sprintf("%d heads passed for ones that nobody vouches for", w.doubt.marked.Load())
	case poisoner == "" || first == "" || second == "":
		result.Verdict, result.Why = Untried, fmt.Sprintf("the images have %q, %q and %q", poisoner, first, second)
	case first == poisoner || second == poisoner:
		result.Verdict, result.Why = Escaped, "a task worked in the image of a head that nobody vouches for"
	case left != "":
		result.Verdict, result.Why = Escaped, "that head's image is still there: "+left
	case first != second:
		result.Verdict, result.Why = Untried, "no image is used again, so nothing could be poisoned"
	}
	return append(results, result), nil
}

// furnished has a task work in the repository, and returns what its image has, "" when it worked in another. When the task
// pauses, its container is looked at.
func (w *world) furnished(ctx context.Context, attempts ...string) (made string, s *scene, err error) {
	j, err := w.ask(composed, 0, orders.Orders{Attempts: attempts, Own: w.own})
	if err != nil {
		return "", nil, err
	}
	var container *box
	var services []*box
	if slices.Contains(attempts, "pause") {
		if _, err := j.reports(ctx, "made"); err != nil {
			return "", nil, err
		}
		if container, err = w.boxOf(ctx, j.id); err != nil || container == nil {
			return "", nil, fmt.Errorf("find the container of the repository with a compose file: %w", orNone(err, container))
		}
	}
	if container != nil {
		if services, err = servicesOf(ctx, j.id); err != nil || len(services) != 1 {
			return "", nil, fmt.Errorf("find the service beside the repository with a compose file: there are %d (%w)", len(services), orNone(err, nil))
		}
	}
	done, err := j.ends(ctx)
	if err != nil {
		return "", nil, err
	}
	if err := w.leaves(ctx, j); err != nil {
		return "", nil, err
	}
	if report, ran := done.report("made"); ran && report.Ran {
		made = report.Said
	}
	return made, &scene{world: w, task: done, box: container, services: services}, nil
}

// untrustedImages are those of this run that are kept for heads that nobody vouches for.
func (w *world) untrustedImages(ctx context.Context) (string, error) {
	all, err := run(ctx, "", "docker", "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "label="+labelRun+"="+w.options.Dir)
	if err != nil {
		return "", err
	}
	var found []string
	for _, name := range strings.Fields(all) {
		if strings.HasSuffix(name, "-untrusted") {
			found = append(found, name)
		}
	}
	return strings.Join(found, " "), nil
}

// setOutside puts a canary where only the host may read.
func (w *world) setOutside() error {
	outside := filepath.Join(w.options.Dir, "outside")
	if err := os.MkdirAll(outside, 0o755); err != nil { //nolint:gosec // G301: likewise
		return fmt.Errorf("make what is outside: %w", err)
	}
	if err := os.WriteFile(filepath.Join(outside, "canary"), []byte(w.secret("host")), 0o644); err != nil { //nolint:gosec // G306: it is there to be read
		return fmt.Errorf("make what is outside: %w", err)
	}
	return nil
}
