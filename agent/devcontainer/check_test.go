package devcontainer

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// treeOf is a working tree with files; one that begins with "-> " is a link.
func treeOf(t *testing.T, files map[string]string) *os.Root {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		to, link := strings.CutPrefix(content, "-> ")
		var err error
		if link {
			err = os.Symlink(to, path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root
}

var testVariables = Variables{ID: "abc", Name: "repo", Folder: "/workspace"}

// checked is a configuration of one file.
func checked(t *testing.T, text string) (Config, []Finding, error) {
	t.Helper()
	return Check(treeOf(t, map[string]string{".devcontainer/devcontainer.json": text}), ".devcontainer/devcontainer.json", testVariables)
}

func TestTheFirstConfigurationIsTheOneOfTheStandardOrderAndAnyCanBeChosen(t *testing.T) {
	t.Parallel()
	all := map[string]string{
		".devcontainer/devcontainer.json": "{}", ".devcontainer.json": "{}", ".devcontainer/b/devcontainer.json": "{}",
		".devcontainer/a/devcontainer.json": "{}", ".devcontainer/deep/er/devcontainer.json": "{}", ".devcontainer/file": "",
	}
	without := func(names ...string) map[string]string {
		left := map[string]string{}
		for name, content := range all {
			if !slices.Contains(names, name) {
				left[name] = content
			}
		}
		return left
	}
	for _, row := range []struct {
		name, choice, want string
		files              map[string]string
		words              string
	}{
		{"all", "", ".devcontainer/devcontainer.json", all, ""},
		{"without the first", "", ".devcontainer.json", without(".devcontainer/devcontainer.json"), ""},
		{"folders alone", "", ".devcontainer/a/devcontainer.json", without(".devcontainer/devcontainer.json", ".devcontainer.json"), ""},
		{"none", "", "", map[string]string{"main.go": ""}, ""},
		{"by name", "b", ".devcontainer/b/devcontainer.json", all, ""},
		{"by the name of the first", "default", ".devcontainer/devcontainer.json", all, ""},
		{"a name that is not there", "c", "", all, "default, a, b"},
		{"a name where there is none", "c", "", map[string]string{"main.go": ""}, "has no devcontainer.json"},
		{"a name that is a path", "../b", "", all, "default, a, b"},
		{"a link that leads out", "", "", map[string]string{".devcontainer.json": "-> /etc/passwd"}, ""},
		{"a folder that leads out", "", "", map[string]string{".devcontainer": "-> /etc"}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got, err := Find(treeOf(t, row.files), row.choice)
			if got != row.want || (err == nil) != (row.words == "") || err != nil && !strings.Contains(err.Error(), row.words) {
				t.Errorf("it is %q, %v", got, err)
			}
		})
	}
}

func TestWhatIsHonouredIsReadInEveryForm(t *testing.T) {
	t.Parallel()
	got, findings, err := checked(t, `{
		"$schema": "x", "name": "ours", "customizations": {"vscode": {}}, // an editor's
		"image": "registry.example.com/tools:1", "remoteUser": "dev", "containerUser": "1000",
		"containerEnv": {"A": "${localWorkspaceFolderBasename}-${devcontainerId}"},
		"remoteEnv": {"B": "${containerEnv:A}", "C": "$HOME and ${SHELL}"},
		"workspaceFolder": "/workspaces/${localWorkspaceFolderBasename}/sub/",
		"forwardPorts": [3000, "db:5432"],
		"onCreateCommand": "cd ${containerWorkspaceFolder} && make", "updateContentCommand": ["npm", "ci"],
		"postCreateCommand": {"one": "true", "two": ["echo", "${containerWorkspaceFolderBasename}"]},
		"postStartCommand": "", "postAttachCommand": null,
		"mounts": [], "privileged": false, "runArgs": [], "capAdd": null,
	}`)
	want := Config{
		Path: ".devcontainer/devcontainer.json", Image: "registry.example.com/tools:1", RemoteUser: "dev", ContainerUser: "1000",
		ContainerEnv: map[string]string{"A": "repo-abc"}, RemoteEnv: map[string]string{"B": "${containerEnv:A}", "C": "$HOME and ${SHELL}"},
		Folder: "/workspaces/repo/sub", Ports: []string{"3000", "db:5432"},
		Hooks: Hooks{
			OnCreate:      {{"devcontainer.json", []Program{{"", []string{"/bin/sh", "-c", "cd /workspaces/repo/sub && make"}}}}},
			UpdateContent: {{"devcontainer.json", []Program{{"", []string{"npm", "ci"}}}}},
			PostCreate:    {{"devcontainer.json", []Program{{"one", []string{"/bin/sh", "-c", "true"}}, {"two", []string{"echo", "sub"}}}}},
		},
	}
	if err != nil || len(findings) > 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("it is %+v\nnot %+v\n%v %v", got, want, findings, err)
	}
}

