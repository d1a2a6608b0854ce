package devcontainer

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestADockerfileIsWrittenAnewAsAnEngineReadsIt(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, text, want string
		images           []string
		copies           bool
	}{
		{"lines that are continued", "# syntax=docker/x\n# a comment\nFROM debian:12\n\nRUN a && \\\n  # within\n\n  b\n", "FROM debian:12\nRUN a &&   b\n", []string{"debian:12"}, false},
		{"another escape", "# escape=`\nFROM debian:12\nRUN dir `\n c\\\n", "# escape=`\nFROM debian:12\nRUN dir  c\\\n", []string{"debian:12"}, false},
		{"images by arguments", "ARG V=12\nARG B=debian:${V}\nFROM $B AS one\nFROM ${B:-x}\nFROM one\nFROM scratch\n", "ARG V=12\nARG B=debian:${V}\nFROM debian:13 AS one\nFROM debian:13\nFROM one\nFROM scratch\n", []string{"debian:13"}, false},
		{"copies from stages", "FROM debian:12 AS b\nFROM debian:12\nCOPY --from=b /a /a\nCOPY --from=0 /a /a\n", "FROM debian:12 AS b\nFROM debian:12\nCOPY --from=b /a /a\nCOPY --from=0 /a /a\n", []string{"debian:12"}, false},
		{"copies from an image, and of files", "FROM debian:12\nCOPY --chown=1 --from=tools:1 /a /a\nADD rootfs-${ARCH}.tar /\n", "FROM debian:12\nCOPY --chown=1 --from=tools:1 /a /a\nADD rootfs-${ARCH}.tar /\n", []string{"debian:12", "tools:1"}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			given := map[string]string{}
			if row.name == "images by arguments" {
				given["V"] = "13"
			}
			got, err := parseDockerfile(row.text, given)
			if err != nil || string(got.Text) != row.want || !slices.Equal(got.Images, row.images) || got.Copies != row.copies {
				t.Errorf("it is %q, %v, %v, %v", got.Text, got.Images, got.Copies, err)
			}
		})
	}
}

func TestADockerfileMayNotFetchPastTheNetworkNorNameWhatIsAnothers(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"ADD http://169.254.169.254/latest /x", "add https://example.com/a /a", "ADD --chown=1 http://x /x", `ADD ["http://x", "/x"]`, `ADD ["\u0068ttp://x", "/x"]`,
		`ADD "ht"tp://x /x`, `ADD h\ttp://x /x`, "ADD $WHERE /x", "ADD ht${A}p://x /x", "ADD \\\n  http://x /x", "AD\\\nD http://x /x", "ADD git@example.com:a/b /x",
		"ONBUILD ADD http://x /x", "ONBUILD ADD $X /x", "  ADD\thttp://x /x", "ADD a http://x /x",
		"COPY --from=sam-environment:x / /", "COPY --from=docker.io/library/sam-environment / /", "COPY --from=26d04 / /", "COPY --from=$X / /",
		"FROM 26d04245279c", "FROM sha256:26d04245279c", "FROM sam-environment:x", "FROM 127.0.0.1:5000/x", "FROM localhost/x", "FROM registry:5000/x", "FROM [::1]/x",
		"FROM metadata.google.internal/x", "FROM ${NOT@SAID}", "FROM a b", "RUN echo \\\\",
	} {
		_, err := parseDockerfile("FROM debian:12\n"+line+"\n", nil)
		var unusable *UnusableError
		if !errors.As(err, &unusable) {
			t.Errorf("%q is taken", line)
		}
	}
	if _, err := parseDockerfile("RUN true\n", nil); err == nil {
		t.Error("one without FROM is taken")
	}
	for _, good := range []string{"debian", "debian:12", "library/debian", "ghcr.io/a/b:1", "registry.example.com:5000/a@sha256:" + strings.Repeat("a", 64), "sam-workspace:latest"} {
		if err := CheckImage(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	if err := CheckTriggers("x:1", []string{"RUN true", "COPY . /app"}); err != nil {
		t.Error(err)
	}
	if err := CheckTriggers("x:1", []string{"ADD http://x /x"}); err == nil {
		t.Error("a trigger that fetches is taken")
	}
	if err := CheckTriggers("x:1", []string{"COPY --from=example.com/y:1 /a /b"}); err == nil {
		t.Error("a trigger that has an image fetched is taken")
	}
}

// What an engine takes for a blank, a letter or a flag is more than what is written as such.
func TestNoSpellingHidesAnInstructionFromWhatIsChecked(t *testing.T) {
	t.Parallel()
	for what, line := range map[string]string{
		"a return for a blank":                    "ADD\rhttp://example.com/x /x",
		"a letter that is another's lower case":   "ONBU\u0130LD ADD http://example.com/x /x",
		"a return between flags":                  "COPY --chown=a\r--from=example.com/x:1 /a /b",
		"a blank beyond ASCII between flags":      "COPY --chown=a\u00a0--from=example.com/x:1 /a /b",
		"half a letter between flags":             "COPY --chown=a\xa0--from=example.com/x:1 /a /b",
		"the half of an address in a variable":    "ENV X=//example.com/x\nADD http:$X /x",
		"more of it":                              "ENV X=/example.com/x\nADD http:/$X /x",
		"an escaped address in a list":            `ADD ["http\u003a\u002f\u002fexample.com/x", "/x"]`,
		"the same with something behind the list": `ADD ["http\u003a\u002f\u002fexample.com/x", "/x"] #`,
		"an address behind a flag of another's":   "ADD --from=0 http://example.com/x /x",
		"a flag of FROM's that hides its image":   "FROM --platform=a\xa0example.com/x:1 debian:12",
	} {
		if read, err := parseDockerfile("FROM debian:12\n"+line+"\n", nil); err == nil {
			t.Errorf("%s: taken as %q, with %v", what, read.Text, read.Images)
		}
	}
	for _, spelt := range []string{`--fr"om"=example.com/x:1`, `--fr\om=example.com/x:1`, `--FROM=example.com/x:1`} { // seen, and fetched as any image
		read, err := parseDockerfile("FROM debian:12\nCOPY "+spelt+" /a /b\n", nil)
		if err != nil || !slices.Contains(read.Images, "example.com/x:1") {
			t.Errorf("%s: %v, %v", spelt, read.Images, err)
		}
	}
	good := "FROM --platform=linux/amd64 debian:12 AS one\nFROM debian:12\nCOPY --from=\"one\" --chown=$USER:$USER --chmod=0755 /a /b\nADD --chown=1:1 [\"a\", \"/b\"]\n"
	if _, err := parseDockerfile(good, nil); err != nil {
		t.Errorf("what is plain is refused: %v", err)
	}
}

// packed are the names in a plan's archive, with what files hold.
func packed(t *testing.T, plan Plan) map[string]string {
	t.Helper()
	var buffer bytes.Buffer
	if err := plan.Pack(t.Context(), &buffer); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for archive := tar.NewReader(&buffer); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		found[header.Name] = string(content) + header.Linkname
	}
}

