package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"sam/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// whole is the least that a server needs.
const whole = `github:
  app_id: 42
  private_key_file: key.pem
  webhook_secret_file: secret
`

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sam.yml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAWholeConfigurationIsTheDefaultsAndWhatTheFileSays(t *testing.T) {
	path := write(t, whole+"node: {name: attic, slots: 5}\nredis:\n  tls: true\n  password_file: /etc/sam/redis\n")
	got, err := config.Load(path, []string{"HOME=/root", "PATH=/bin"})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Defaults()
	want.GitHub.AppID = 42
	want.GitHub.PrivateKeyFile = filepath.Join(filepath.Dir(path), "key.pem")
	want.GitHub.WebhookSecretFile = filepath.Join(filepath.Dir(path), "secret")
	want.Node.Name, want.Node.Slots = "attic", 5
	want.Redis.TLS, want.Redis.PasswordFile = true, "/etc/sam/redis"
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// As in the shipped example, where everything but the first lines is commented out.
func TestASectionWithNothingInItKeepsItsDefaults(t *testing.T) {
	path := write(t, "# SAM\n"+whole+"node:\n#  slots: 4\nlog:\n  level: # info\nagent:\n")
	got, err := config.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := config.Defaults(); got.Node != want.Node || got.Log != want.Log || got.Agent != want.Agent {
		t.Errorf("got %+v", got)
	}
}

func TestAFilesPricesStandOverTheDefaultsModelByModel(t *testing.T) {
	path := write(t, whole+`model:
  anthropic: {key_file: key, base_url: "https://models.example/anthropic"}
  prices:
    claude-opus-5-5: {input: 3, output: 15.5, cache_read: 0.1, cache_write: 4, cache_write_1h: 6}
    in-house-2.5: {input: 0, output: 0, cache_read: 0, cache_write: 0, long_above: 100000, long_input: 1, long_output: 2, long_cache_read: 3, long_cache_write: 4}
`)
	got, err := config.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a := got.Model.Anthropic; a.KeyFile != filepath.Join(filepath.Dir(path), "key") || a.BaseURL != "https://models.example/anthropic" {
		t.Errorf("%+v", a)
	}
	want := config.Defaults().Model.Prices
	want["claude-opus-5-5"] = config.Price{Input: 3, Output: 15.5, CacheRead: 0.1, CacheWrite: 4, CacheWrite1h: 6}
	want["in-house-2.5"] = config.Price{LongAbove: 100_000, LongInput: 1, LongOutput: 2, LongCacheRead: 3, LongCacheWrite: 4}
	if !reflect.DeepEqual(got.Model.Prices, want) {
		t.Errorf("got  %+v\nwant %+v", got.Model.Prices, want)
	}
}

func TestDefaultsListenOnLoopbackOnly(t *testing.T) {
	d := config.Defaults()
	for _, listen := range []string{d.Public.Listen, d.Operator.Listen} {
		if !strings.HasPrefix(listen, "127.0.0.1:") {
			t.Errorf("a default listens on %s", listen)
		}
	}
	if d.Redis.AllowLossy {
		t.Error("by default SAM starts on a Redis that loses what it acknowledged")
	}
}

func TestTheEnvironmentStandsOverTheFile(t *testing.T) {
	path := write(t, whole+"node:\n  slots: 5\n")
	got, err := config.Load(path, []string{
		"SAM_NODE_SLOTS=7", "SAM_GITHUB_APP_ID=43", "SAM_REDIS_TLS=true", "SAM_LOG_LEVEL=debug", "SAM_GITHUB_PRIVATE_KEY_FILE=elsewhere.pem",
		"SAM_CONFIG=sam.yml", "SAM_NODE_CONFIG=node.yml", // which file to read
		"SAM_TOKEN_FILE=x", "SAM_GATEWAY=http://sam", // `sam node` may share the environment
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Node.Slots != 7 || got.GitHub.AppID != 43 || !got.Redis.TLS || got.Log.Level != "debug" {
		t.Errorf("got %+v", got)
	}
	if got.GitHub.PrivateKeyFile != "elsewhere.pem" {
		t.Errorf("a path of the environment became %s: it is relative to the working directory", got.GitHub.PrivateKeyFile)
	}
}

func TestTheEnvironmentAloneIsEnough(t *testing.T) {
	got, err := config.Load("", []string{"SAM_GITHUB_APP_ID=1", "SAM_GITHUB_PRIVATE_KEY_FILE=k", "SAM_GITHUB_WEBHOOK_SECRET_FILE=s"})
	if err != nil || got.GitHub.AppID != 1 || got.GitHub.PrivateKeyFile != "k" {
		t.Errorf("%+v, %v", got.GitHub, err)
	}
}

func TestWhatIsWrongIsNamedByFileLineAndKey(t *testing.T) {
	for name, c := range map[string]struct {
		text    string
		environ []string
		want    string // FILE stands for the path
	}{
		"nothing": {text: "", want: `FILE: github.app_id: is missing: the App's settings page on GitHub shows it
FILE: github.private_key_file: is missing: make a key on the App's settings page and give the file's path
FILE: github.webhook_secret_file: is missing: without a secret anybody could command SAM`},
		"an unknown section":          {text: whole + "gihtub:\n  app_id: 1\n", want: "FILE:5: gihtub: is no setting"},
		"an unknown key":              {text: whole + "node:\n  name: a\n  slotz: 3\n", want: "FILE:7: node.slotz: is no setting"},
		"a word for a number":         {text: whole + "node:\n  name: a\n  slots: many\n", want: "FILE:7: node.slots: many is not a whole number"},
		"a number for a truth":        {text: whole + "redis:\n  tls: 3\n", want: "FILE:6: redis.tls: 3 is neither true nor false"},
		"a word for a section":        {text: whole + "node: attic\n", want: "FILE:5: node: has keys of its own, and what stands here is none"},
		"the same key twice":          {text: whole + "agent: demo\nagent: claude\n", want: `FILE:6: mapping key "agent" already defined at [5:1]`},
		"a section for a text":        {text: whole + "agent: {name: demo}\n", want: "FILE:5: agent: what stands here is not a text"},
		"a list":                      {text: "- a\n", want: "FILE:1: the file: has keys of its own, and what stands here is none"},
		"a word":                      {text: "github\n", want: "FILE:1: the file: has keys of its own, and what stands here is none"},
		"two documents":               {text: whole + "---\nagent: demo\n", want: "FILE: holds 2 YAML documents and may hold one"},
		"an anchor":                   {text: whole + "agent: &a demo\n", want: "FILE:5: agent: what stands here is not a text"},
		"a fraction":                  {text: whole + "node:\n  slots: 1.5\n", want: "FILE:6: node.slots: 1.5 is not a whole number"},
		"too many slots":              {text: whole + "node:\n  slots: 65\n", want: "FILE:6: node.slots: 65 is not between 0 and 64"},
		"a model without an address":  {text: whole + "model:\n  anthropic:\n    base_url: api\n", want: `FILE:7: model.anthropic.base_url: "api" is not an http or https address`},
		"an unknown key further down": {text: whole + "model:\n  anthropic:\n    key: sk\n", want: "FILE:7: model.anthropic.key: is no setting"},
		"a word for a table":          {text: whole + "model:\n  prices: none\n", want: "FILE:6: model.prices: has keys of its own, and what stands here is none"},
		"half a price":                {text: whole + "model:\n  prices:\n    mine: {input: 1, output: 2}\n", want: "FILE:7: model.prices.mine.cache_read: is missing"},
		"a long price with gaps": {text: whole + "model:\n  prices:\n    mine: {input: 1, output: 2, cache_read: 0, cache_write: 0, long_above: 5}\n",
			want: "FILE:7: model.prices.mine.long_input: is missing"},
		"a price below nothing":        {text: whole + "model:\n  prices:\n    mine:\n      input: -1\n", want: "FILE:8: model.prices.mine.input: -1 is not a price in US dollars per million tokens"},
		"a price that is none":         {text: whole + "model:\n  prices:\n    mine:\n      input: .nan\n", want: "FILE:8: model.prices.mine.input: .nan is not a price in US dollars per million tokens"},
		"a kind of price that is none": {text: whole + "model:\n  prices:\n    mine:\n      in: 1\n", want: "FILE:8: model.prices.mine.in: is no setting"},
		"a table in the environment": {text: whole, environ: []string{"SAM_MODEL_PRICES=x"},
			want: "environment: SAM_MODEL_PRICES: model.prices: is a table, which only the configuration's file can hold"},
		"an empty name":         {text: whole + "node:\n  name: ''\n", want: `FILE:6: node.name: "" is not a name: up to 63 letters, digits and dashes`},
		"a name with a dot":     {text: whole + "node: {name: a.b}\n", want: `FILE:5: node.name: "a.b" is not a name: up to 63 letters, digits and dashes`},
		"a port alone":          {text: whole + "public:\n  listen: 8080\n", want: `FILE:6: public.listen: "8080" is not host:port`},
		"no address":            {text: whole + "public:\n  url: sam.example\n", want: `FILE:6: public.url: "sam.example" is not an http or https address`},
		"an unknown log level":  {text: whole + "log:\n  level: loud\n", want: `FILE:6: log.level: "loud" is none of debug, info, warn, error`},
		"an unknown log format": {text: whole + "log:\n  format: xml\n", want: `FILE:6: log.format: "xml" is neither json nor console`},
		"several, in the order of the keys": {text: whole + "operator:\n  listen: ''\nagent: ''\nredis:\n  address: ''\n", want: `FILE:6: operator.listen: "" is not host:port
FILE:9: redis.address: is missing
FILE:7: agent: is missing: write one of claude, demo`},
		"an agent that no node has": {text: whole + "agent: clade\n", want: `FILE:5: agent: "clade" is no agent that nodes have: write one of claude, demo`},
		"an agent that no node has for projects to choose": {text: whole + "agents: [demo, Claude]\n",
			want: `FILE:5: agents: "Claude" is no agent that nodes have: write one of claude, demo`},
		"an agent of the environment": {text: whole, environ: []string{"SAM_AGENT=nobody"},
			want: `environment: SAM_AGENT: agent: "nobody" is no agent that nodes have: write one of claude, demo`},
		"a negative id in the file": {text: strings.Replace(whole, "42", "-1", 1), want: "FILE:2: github.app_id: is missing: the App's settings page on GitHub shows it"},
		"a value of the environment, though the file's was right": {text: whole + "node:\n  slots: 2\n", environ: []string{"SAM_NODE_SLOTS=-1"},
			want: "environment: SAM_NODE_SLOTS: node.slots: -1 is not between 0 and 64"},
		"a word of the environment for a number": {text: whole, environ: []string{"SAM_GITHUB_APP_ID=my-app"},
			want: `environment: SAM_GITHUB_APP_ID: github.app_id: my-app is not a whole number`},
		"a word of the environment for a truth": {text: whole, environ: []string{"SAM_REDIS_TLS=ja"},
			want: `environment: SAM_REDIS_TLS: redis.tls: ja is neither true nor false`},
		"an unknown variable": {text: whole, environ: []string{"SAM_NODE_SLOTZ=3"},
			want: "environment: SAM_NODE_SLOTZ is no setting of SAM: see docs/configuration.md"},
	} {
		path := write(t, c.text)
		_, err := config.Load(path, c.environ)
		if err == nil {
			t.Errorf("%s: taken", name)
			continue
		}
		if got := strings.ReplaceAll(err.Error(), path, "FILE"); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, c.want)
		}
	}
}

func TestWhatIsNotYAMLIsNamedByFileAndLine(t *testing.T) {
	path := write(t, whole+"node: {name: a\n")
	_, err := config.Load(path, nil)
	if err == nil || !strings.HasPrefix(err.Error(), path+":5: ") {
		t.Errorf("got %v, want the file and line 5", err)
	}
}

func TestAFileThatIsNotThereStopsTheStart(t *testing.T) {
	if _, err := config.Load(filepath.Join(t.TempDir(), "no.yml"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want that it does not exist", err)
	}
}

func TestANodeHasAConfigurationOfItsOwn(t *testing.T) {
	path := write(t, "gateway: https://sam.example\ntoken_file: token\ndir: data\n")
	got, err := config.LoadAgent(path, []string{"SAM_SLOTS=3", "SAM_GITHUB_APP_ID=1", "SAM_LOG_FORMAT=console"})
	if err != nil {
		t.Fatal(err)
	}
	want := config.AgentDefaults()
	want.Gateway, want.Slots, want.Log.Format = "https://sam.example", 3, "console"
	want.TokenFile, want.Dir = filepath.Join(filepath.Dir(path), "token"), filepath.Join(filepath.Dir(path), "data")
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestWhatAContainerMayUseIsConfigured(t *testing.T) {
	for _, row := range []struct {
		text   string
		memory config.Bytes
		cpus   float64
		pids   int
	}{
		{"", 0, 0, 512},
		{"memory: 8GiB\ncpus: 1.5\npids: 2048\n", 8 << 30, 1.5, 2048},
		{"memory: 512 MiB\ncpus: 4\n", 512 << 20, 4, 512},
		{"memory: 1073741824\n", 1 << 30, 0, 512},
		{"memory: 0\n", 0, 0, 512},
	} {
		got, err := config.LoadAgent(write(t, "token_file: t\n"+row.text), nil)
		if err != nil || got.Memory != row.memory || got.CPUs != row.cpus || got.PIDs != row.pids {
			t.Errorf("%q: %d, %g, %d, %v", row.text, got.Memory, got.CPUs, got.PIDs, err)
		}
	}
	environ := []string{"SAM_TOKEN_FILE=t", "SAM_MEMORY=6GiB", "SAM_CPUS=0.5", "SAM_PIDS=100"}
	if got, err := config.LoadAgent("", environ); err != nil || got.Memory != 6<<30 || got.CPUs != 0.5 || got.PIDs != 100 {
		t.Errorf("of the environment: %+v, %v", got, err)
	}
	_, err := config.LoadAgent("", []string{"SAM_TOKEN_FILE=t", "SAM_MEMORY=lots"})
	if want := "environment: SAM_MEMORY: memory: lots is no amount of memory"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestWhatIsWrongWithANodesConfigurationIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "FILE: token_file: is missing: the server writes it where its node.token_file says",
		"token_file: t\nslots: 0\n":     "FILE:2: slots: 0 is not between 1 and 64",
		"token_file: t\ngateway: sam\n": `FILE:2: gateway: "sam" is not an http or https address`,
		"token_file: t\ndir: ''\n":      "FILE:2: dir: is missing",
		"token_file: t\ngithub: {}\n":   "FILE:2: github: is no setting",
		"token_file: [t]\n":             "FILE:1: token_file: what stands here is not a text",

		"name: sam-1\n":                              "FILE: bootstrap_file: is missing: with the token in it a machine that SAM made proves once that it is that machine",
		"bootstrap_file: b\n":                        "FILE: name: is missing: the bootstrap token is good for the one node that it was made for",
		"name: sam-1\ntoken_file: t\n":               "FILE:2: token_file: is given beside name or bootstrap_file: a node has a credential that the server wrote, or gets its own, not both",
		"name: sam-1\nbootstrap_file: b\nslots: 0\n": "FILE:3: slots: 0 is not between 1 and 64",

		"token_file: t\nmemory: 4GB\n":    "FILE:2: memory: 4GB is no amount of memory: write a whole number and KiB, MiB, GiB or TiB, as in 4GiB",
		"token_file: t\nmemory: 1.5GiB\n": "FILE:2: memory: 1.5GiB is no amount of memory: write a whole number and KiB, MiB, GiB or TiB, as in 4GiB",
		"token_file: t\nmemory: 100MiB\n": "FILE:2: memory: 100 MiB is too little for an agent and what it builds: give it 256 MiB or more, or 0 for the default",
		"token_file: t\nmemory: 4\n":      "FILE:2: memory: 4 bytes is too little for an agent and what it builds: give it 256 MiB or more, or 0 for the default",
		"token_file: t\nmemory: 9223372036854775807KiB\n": "FILE:2: memory: 9223372036854775807KiB is no amount of memory: " +
			"write a whole number and KiB, MiB, GiB or TiB, as in 4GiB",
		"token_file: t\ncpus: two\n":   "FILE:2: cpus: two is not a number",
		"token_file: t\ncpus: -1\n":    "FILE:2: cpus: -1 is not from 0.1 to 1024, and not 0 for the default",
		"token_file: t\ncpus: '.01'\n": "FILE:2: cpus: 0.01 is not from 0.1 to 1024, and not 0 for the default",
		"token_file: t\ncpus: 'NaN'\n": "FILE:2: cpus: NaN is not from 0.1 to 1024, and not 0 for the default",
		"token_file: t\npids: 10\n":    "FILE:2: pids: 10 is not from 64 to 4194304",
		"token_file: t\npids: 1.5\n":   "FILE:2: pids: 1.5 is not a whole number",
	} {
		path := write(t, text)
		_, err := config.LoadAgent(path, nil)
		if err == nil || strings.ReplaceAll(err.Error(), path, "FILE") != want {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestASecretIsOneLineThatIsNotEmpty(t *testing.T) {
	path := write(t, "  hush\r\n")
	if got, err := config.Secret("github.webhook_secret_file", path); got != "hush" || err != nil {
		t.Errorf("%q, %v; want hush", got, err)
	}
	path = write(t, " \n")
	_, err := config.Secret("github.webhook_secret_file", path)
	if want := "github.webhook_secret_file: " + path + " is empty"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	_, err = config.Secret("redis.password_file", path+".no")
	var wrong config.Error
	if !errors.As(err, &wrong) || wrong.Key != "redis.password_file" {
		t.Errorf("got %v, want an Error of the key", err)
	}
}
