package agent

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"

	"sam/agent/devcontainer"
	"sam/agent/wire"
	"sam/task"
)

// hostile is a configuration with all that is refused; marker is a folder of the node's in which nothing may come to be.
func hostile(marker string) string {
	return `"initializeCommand": "touch ` + marker + `/initialized",
		"mounts": ["source=` + marker + `,target=/host,type=bind", {"source": "` + marker + `", "target": "/host2", "type": "bind"}],
		"workspaceMount": "source=` + marker + `,target=/workspace,type=bind",
		"runArgs": ["--privileged", "--network=host", "-v", "` + marker + `:/host3"],
		"privileged": true, "capAdd": ["SYS_ADMIN"], "securityOpt": ["seccomp=unconfined"], "appPort": [8080], "entrypoint": "/host/run",
		"containerEnv": {"STOLEN": "${localEnv:HOME}", "KEPT": "kept"}, "remoteEnv": {"WHERE": "${localWorkspaceFolder}"}`
}

const look = `ls -d /host /host2 /host3 2>/dev/null; ls /sys/class/net; grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; echo "[$STOLEN$WHERE]$KEPT"; id -u`

// kept is what look prints in a container that got nothing of it.
func kept(t *testing.T, f furnished) {
	t.Helper()
	f.done(t)
	for _, want := range []string{"lo\n", "CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n", "[]kept\n1000\n"} {
		if !strings.Contains(f.said, want) {
			t.Errorf("%q is not in what it sees:\n%s", want, f.said)
		}
	}
	if strings.Contains(f.said, "/host") || strings.Contains(f.said, "eth0") {
		t.Errorf("it sees\n%s", f.said)
	}
}

var refusedProperties = []string{
	"initializeCommand", "mounts", "workspaceMount", "runArgs", "privileged", "capAdd", "securityOpt", "appPort", "entrypoint", "containerEnv.STOLEN", "remoteEnv.WHERE",
}

func TestWhatReachesBeyondTheContainerIsRefusedWhereverItStands(t *testing.T) {
	t.Parallel()
	e := docker(t)
	marker := t.TempDir()
	inLabel := e.imageOf(t, "FROM "+DefaultImage+"\nLABEL devcontainer.metadata='[{"+
		strings.ReplaceAll(hostile(marker), "\n", " ")+"}]' sam.owner=nobody sam.folder=/elsewhere\nVOLUME /host4\n")
	for _, row := range []struct {
		name, source string
		files        map[string]string
	}{
		{"in devcontainer.json", "", map[string]string{".devcontainer.json": `{"image": "` + DefaultImage + `", ` + hostile(marker) + `}`}},
		{"in an image's label", " (the image's label)", map[string]string{".devcontainer.json": `{"image": "` + inLabel + `"}`}},
		{"in a feature", " (the feature ./evil)", map[string]string{
			".devcontainer/devcontainer.json":              `{"image": "` + DefaultImage + `", "containerEnv": {"KEPT": "kept"}, "features": {"./evil": {}}}`,
			".devcontainer/evil/devcontainer-feature.json": `{"id": "evil", ` + strings.Replace(hostile(marker), `"KEPT": "kept"`, `"OTHER": "x"`, 1) + `}`,
			".devcontainer/evil/install.sh":                "#!/bin/sh\nls -d " + marker + " && exit 1\nexit 0\n",
		}},
		{"in a compose file", " (the compose service app)", map[string]string{
			".devcontainer/devcontainer.json": `{"dockerComposeFile": ["compose.yml"], "service": "app", ` + hostile(marker) + `}`,
			".devcontainer/compose.yml": "services:\n  app:\n    image: " + DefaultImage + "\n    privileged: true\n    network_mode: host\n    pid: host\n    cap_add: [ALL]\n" +
				"    volumes: ['" + marker + ":/host']\n    environment: [\"KEPT=kept\"]\n  db:\n    image: " + DefaultImage + "\n    privileged: true\n    network_mode: host\n" +
				"    volumes: ['" + marker + ":/host']\n    command: [sh, -c, 'touch /host/by-db; sleep 1000']\n",
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			y := e.repository(t, row.files, look)
			f := y.work()
			kept(t, f)
			source := row.source
			properties := refusedProperties
			if row.name == "in a compose file" {
				source = ""
				for _, one := range []string{"privileged", "network_mode", "pid", "cap_add", "volumes"} {
					if !f.noticed(devcontainer.Refused, one+row.source, "refused") {
						t.Errorf("%s of the service is not told: %q", one, f.notices())
					}
				}
				for _, one := range []string{"privileged", "network_mode", "volumes"} {
					if !f.noticed(devcontainer.Refused, one+" (the compose service db)", "refused") {
						t.Errorf("%s of the other service is not told: %q", one, f.notices())
					}
				}
			}
			for _, property := range properties {
				if !f.noticed(devcontainer.Refused, property+source, "refused") {
					t.Errorf("%s is not told: %q", property, f.notices())
				}
			}
			if left, err := os.ReadDir(marker); err != nil || len(left) > 0 {
				t.Errorf("on the node there is %v, %v", left, err)
			}
		})
	}
}

