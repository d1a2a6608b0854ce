package devcontainer

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// composedAs reads compose files of one file, whose named service is app.
func composedAs(t *testing.T, text string, run []string) (Config, string, error) {
	t.Helper()
	config, findings, err := FromCompose(treeOf(t, map[string]string{"compose.yml": text}), Config{Compose: &Compose{Files: []string{"compose.yml"}, Service: "app", Run: run}}, testVariables)
	return config, fmt.Sprint(findings), err
}

func names(all []Service) []string {
	var found []string
	for _, one := range all {
		found = append(found, one.Name)
	}
	return found
}

func TestTheServicesThatRunBesideAreThoseThatAreNeededInTheirOrder(t *testing.T) {
	t.Parallel()
	const app = "services:\n  app:\n    image: debian:12\n"
	const others = "  db:\n    image: postgres:${V:-16}\n  cache:\n    image: redis:7\n    depends_on: [seed]\n  seed:\n    image: seed:1\n    profiles: [seeding]\n  debug:\n    image: x:1\n    profiles: [debug]\n"
	for _, row := range []struct {
		name, text string
		run        []string
		want       []string
		needs      map[string]Condition
		words      string
	}{
		{"all, without those of profiles that nothing needs", app + others, nil, []string{"seed", "cache", "db"}, nil, ""},
		{"only those that runServices names", app + others, []string{"db"}, []string{"db"}, nil, ""},
		{"none when runServices is empty", app + others, []string{}, nil, nil, ""},
		{"and what the named one needs, with runServices or without", app + "    depends_on: [cache, nowhere]\n" + others, []string{}, []string{"seed", "cache"}, map[string]Condition{"cache": Started}, "nowhere, which it depends on"},
		{"and its conditions", app + "    depends_on:\n      db: {condition: service_healthy}\n      seed: {condition: service_completed_successfully}\n" + others, []string{}, []string{"db", "seed"},
			map[string]Condition{"db": Healthy, "seed": Completed}, ""},
		{"one that needs the named one", app + "  web:\n    image: nginx:1\n    depends_on: [app]\n", nil, []string{"web"}, nil, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			config, said, err := composedAs(t, row.text, row.run)
			if err != nil || !slices.Equal(names(config.Services), row.want) {
				t.Fatalf("they are %v, %v", names(config.Services), err)
			}
			if len(row.needs)+len(config.Needs) > 0 && !reflect.DeepEqual(config.Needs, row.needs) {
				t.Errorf("it needs %v", config.Needs)
			}
			if !strings.Contains(said, row.words) || row.words == "" && said != "[]" {
				t.Errorf("it was told %s", said)
			}
		})
	}
}

