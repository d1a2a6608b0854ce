package config_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sam/config"
)

func TestAProjectsFileSaysWhatItWants(t *testing.T) {
	got, err := config.ParseRepository([]byte("# ours\nenvironment:\n  - API_TOKEN # for the tests\n  - NPM_TOKEN\nagent: claude\nnetwork: brokers\ndevcontainer: \"go\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Environment, []string{"API_TOKEN", "NPM_TOKEN"}) || got.Agent != "claude" || got.Network != "brokers" || got.Devcontainer != "go" {
		t.Errorf("read %+v", got)
	}
	for key, place := range map[string]string{"environment[1]": "line 4, column 5", "agent": "line 5, column 1"} {
		if err := got.Wrong(key, "is wrong"); !strings.Contains(err.Error(), ".github/sam.yml, "+place+": is wrong") {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestAFileThatSaysNothingIsGood(t *testing.T) {
	for _, text := range []string{"", "\n", "# only a comment\n", "---\n", "environment:\n", "environment: []\nagent:\n", "environment: [A]"} {
		if _, err := config.ParseRepository([]byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestABadFileIsRefusedWithLineAndColumn(t *testing.T) {
	for name, one := range map[string]struct{ text, place, words string }{
		"an unknown key":          {"agent: demo\nenvironments: [A]\n", "line 2, column 1", "`environments` is no key"},
		"a key twice":             {"agent: demo\nagent: claude\n", "line 2, column 1", ""},
		"a tab":                   {"environment:\n\t- A\n", "line 2, ", ""},
		"an open bracket":         {"environment: [A\n", "line ", ""},
		"a list":                  {"- agent\n", "line 1, column 1", "neither a key"},
		"a word":                  {"agent\n", "line 1, column 1", "neither a key"},
		"a value for a name":      {"environment:\n  - A: hunter2\n", "line 2, ", "values are never written here"},
		"a map for the list":      {"environment:\n  A: hunter2\n", "line 2, ", "list of names"},
		"a number for a name":     {"environment: [1]\n", "line 1, column 15", "list of names"},
		"a name twice":            {"environment: [A, B, A]\n", "line 1, column 21", "twice"},
		"a list for a word":       {"agent: [a]\n", "line 1, column 8", "agent is one word"},
		"a truth for a word":      {"network: true\n", "line 1, column 10", "network is one word"},
		"an anchor":               {"agent: &a demo\n", "line 1, ", "agent is one word"},
		"an alias for everything": {"environment: &a [A]\nagent: *a\n", "line 1, ", "list of names"},
		"a call":                  {"\"@octo/team `x`\\n\": 1\n", "line 1, column 1", "`@octo/team 'x'` is no key"},
		"two documents":           {"agent: demo\n---\nagent: claude\n", "line ", "second document"},
		"too long a key":          {strings.Repeat("ä", 500) + ": 1\n", "line 1, column 1", "…"},
		"nested without end":      {strings.Repeat("[", 60000), ".github/sam.yml", "brackets"},
		"a long word":             {strings.Repeat("|", 60000), "line 1, ", "…"},
		"too large":               {"# " + strings.Repeat("x", config.MaxRepositoryFile), ".github/sam.yml", "65536"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.ParseRepository([]byte(one.text))
			if err == nil || !strings.Contains(err.Error(), one.place) || !strings.Contains(err.Error(), one.words) || !strings.HasPrefix(err.Error(), ".github/sam.yml") {
				t.Fatalf("%v", err)
			}
			if strings.Contains(err.Error(), "hunter2") || len(err.Error()) > 400 {
				t.Errorf("it shows too much: %v", err)
			}
		})
	}
}

func FuzzParseRepository(f *testing.F) {
	f.Add("environment: [A, B]\nagent: demo\n")
	f.Add("a: &x [*x]\n<<: *x")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := config.ParseRepository([]byte(text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), config.RepositoryFile) {
				t.Errorf("an error without its file: %v", err)
			}
			return
		}
		for i := range r.Environment {
			if err := r.Wrong(fmt.Sprintf("environment[%d]", i), "x"); !strings.Contains(err.Error(), "line ") {
				t.Errorf("a name without its place: %v", err)
			}
		}
	})
}