func TestAnEnvironmentThatCannotBeHadIsToldAndTheWorkGoesOnInTheDefaultImage(t *testing.T) {
	t.Parallel()
	e := docker(t)
	marker := t.TempDir()
	if err := os.WriteFile(filepath.Join(marker, "secret"), []byte("of the node"), 0o644); err != nil {
		t.Fatal(err)
	}
	dockerfile := func(text string) map[string]string {
		return map[string]string{".devcontainer/devcontainer.json": `{"build": {"dockerfile": "Dockerfile"}}`, ".devcontainer/Dockerfile": text}
	}
	triggers := e.imageOf(t, "FROM "+DefaultImage+"\nONBUILD ADD http://127.0.0.1:9/latest /x\n")
	for _, row := range []struct {
		name  string
		files map[string]string
		code  devcontainer.Code
		words string
	}{
		{"a file that is broken", map[string]string{".devcontainer.json": "{\n  \"image\": \"x\",\n  oops\n}"}, devcontainer.Failed, "line 3"},
		{"a file without an image", map[string]string{".devcontainer.json": `{"name": "x"}`}, devcontainer.Failed, "neither image nor build"},
		{"a build that fails", dockerfile(fromDefault + "RUN echo compiling && false\n"), devcontainer.Failed, "compiling"},
		{"an image that is nowhere", map[string]string{".devcontainer.json": `{"image": "registry.example.com/no/such:image"}`}, devcontainer.Refused, "not fetched from registry.example.com"},
		{"an image of the node's neighbours", map[string]string{".devcontainer.json": `{"image": "127.0.0.1:5000/x"}`}, devcontainer.Refused, "not the name of a public registry"},
		{"an image of another project's", map[string]string{".devcontainer.json": `{"image": "` + devcontainer.CacheName + `:x"}`}, devcontainer.Refused, "one project each"},
		{"an image by its number", dockerfile("FROM 26d0\n"), devcontainer.Refused, "another project's image"},
		{"a stage of another project's", dockerfile(fromDefault + "COPY --from=" + devcontainer.CacheName + ":x / /\n"), devcontainer.Refused, "one project each"},
		{"a context outside", map[string]string{".devcontainer.json": `{"build": {"dockerfile": "Dockerfile", "context": "../.."}}`, "Dockerfile": fromDefault}, devcontainer.Refused, "leads out of the repository"},
		{"a context behind a link", map[string]string{".devcontainer.json": `{"build": {"dockerfile": "Dockerfile", "context": "linked"}}`, "Dockerfile": fromDefault + "COPY . /stolen\n", "linked": "-> " + marker}, devcontainer.Refused, "leads out of the repository"},
		{"a Dockerfile behind a link", map[string]string{".devcontainer.json": `{"build": {"dockerfile": "Dockerfile"}}`, "Dockerfile": "-> " + marker + "/secret"}, devcontainer.Refused, "leads out of the repository"},
		{"an address that the engine would fetch", dockerfile(fromDefault + "ADD \\\n  http://169.254.169.254/latest /x\n"), devcontainer.Refused, "past the workspace's network"},
		{"the same with a return for a blank", dockerfile(fromDefault + "ADD\rhttp://169.254.169.254/latest /x\n"), devcontainer.Failed, "begins with no instruction"},
		{"an image that has the engine fetch one when features are built on it", map[string]string{
			".devcontainer/devcontainer.json": `{"image": "` + triggers + `", "features": {"./f": {}}}`, ".devcontainer/f/devcontainer-feature.json": `{"id": "f"}`, ".devcontainer/f/install.sh": "#!/bin/sh\n",
		}, devcontainer.Refused, "past the workspace's network"},
		{"a compose file outside", map[string]string{".devcontainer.json": `{"dockerComposeFile": "../../compose.yml", "service": "a"}`}, devcontainer.Refused, "leads out of the repository"},
		{"a choice that is not there", map[string]string{".devcontainer/one/devcontainer.json": `{"image": "` + DefaultImage + `"}`}, devcontainer.Failed, "the repository has: one"},
		{"an image in which nothing starts", map[string]string{".devcontainer/devcontainer.json": `{"build": {"dockerfile": "Dockerfile"}}`, ".devcontainer/Dockerfile": "FROM scratch\nCOPY Dockerfile /workspace\n"}, devcontainer.Failed, "Start a container of its image"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			y := e.repository(t, row.files, `cat /etc/os-release | head -1; ls /stolen 2>/dev/null; id -u`)
			f := y.work(func(s *wire.Start) {
				if row.name == "a choice that is not there" {
					s.Environment = "two"
				}
			}).done(t)
			if !slices.ContainsFunc(f.notices(), func(one string) bool {
				return strings.HasPrefix(one, string(row.code)+" ") && strings.Contains(one, row.words) && strings.Contains(one, "goes on in the node's default image")
			}) {
				t.Errorf("it was told %q", f.notices())
			}
			if f.said != "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n1000\n" {
				t.Errorf("it said %q", f.said)
			}
			if step := f.step(task.StepEnvironment); step == nil || step.Note != "the default image" {
				t.Errorf("the step is %+v", step)
			}
			if built := y.images(); len(built) > 0 && row.name != "an image in which nothing starts" {
				t.Errorf("built is %v", built)
			}
		})
	}
}