func TestAContextIsPackedAsItsIgnoreFileSaysAndWithoutGit(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"Dockerfile": "FROM debian:12\nCOPY . /\n", ".git/config": "secret", "a.log": "1", "sub/b.log": "2", "sub/keep.log": "3", "node_modules/x/y": "4",
		"deep/node_modules/z": "5", "src/main.go": "6", "link": "-> /etc/passwd", "build/out": "7", "build/keep": "8",
		".dockerignore": "# comment\n**/*.log\n!sub/keep.log\nnode_modules\n/build/*\n!build/keep\ndeep/**\n",
	}
	tree := treeOf(t, files)
	plan, err := Build{Dockerfile: "Dockerfile", Context: "."}.Plan(tree)
	if err != nil {
		t.Fatal(err)
	}
	got := packed(t, plan)
	want := map[string]string{
		".dockerignore": DockerfileName + "\n.dockerignore\n", DockerfileName: "FROM debian:12\nCOPY . /\n", "Dockerfile": files["Dockerfile"],
		"sub/": "", "sub/keep.log": "3", "src/": "", "src/main.go": "6", "link": "/etc/passwd", "build/": "", "build/keep": "8", "deep/": "",
	}
	for name, content := range want {
		if found, ok := got[name]; !ok || found != content {
			t.Errorf("%s: %v %q", name, ok, found)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is packed", name)
		}
	}
}

func TestTheKeyOfABuildIsOfAllThatItSeesAndNothingElse(t *testing.T) {
	t.Parallel()
	files := map[string]string{"Dockerfile": "FROM debian:12\nCOPY src /src\n", "src/a": "1"}
	key := func(change map[string]string, args map[string]string) string {
		all := map[string]string{}
		for name, content := range files {
			all[name] = content
		}
		for name, content := range change {
			all[name] = content
		}
		plan, err := Build{Dockerfile: "Dockerfile", Context: ".", Args: args}.Plan(treeOf(t, all))
		if err != nil {
			t.Fatal(err)
		}
		got, err := plan.Key(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := key(nil, nil)
	if key(nil, nil) != first {
		t.Error("the same files have two keys")
	}
	for name, other := range map[string]string{
		"a file": key(map[string]string{"src/a": "2"}, nil), "another file": key(map[string]string{"src/b": ""}, nil),
		"the Dockerfile": key(map[string]string{"Dockerfile": files["Dockerfile"] + "RUN true\n"}, nil), "an argument": key(nil, map[string]string{"A": "b"}),
	} {
		if other == first {
			t.Errorf("%s does not count", name)
		}
	}
	files["Dockerfile"] = "FROM debian:12\nRUN true\n"
	if key(nil, nil) != key(map[string]string{"src/a": "2"}, nil) {
		t.Error("a Dockerfile that copies nothing depends on the files")
	}
}
