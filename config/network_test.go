package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sam/agent/egress"
	"sam/config"
)

func TestByDefaultWorkspacesReachThePublicRegistriesAndNoHostOfCode(t *testing.T) {
	n := config.Defaults().Network
	if n.Policy != "registries" || len(n.Allow)+len(n.Internal) > 0 {
		t.Errorf("the default is %+v", n)
	}
	for _, host := range []string{"registry.npmjs.org", "pypi.org", "proxy.golang.org", "static.crates.io", "rubygems.org", "repo1.maven.org", "deb.debian.org", "archive.ubuntu.com", "repo.packagist.org", "api.nuget.org", "repo.hex.pm"} {
		if !slices.Contains(n.Registries, host) {
			t.Errorf("%s is missing", host)
		}
	}
	for _, host := range n.Registries {
		if strings.Contains(host, "*") || strings.Contains(host, "github") || strings.Contains(host, "googleapis") || strings.Contains(host, "amazonaws") {
			t.Errorf("%s is a place where anybody can leave something", host)
		}
	}
	page, err := os.ReadFile(filepath.Join("..", "docs", "network.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(page), "## The default list")
	list, _, _ = strings.Cut(list, "\n## ")
	if told := strings.Count(list, "`") / 2; told != len(n.Registries) {
		t.Errorf("docs/network.md names %d hosts, the code %d", told, len(n.Registries))
	}
	for _, host := range n.Registries {
		if !strings.Contains(list, "`"+host+"`") {
			t.Errorf("docs/network.md does not name %s", host)
		}
	}
	if rules, err := egress.NewRules(n.Policy, n.Hosts(), n.Internal); err != nil || len(rules.Hosts) != len(n.Registries) {
		t.Errorf("a node takes %d of %d hosts, %v", len(rules.Hosts), len(n.Registries), err)
	}
}

func TestTheNetworkIsConfigured(t *testing.T) {
	path := write(t, whole+`network:
  policy: registries
  registries: [packages.acme.example]
  allow: ["*.static.acme.example", "git.acme.example:2222"]
  internal: [nexus:8081, "10.0.0.5:443", "[fd00::5]:8443", fd00::6]
  credentials_file: registries.txt
`)
	got, err := config.Load(path, []string{"SAM_NETWORK_ALLOW=one.example, two.example"})
	if err != nil {
		t.Fatal(err)
	}
	if n := got.Network; !slices.Equal(n.Hosts(), []string{"packages.acme.example", "one.example", "two.example"}) || len(n.Internal) != 4 ||
		n.CredentialsFile != filepath.Join(filepath.Dir(path), "registries.txt") {
		t.Errorf("got %+v", n)
	}
	if _, err := egress.NewRules(got.Network.Policy, got.Network.Hosts(), got.Network.Internal); err != nil {
		t.Errorf("a node refuses it: %v", err)
	}
}

func TestWhatIsWrongWithTheNetworkIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"policy: everything":                        "network.policy",
		`registries: ["*"]`:                         "network.registries",
		`registries: ["*.org"]`:                     "too wide",
		`allow: [https://example.com]`:              "without a scheme",
		`allow: [Example.com]`:                      "lower case",
		`allow: [example.com/path]`:                 "network.allow",
		`allow: [bücher.example]`:                   "xn--",
		`allow: ["example.com:0"]`:                  "port",
		`allow: ["example.com:99999"]`:              "port",
		`allow: ["a.*.example.com"]`:                "network.allow",
		`allow: ["*.*.example.com"]`:                "network.allow",
		`allow: [10.0.0.5]`:                         "network.allow",
		`allow: [nexus]`:                            "network.internal",
		`internal: ["*.acme.internal"]`:             "wildcard",
		`internal: [169.254.169.254]`:               "link-local",
		`internal: ["[fe80::1]:80"]`:                "link-local",
		`internal: ["[::ffff:169.254.169.254]:80"]`: "link-local",
		`internal: [0.0.0.0]`:                       "no registry has",
		`internal: [10.0.0.0/8]`:                    "neither a host nor an address",
		`internal: ["example.com:x"]`:               "neither a host nor an address",
	} {
		path := write(t, whole+"network:\n  "+text+"\n")
		if _, err := config.Load(path, nil); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path+":6: network.") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestRegistriesCredentialsAreLinesOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registries.txt")
	read := func(text string) ([]config.RegistryCredential, error) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return config.Network{CredentialsFile: path}.Credentials()
	}
	got, err := read("# ours\n\nnpm.acme.example basic sam hunter2:x\r\nnexus:8443/repository/go/ bearer t0ken\n")
	want := []config.RegistryCredential{{"npm.acme.example", "/", "Basic c2FtOmh1bnRlcjI6eA=="}, {"nexus:8443", "/repository/go/", "Bearer t0ken"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, text := range []string{"npm.acme.example hunter2", "npm.acme.example basic sam", "npm.acme.example basic s:m hunter2", "npm.acme.example bearer hunter2 more", "*.acme.example bearer hunter2",
		"https://npm.acme.example bearer hunter2", "169.254.169.254 bearer hunter2", "npm.acme.example/a/../b bearer hunter2", "npm.acme.example/%2e bearer hunter2", "npm.acme.example bearer hunter2\nnpm.acme.example/ bearer other"} {
		if _, err := read("# first\n" + text); err == nil || !strings.Contains(err.Error(), path+":") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := (config.Network{CredentialsFile: path + ".gone"}).Credentials(); err == nil || !strings.Contains(err.Error(), "network.credentials_file") {
		t.Errorf("got %v", err)
	}
	if none, err := (config.Network{}).Credentials(); err != nil || none != nil {
		t.Errorf("got %v, %v", none, err)
	}
}