func TestALinkInAContextIsPackedAsALinkAndShowsNothingOfTheNode(t *testing.T) {
	t.Parallel()
	e := docker(t)
	marker := t.TempDir()
	if err := os.WriteFile(filepath.Join(marker, "secret"), []byte("of the node"), 0o644); err != nil {
		t.Fatal(err)
	}
	f := e.repository(t, map[string]string{
		".devcontainer/devcontainer.json": `{"build": {"dockerfile": "Dockerfile", "context": ".."}}`,
		".devcontainer/Dockerfile":        fromDefault + "COPY . /copied\n",
		"out":                             "-> " + marker, "file": "-> " + marker + "/secret",
	}, `ls /copied/.git /copied/out/ 2>&1; cat /copied/file 2>&1; ls /copied/main.go`).work().done(t)
	if !strings.Contains(f.said, "/copied/main.go") || strings.Contains(f.said, "of the node\n") || strings.Count(f.said, "No such file") != 3 {
		t.Errorf("it said %s", f.said)
	}
}

func TestWhatIsMadeFromAHeadThatNobodyVouchesForIsKeptApartAndGoesWithTheAttempt(t *testing.T) {
	t.Parallel()
	e := docker(t)
	y := e.repository(t, map[string]string{
		".devcontainer.json": `{"build": {"dockerfile": "Dockerfile"}}`,
		"Dockerfile":         fromDefault + "RUN head -c 8 /dev/urandom | od -An -tx1 >/made\n",
	}, `cat /made`)
	untrusted := func(s *wire.Start) { s.Untrusted = true }
	first := y.work(untrusted).done(t)
	if left := y.images(); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
	trusted := y.work().done(t)
	second := y.work(untrusted).done(t)
	again := y.work().done(t)
	if first.said == trusted.said || second.said == trusted.said || first.said == second.said {
		t.Errorf("an untrusted build is used again, or uses another: %q %q %q", first.said, trusted.said, second.said)
	}
	if again.said != trusted.said {
		t.Errorf("the trusted build was not used again: %q after %q", again.said, trusted.said)
	}
	if left := y.images(); len(left) != 1 || strings.Contains(left[0], "untrusted") {
		t.Errorf("left are %v", left)
	}
}