func TestEachPropertyThatReachesBeyondTheContainerIsLeftOutAndSaid(t *testing.T) {
	t.Parallel()
	for property, value := range map[string]string{
		"initializeCommand": `"touch /tmp/x"`, "mounts": `["source=/,target=/host,type=bind"]`, "workspaceMount": `"source=/,target=/w,type=bind"`,
		"runArgs": `["--privileged"]`, "privileged": `true`, "capAdd": `["SYS_ADMIN"]`, "securityOpt": `["seccomp=unconfined"]`, "appPort": `8080`, "entrypoint": `"/x"`,
	} {
		got, findings, err := checked(t, `{"image": "debian:12", "`+property+`": `+value+`}`)
		if err != nil || len(findings) != 1 || findings[0].Code != Refused || findings[0].Property != property || !strings.Contains(findings[0].Text, "refused and left out") {
			t.Errorf("%s: %v, %v", property, findings, err)
		}
		if got.Image != "debian:12" || len(got.Hooks) > 0 {
			t.Errorf("%s: it is %+v", property, got)
		}
	}
	for property, value := range map[string]string{"options": `["--network=host"]`, "cacheFrom": `"x"`} {
		got, findings, err := checked(t, `{"build": {"dockerfile": "Dockerfile", "`+property+`": `+value+`}}`)
		if err != nil || len(findings) != 1 || findings[0].Code != Refused || findings[0].Property != "build."+property || got.Build == nil {
			t.Errorf("build.%s: %v, %v", property, findings, err)
		}
	}
}

func TestGitsOwnVariablesAreNotARepositorysToSet(t *testing.T) {
	t.Parallel()
	for _, one := range []string{`"remoteEnv": {"GIT_DIR": "/elsewhere", "A": "b"}`, `"containerEnv": {"GIT_EXEC_PATH": "/elsewhere", "A": "b"}`} {
		got, findings, err := checked(t, `{"image": "debian:12", `+one+`}`)
		if err != nil || len(findings) != 1 || findings[0].Code != Refused || !strings.Contains(findings[0].Text, "git's own variables") {
			t.Errorf("%s: %v, %v", one, findings, err)
		}
		if got.ContainerEnv["A"]+got.RemoteEnv["A"] != "b" || len(got.ContainerEnv)+len(got.RemoteEnv) != 1 {
			t.Errorf("%s: it is %+v", one, got)
		}
	}
}

func TestTheNodesOwnVariablesAreGivenToNothing(t *testing.T) {
	t.Parallel()
	for _, one := range []string{
		`"containerEnv": {"X": "${localEnv:HOME}"}`, `"remoteEnv": {"X": "a${localEnv:HOME:b}c"}`, `"remoteEnv": {"X": "${env:HOME}"}`,
		`"onCreateCommand": "echo ${localEnv:TOKEN}"`, `"onCreateCommand": ["echo", "${localEnv:TOKEN}"]`, `"onCreateCommand": {"a": "${localEnv:TOKEN}"}`,
		`"remoteUser": "${localEnv:USER}"`, `"workspaceFolder": "${localWorkspaceFolder}"`, `"features": {"./x": {"option": "${localEnv:TOKEN}"}}`,
	} {
		got, findings, err := checked(t, `{"image": "debian:12", `+one+`}`)
		if err != nil || len(findings) != 1 || findings[0].Code != Refused || !strings.Contains(findings[0].Text, "the node's own") {
			t.Errorf("%s: %v, %v", one, findings, err)
		}
		if len(got.ContainerEnv)+len(got.RemoteEnv)+len(got.Hooks)+len(got.RemoteUser)+len(got.Folder) > 0 || len(got.Features) > 0 && len(got.Features[0].Options) > 0 {
			t.Errorf("%s: it is %+v", one, got)
		}
	}
	if _, _, err := checked(t, `{"image": "${localEnv:IMAGE}"}`); err == nil {
		t.Error("an image of the node's choice is taken")
	}
}

