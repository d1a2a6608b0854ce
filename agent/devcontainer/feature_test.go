package devcontainer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFeaturesAreFoundInTheTreeAndInTheNodesFolderAndPutInOrder(t *testing.T) {
	t.Parallel()
	tree := treeOf(t, map[string]string{
		".devcontainer/devcontainer.json": `{"image": "debian:12", "features": {
			"./late": {"Size-MB": "5", "odd": true, "bad": 7}, "example.com/a/cached:1": {}, "./early": false, "./first": "2.1",
			"../../outside": {}, "./link": {}, "./none": {}, "example.com/a/absent:1": {}, "https://example.com/x.tgz": {}, "./broken": {}},
			"overrideFeatureInstallOrder": ["./first"]}`,
		".devcontainer/late/devcontainer-feature.json": `{"id": "late", "dependsOn": {"example.com/a/cached:2": {}}, "options": {"colour": {"default": "red"}}, "privileged": true}`,
		".devcontainer/late/install.sh":                "", ".devcontainer/first/devcontainer-feature.json": `{"id": "first"}`, ".devcontainer/first/install.sh": "",
		".devcontainer/broken/devcontainer-feature.json": `{`, ".devcontainer/broken/install.sh": "", ".devcontainer/link": "-> /etc",
	})
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "example.com/a/cached/1"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"devcontainer-feature.json": `{"id": "cached", "installsAfter": ["first"]}`, "install.sh": ""} {
		if err := os.WriteFile(filepath.Join(dir, "example.com/a/cached/1", name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cache, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	config, findings, err := Check(tree, ".devcontainer/devcontainer.json", testVariables)
	if err != nil || len(findings) != 1 || findings[0].Property != "features../late.bad" {
		t.Errorf("found are %v, %v", findings, err)
	}
	loaded, findings := Load(tree, cache, config, testVariables)
	var order []string
	for _, one := range loaded {
		order = append(order, one.ID)
	}
	if !slices.Equal(order, []string{"./first", "example.com/a/cached:1", "./late"}) {
		t.Errorf("they are installed as %v", order)
	}
	if late := loaded[2].Options; late["SIZE_MB"] != "5" || late["ODD"] != "true" || late["COLOUR"] != "red" || loaded[0].Options["VERSION"] != "2.1" {
		t.Errorf("the options are %v and %v", late, loaded[0].Options)
	}
	for property, want := range map[string]Finding{
		"privileged (the feature ./late)": {Code: Refused, Text: "refused"}, "features.../../outside": {Code: Refused, Text: "leads out"},
		"features../link": {Code: LeftOut, Text: "leads out"}, "features../none": {Code: LeftOut, Text: "has not both"},
		"features.example.com/a/absent:1": {Code: LeftOut, Text: "not known to this node"}, "features.https://example.com/x.tgz": {Code: LeftOut, Text: "neither a folder"},
		"features../broken": {Code: LeftOut, Text: "The feature ./broken is left out: .devcontainer/broken/devcontainer-feature.json is broken"},
	} {
		if !slices.ContainsFunc(findings, func(f Finding) bool {
			return f.Property == property && f.Code == want.Code && strings.Contains(f.Text, want.Text) && !strings.HasSuffix(f.Text, "..")
		}) {
			t.Errorf("%s is not said: %v", property, findings)
		}
	}
	text := string(Layer("base", loaded, Users{Image: "dev"}).Dockerfile.Text)
	if !strings.HasPrefix(text, "FROM base\nUSER root\nCOPY feature-0 ") || !strings.HasSuffix(text, "USER dev\n") || strings.Count(text, "./install.sh\n") != 3 {
		t.Errorf("the layer is\n%s", text)
	}
}

func TestAFeaturesOptionsReachItsScriptAsTheyAre(t *testing.T) {
	t.Parallel()
	tree := treeOf(t, map[string]string{"f/devcontainer-feature.json": `{}`, "f/install.sh": "x", "f/.sam-options": "PWNED=1"})
	feature := LoadedFeature{ID: "./f", Options: map[string]string{"WORD": "it's $(id) `id`\nnext"}, root: tree, dir: "f"}
	got := packed(t, Layer("base", []LoadedFeature{feature}, Users{Remote: "dev"}))
	want := "WORD='it'\\''s $(id) `id`\nnext'\n_CONTAINER_USER=''\n_CONTAINER_USER_HOME=''\n_REMOTE_USER='dev'\n_REMOTE_USER_HOME=''\n"
	if got["feature-0/.sam-options"] != want {
		t.Errorf("they are %q", got["feature-0/.sam-options"])
	}
}

func TestOfComposeOneServiceIsTaken(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, text, image, words string }{
		{"an image", "services:\n  app:\n    image: debian:${V:-12}\n    user: dev\n    environment: [A=1, B]\n", "debian:12", ""},
		{"a variable of the node's", "services:\n  app:\n    image: debian:${TOKEN}\n", "", "of the node's environment"},
		{"none of that name", "services:\n  other:\n    image: debian:12\n", "", "has the service app"},
		{"neither image nor build", "services:\n  app:\n    command: x\n", "", "neither image nor build"},
		{"broken", "services: [\n", "", "is broken"},
		{"aliases", "services:\n  base: &b\n    image: debian:12\n  app: *b\n", "", "aliases"},
		{"an image of another project's", "services:\n  app:\n    image: sam-environment:x\n", "", "one project each"},
		{"a context outside", "services:\n  app:\n    build: ../..\n", "", "leads out"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			tree := treeOf(t, map[string]string{"compose.yml": row.text})
			got, _, err := FromCompose(tree, Config{Compose: &Compose{Files: []string{"compose.yml"}, Service: "app"}}, testVariables)
			if row.words == "" && (err != nil || got.Image != row.image || got.User() != "dev" || got.ContainerEnv["A"] != "1" || len(got.ContainerEnv) != 1) {
				t.Errorf("it is %+v, %v", got, err)
			}
			if row.words != "" && (err == nil || !strings.Contains(err.Error(), row.words)) {
				t.Errorf("it is %+v, %v", got, err)
			}
		})
	}
}

func TestAnImagesUserIsNoLineOfADockerfile(t *testing.T) {
	t.Parallel()
	for user, want := range map[string]string{
		"": "root", "vscode": "vscode", "1000:1000": "1000:1000", "build$": "build$",
		"x\nADD http://127.0.0.1/ /x": "root", "x\rADD": "root", "a b": "root", "$USER": "root", "x \\": "root",
	} {
		text := string(Layer("debian:12", nil, Users{Image: user}).Dockerfile.Text)
		if !strings.HasSuffix(text, "\nUSER "+want+"\n") || strings.Contains(text, "ADD") {
			t.Errorf("%q: %q", user, text)
		}
	}
}