func TestOnlyTheNewestImagesOfARepositoryAreKept(t *testing.T) {
	t.Parallel()
	e := docker(t)
	dir := t.TempDir()
	made := &engine{client: e.client, folder: dir, node: "test"}
	s := wire.Start{Repository: 7}
	source := e.imageOf(t, fromDefault+"RUN echo "+filepath.Base(dir)+" >/made\n")
	for _, key := range []string{"a", "b", "c", "d", "e"} {
		if err := e.client.ImageTag(t.Context(), source, made.environmentTag(s, key)); err != nil {
			t.Fatal(err)
		}
	}
	other := made.environmentTag(wire.Start{Repository: 77}, "a")
	if err := e.client.ImageTag(t.Context(), source, other); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		all, err := made.environments(context.Background(), made.nodeTag())
		if err != nil {
			t.Error(err)
		}
		for _, one := range all {
			made.discard(context.Background(), one.name)
		}
	})
	made.prune(t.Context(), s, 1)
	all, err := made.environments(t.Context(), made.nodeTag())
	if err != nil || len(all) != keptOfRepository+1 || !slices.ContainsFunc(all, func(one namedImage) bool { return one.name == other }) {
		t.Errorf("left are %v, %v", all, err)
	}
}

func TestAnAttemptGoesOnInItsEnvironmentWhenTheNodeRestarts(t *testing.T) {
	t.Parallel()
	e := docker(t)
	y := e.repository(t, map[string]string{".devcontainer.json": `{"image": "` + DefaultImage + `", "workspaceFolder": "/workspaces/quayside",
		"remoteEnv": {"WORD": "hello"}, "postCreateCommand": "echo x >>created"}`},
		`touch /home/sam/begun; until [ -e /home/sam/go ]; do sleep 0.02; done; cat created; echo work >work && git add work && git commit -qm "$WORD" && pwd`)
	s := start(y.g, "tagain", 1, "anything")
	s.Rewrite = true
	y.g.command(frame(s))
	var id string
	home := filepath.Join(y.node.options.Dir, "workspaces", s.Thread+".home")
	y.g.await("its agent", func() bool {
		for _, one := range e.ofNode(t, y.node.options.Dir) {
			id = one.id
		}
		_, err := os.Stat(filepath.Join(home, "begun"))
		return err == nil && id != ""
	})
	y.node.stop()
	o := y.node.options
	y.node = startNode(y.g, o, func(n *Node) { n.drivers = newDrivers(scripted{"true"}) })
	t.Cleanup(y.node.stop)
	if err := os.WriteFile(filepath.Join(home, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	f := furnished{events: y.g.finished(s.Ref)}
	f.end = last(f.events)
	f.done(t)
	if !slices.ContainsFunc(f.events, func(e task.Event) bool { return e.Text == "said: x\n/workspaces/quayside\n" }) {
		t.Errorf("it said %+v", f.events)
	}
	if step := f.step(task.StepPush); step == nil || !strings.Contains(step.Note, s.Branch) {
		t.Errorf("its work was not pushed: %+v", step)
	}
	_ = e.client.ContainerRemove(context.Background(), id, container.RemoveOptions{Force: true})
}