func TestWhatIsNotKnownOrMistypedIsSaidAndTheRestGoesOn(t *testing.T) {
	t.Parallel()
	for _, one := range []string{
		`"colour": "blue"`, `"remoteUser": 7`, `"remoteUser": "a b"`, `"containerEnv": ["A=b"]`, `"containerEnv": {"A-B": "c"}`, `"containerEnv": {"A": 1}`,
		`"forwardPorts": "3000"`, `"forwardPorts": [{}]`, `"workspaceFolder": "relative"`, `"workspaceFolder": "/a/../b"`, `"workspaceFolder": "/a:/b"`,
		`"onCreateCommand": 7`, `"onCreateCommand": ["", "x"]`, `"features": ["./x"]`,
	} {
		got, findings, err := checked(t, `{"image": "debian:12", `+one+`}`)
		if err != nil || len(findings) != 1 || findings[0].Code != Ignored || got.Image != "debian:12" {
			t.Errorf("%s: %v, %v", one, findings, err)
		}
	}
	for _, folder := range []string{"/", "/etc", "/usr/local/src", "/proc/1", "/home/sam", "/run/sam/shim", "/opt/sam/x", "/tmp"} {
		if got, findings, err := checked(t, `{"image": "debian:12", "workspaceFolder": "`+folder+`"}`); err != nil || len(findings) != 1 || got.Folder != "" {
			t.Errorf("%s: %+v, %v, %v", folder, got.Folder, findings, err)
		}
	}
}

func TestAConfigurationThatIsBrokenSaysWhere(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ text, words string }{
		{"{\n\"image\": \"x\",\noops}", "line 3"}, {`[]`, "not a JSON object"}, {``, "is broken"}, {`null`, "not a JSON object"}, {`"x"`, "not a JSON object"},
		{`{}`, "neither image nor build"}, {`{"build": {}}`, "names no dockerfile"}, {`{"build": 7}`, "an object"}, {`{"dockerComposeFile": "x"}`, "the service"},
		{`{"image": "` + strings.Repeat("x", maxFile) + `"}`, "more than 256 KiB"},
		{`{"image": "a b"}`, "no name of an image"},
	} {
		_, _, err := checked(t, row.text)
		var unusable *UnusableError
		if !errors.As(err, &unusable) || unusable.Code != Failed || !strings.Contains(err.Error(), row.words) {
			t.Errorf("%.40q: %v", row.text, err)
		}
	}
}

func TestAPathOfABuildStaysInTheTree(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		".devcontainer/Dockerfile": "FROM debian:12\n", "Dockerfile": "FROM debian:12\n", "sub/file": "", "inside": "-> sub", "out": "-> /etc", "above": "-> ../..",
	}
	for _, row := range []struct {
		build string
		code  Code // empty when it is good
	}{
		{`{"dockerfile": "Dockerfile"}`, ""}, {`{"dockerfile": "../Dockerfile", "context": ".."}`, ""}, {`{"dockerfile": "Dockerfile", "context": "../inside"}`, ""},
		{`{"dockerfile": "../../Dockerfile"}`, Refused}, {`{"dockerfile": "/etc/passwd"}`, Refused}, {`{"dockerfile": "Dockerfile", "context": "../.."}`, Refused},
		{`{"dockerfile": "Dockerfile", "context": "../out"}`, Refused}, {`{"dockerfile": "Dockerfile", "context": "../above"}`, Refused},
		{`{"dockerfile": "../out/passwd"}`, Refused}, {`{"dockerfile": "none"}`, Failed}, {`{"dockerfile": "../sub"}`, Failed}, {`{"dockerfile": "Dockerfile", "context": "Dockerfile"}`, Failed},
	} {
		files[".devcontainer/devcontainer.json"] = `{"build": ` + row.build + `}`
		tree := treeOf(t, files)
		config, _, err := Check(tree, ".devcontainer/devcontainer.json", testVariables)
		if err == nil {
			_, err = config.Build.Plan(tree)
		}
		var unusable *UnusableError
		if (err == nil) != (row.code == "") || err != nil && (!errors.As(err, &unusable) || unusable.Code != row.code) {
			t.Errorf("%s: %v", row.build, err)
		}
	}
}