func TestServicesThatCannotBeStartedAreAWordAboutTheFile(t *testing.T) {
	t.Parallel()
	const app = "services:\n  app:\n    image: debian:12\n"
	for name, row := range map[string]struct {
		text  string
		run   []string
		words string
	}{
		"a circle":                 {app + "  a:\n    image: x:1\n    depends_on: [b]\n  b:\n    image: x:1\n    depends_on: [a]\n", nil, "depends on itself"},
		"no such service":          {app, []string{"other"}, "has the service other"},
		"a variable of the node's": {app + "  db:\n    image: x:${TOKEN}\n", nil, "of the node's environment"},
		"neither image nor build":  {app + "  db:\n    command: x\n", nil, "neither image nor build"},
		"a context outside":        {app + "  db:\n    build: ../..\n", nil, "leads out"},
		"another project's image":  {app + "  db:\n    image: sam-environment:x\n", nil, "one project each"},
		"a name that is none":      {app + "  'x y':\n    image: x:1\n", nil, "its name is to be"},
		"very many":                {app + many(30), nil, "more than 8 services"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, _, err := composedAs(t, row.text, row.run); err == nil || !strings.Contains(err.Error(), row.words) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

// many are n services of a compose file.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  s%02d:\n    build: .\n", i)
	}
	return b.String()
}

func TestOfAServiceIsTakenWhatStaysInItsContainer(t *testing.T) {
	t.Parallel()
	config, said, err := composedAs(t, `services:
  app:
    image: debian:12
  db:
    image: postgres:16
    container_name: main-db
    hostname: "bad name"
    user: "999:999"
    environment: {PASSWORD: "${PW:-secret}", NUMBER: 3}
    command: serve --name "two words" 'a\b' c\ d ""
    entrypoint: [/bin/run, "x y"]
    working_dir: /data/
    restart: always
    expose: ["5432", 9000/tcp]
    ports: ["127.0.0.1:15432:5433", {target: 7000}]
    tmpfs: /run:size=1g
    volumes: ["data:/var/lib/data", "/cache", {type: tmpfs, target: /fast}, {type: volume, source: other, target: /other}]
    healthcheck: {test: pg_isready, interval: 1ms, timeout: 2s, start_period: 1m, retries: 5}
volumes: {data: {}}
`, nil)
	if err != nil || len(config.Services) != 1 {
		t.Fatal(config, err)
	}
	want := Service{
		Name: "db", Names: []string{"db", "main-db"}, Image: "postgres:16", User: "999:999", Env: map[string]string{"PASSWORD": "secret", "NUMBER": "3"},
		Command: []string{"serve", "--name", "two words", `a\b`, "c d", ""}, Entrypoint: []string{"/bin/run", "x y"}, Folder: "/data",
		Health: &Health{Test: []string{"CMD-SHELL", "pg_isready"}, Interval: shortestInterval, Timeout: 2 * time.Second, StartPeriod: time.Minute, Retries: 5},
		Tmpfs:  []string{"/run", "/fast"}, Volumes: []string{"/var/lib/data", "/cache", "/other"}, Ports: []string{"5432", "5433", "7000", "9000"},
	}
	if got := config.Services[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("it is %+v\nnot   %+v", got, want)
	}
	if !strings.Contains(said, "ports is refused and left out") || strings.Count(said, "refused") != 2 { // by its code, and in words
		t.Errorf("it was told %s", said)
	}
}

func TestWhatAServiceAsksOfTheNodeIsRefusedAsForTheNamedOne(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ property, value string }{
		{"privileged", "true"}, {"cap_add", "[ALL]"}, {"security_opt", "['seccomp=unconfined']"}, {"network_mode", "host"}, {"networks", "[x]"}, {"pid", "host"},
		{"ipc", "host"}, {"uts", "host"}, {"userns_mode", "host"}, {"cgroup", "host"}, {"cgroup_parent", "/"}, {"sysctls", "['a=b']"}, {"devices", "['/dev/kmsg']"},
		{"volumes", "['/:/host']"}, {"volumes", "['./data:/data']"}, {"volumes", "['~/x:/data:ro']"}, {"volumes", "[{type: bind, source: /, target: /host}]"}, {"volumes", "[{type: npipe, source: x, target: /host}]"},
		{"volumes", "['${HOME}/x:/host']"}, {"volumes_from", "[app]"}, {"env_file", "['/etc/environment']"}, {"configs", "[x]"}, {"secrets", "[x]"}, {"ports", "['80:80']"},
		{"extra_hosts", "['a:1.2.3.4']"}, {"runtime", "other"}, {"device_cgroup_rules", "['a']"}, {"gpus", "all"}, {"extends", "{service: app}"},
	} {
		config, said, err := composedAs(t, "services:\n  app:\n    image: debian:12\n  db:\n    image: x:1\n    "+row.property+": "+row.value+"\n", nil)
		if err != nil || len(config.Services) != 1 || len(config.Services[0].Volumes) > 0 {
			t.Errorf("%s: %+v, %v", row.property, config.Services, err)
		}
		if !strings.Contains(said, row.property+" (the compose service db)") || !strings.Contains(said, row.property+" is refused and left out") {
			t.Errorf("%s: %s was told %s", row.property, row.value, said)
		}
	}
}

func TestPartsOfAServiceThatAreNotUnderstoodAreLeftOutWithAWord(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ text, words string }{
		{"healthcheck: {test: 7}", "healthcheck.test is left out"}, {"healthcheck: {test: [RUN, x]}", "healthcheck.test"}, {"healthcheck: {test: x, interval: soon}", "healthcheck.interval"},
		{"healthcheck: 7", "an object with a test"}, {"command: 'a \"b'", "quotes are closed"}, {"user: 'a b'", "user is left out"}, {"tmpfs: [/proc/x]", "tmpfs is left out"},
		{"volumes: ['data:/proc']", "volumes is left out"}, {"volumes: ['data:/sys/fs']", "volumes"}, {"volumes: 7", "a list"}, {"depends_on: 7", "depends_on is left out"},
		{"privledged: true", "privledged is ignored"},
	} {
		config, said, err := composedAs(t, "services:\n  app:\n    image: debian:12\n  db:\n    image: x:1\n    "+row.text+"\n", nil)
		if err != nil || len(config.Services) != 1 || !strings.Contains(said, row.words) {
			t.Errorf("%s: %s, %v", row.text, said, err)
		}
	}
}

func TestServicesThatWantOnePortOrOneVolumeAreTold(t *testing.T) {
	t.Parallel()
	_, said, err := composedAs(t, "services:\n  app:\n    image: debian:12\n  a:\n    image: x:1\n    expose: [5432]\n    volumes: ['data:/a']\n  b:\n    image: x:1\n    expose: ['5432/tcp']\n    volumes: ['data:/b']\n", nil)
	if err != nil || !strings.Contains(said, "b and a both listen on the port 5432") || !strings.Contains(said, "The volume data is not shared with a") {
		t.Errorf("it was told %s, %v", said, err)
	}
}
