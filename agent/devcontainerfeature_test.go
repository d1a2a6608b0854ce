package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sam/agent/devcontainer"
	"sam/agent/wire"
	"sam/task"
)

func TestFeaturesOfTheRepositoryAndOfTheNodeAreInstalledAndAnUnknownOneIsTold(t *testing.T) {
	t.Parallel()
	e := docker(t)
	y := e.repository(t, map[string]string{
		".devcontainer/devcontainer.json": `{"build": {"dockerfile": "Dockerfile"}, "remoteUser": "sam", "features": {
			"./second": {"colour": "it's blue"}, "registry.example.com/tools/cached:1": "2.0", "registry.example.com/no/such:3": {}},
			"postCreateCommand": "echo of the repository >>hooks"}`,
		".devcontainer/Dockerfile":                       fromDefault + "RUN echo base >/base\nUSER 1000\n",
		".devcontainer/second/devcontainer-feature.json": `{"id": "second", "installsAfter": ["registry.example.com/tools/cached"], "options": {"colour": {"type": "string", "default": "red"}, "loud": {"type": "boolean", "default": true}}, "containerEnv": {"PATH": "/opt/second/bin:${PATH}"}, "postCreateCommand": "echo of the feature >>hooks"}`,
		".devcontainer/second/install.sh":                "#!/bin/bash\nset -e\nid -u >/second; echo \"$COLOUR $LOUD $_REMOTE_USER $_REMOTE_USER_HOME $_CONTAINER_USER\" >>/second; cat /first >>/second\nmkdir -p /opt/second/bin; cp tool /opt/second/bin/\n",
		".devcontainer/second/tool":                      "#!/bin/sh\necho the tool\n",
	}, `cat /base /second hooks; tool; id -u; ls -d /var/tmp/sam-features 2>&1; true`)
	cached := filepath.Join(y.node.options.Dir, "features", "registry.example.com/tools/cached/1")
	if err := os.MkdirAll(cached, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"devcontainer-feature.json": `{"id": "cached"}`, "install.sh": "#!/bin/sh\necho first $VERSION >/first\n"} {
		if err := os.WriteFile(filepath.Join(cached, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // built, and found again
		f := y.work().done(t)
		if want := "base\n0\nit's blue true sam /home/sam sam\nfirst 2.0\nof the feature\nof the repository\nthe tool\n1000\nls: cannot access"; !strings.HasPrefix(f.said, want) {
			t.Errorf("it said\n%s\nnot\n%s", f.said, want)
		}
		if got := f.notices(); len(got) != 1 || !f.noticed(devcontainer.LeftOut, "features.registry.example.com/no/such:3", "not known to this node") {
			t.Errorf("it was told %q", got)
		}
	}
	if built := y.images(); len(built) != 1 {
		t.Errorf("built are %v", built)
	}
}

func TestAFeatureThatCannotBeInstalledIsToldAndTheWorkGoesOnInTheDefaultImage(t *testing.T) {
	t.Parallel()
	e := docker(t)
	y := e.repository(t, map[string]string{
		".devcontainer/devcontainer.json":                `{"image": "` + DefaultImage + `", "features": {"./broken": {}}}`,
		".devcontainer/broken/devcontainer-feature.json": `{"id": "broken"}`,
		".devcontainer/broken/install.sh":                "#!/bin/sh\necho halfway\nexit 4\n",
	}, `echo works`)
	f := y.work().done(t)
	if !f.noticed(devcontainer.Failed, "devcontainer.json", "Install the features") || !f.noticed(devcontainer.Failed, "devcontainer.json", "halfway") || f.said != "works\n" {
		t.Errorf("it was told %q, and said %q", f.notices(), f.said)
	}
}

func TestOneOfSeveralConfigurationsIsChosen(t *testing.T) {
	t.Parallel()
	e := docker(t)
	named := func(name string) string {
		return `{"image": "` + DefaultImage + `", "containerEnv": {"CHOSEN": "` + name + `"}}`
	}
	y := e.repository(t, map[string]string{
		".devcontainer.json": named("the plain one"), ".devcontainer/b/devcontainer.json": named("b"), ".devcontainer/a/devcontainer.json": named("a"),
	}, `echo $CHOSEN`)
	for choice, want := range map[string]string{"": "the plain one", "default": "the plain one", "a": "a", "b": "b"} {
		if f := y.work(func(s *wire.Start) { s.Environment = choice }).done(t); f.said != want+"\n" {
			t.Errorf("%q is %q, and it was told %q", choice, f.said, f.notices())
		}
	}
}

func TestAComposeServiceIsBuiltAndWorkedInUnderTheSameRules(t *testing.T) {
	t.Parallel()
	e := docker(t)
	f := e.repository(t, map[string]string{
		".devcontainer/devcontainer.json": `{"dockerComposeFile": ["../compose.yml", "more.yml"], "service": "app", "workspaceFolder": "/src"}`,
		"compose.yml":                     "services:\n  app:\n    build:\n      context: app\n      dockerfile: Dockerfile.dev\n      args: ['WORD=${WORD:-hello}']\n    environment:\n      LEVEL: 3\n      OTHER: a\n    command: sleep infinity\n",
		".devcontainer/more.yml":          "services:\n  app:\n    environment:\n      LEVEL: 4\n",
		"app/Dockerfile.dev":              fromDefault + "ARG WORD\nCOPY file /file\nRUN echo $WORD >>/file\n", "app/file": "a file\n",
	}, `cat /file; echo $LEVEL; pwd`).work().done(t)
	if f.said != "a file\nhello\n4\n/src\n" || f.step(task.StepEnvironment) == nil {
		t.Errorf("it said %q, and was told %q", f.said, f.notices())
	}
}