func TestAnImagesLabelStandsBelowTheRepositorysWord(t *testing.T) {
	t.Parallel()
	label, findings := CheckLabel(`[{"id": "x", "remoteUser": "first", "containerEnv": {"A": "1", "B": "1"}, "onCreateCommand": "one"},
		{"remoteUser": "second", "containerEnv": {"B": "2", "C": "2"}, "onCreateCommand": "two", "mounts": ["x"]}, {"mounts": ["y"]}]`, testVariables)
	if len(findings) != 1 || findings[0].Property != "mounts (the image's label)" {
		t.Errorf("found are %v", findings)
	}
	config, _, err := checked(t, `{"image": "debian:12", "containerEnv": {"C": "3"}, "onCreateCommand": "three"}`)
	if err != nil {
		t.Fatal(err)
	}
	got := config.Under(label)
	if got.User() != "second" || !reflect.DeepEqual(got.ContainerEnv, map[string]string{"A": "1", "B": "2", "C": "3"}) {
		t.Errorf("it is %+v", got)
	}
	var order []string
	for _, hook := range got.Hooks[OnCreate] {
		order = append(order, hook.Programs[0].Args[2])
	}
	if !slices.Equal(order, []string{"one", "two", "three"}) {
		t.Errorf("they run as %v", order)
	}
	if _, findings := CheckLabel(`{"oops"`, testVariables); len(findings) != 1 || findings[0].Code != Ignored {
		t.Errorf("of a broken one: %v", findings)
	}
}

func TestAVariableOfTheContainersIsItsValueOrItsDefault(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"${containerEnv:PATH}:/x": "/bin:/x", "${containerEnv:NONE:or}": "or", "${containerEnv:NONE}": "", "$PATH ${PATH}": "$PATH ${PATH}", "${other:X}": "${other:X}",
	} {
		if got := Resolve(text, map[string]string{"PATH": "/bin"}); got != want {
			t.Errorf("%s is %q", text, got)
		}
	}
}

func FuzzNothingThatIsReadBreaksTheReaderOrReachesOut(f *testing.F) {
	f.Add(`{"image": "debian:12", "containerEnv": {"A": "${localEnv:B}"}}`)
	f.Add(`{"build": {"dockerfile": "../x", "context": "a/../.."}, "features": {"./f": {"a": true}}}`)
	f.Add(`{"dockerComposeFile": ["c.yml"], "service": "s", "workspaceFolder": "/w/${localWorkspaceFolderBasename}"}`)
	f.Fuzz(func(t *testing.T, text string) {
		config, _, err := checked(t, text)
		if err != nil {
			return
		}
		for _, value := range config.ContainerEnv {
			if strings.Contains(value, "${localEnv") {
				t.Errorf("%q got through", value)
			}
		}
		if b := config.Build; b != nil && (!filepath.IsLocal(b.Context) || !filepath.IsLocal(b.Dockerfile)) {
			t.Errorf("it leads out: %+v", b)
		}
		if config.Folder != "" && (!filepath.IsAbs(config.Folder) || filepath.Clean(config.Folder) != config.Folder) {
			t.Errorf("the folder is %q", config.Folder)
		}
	})
}
