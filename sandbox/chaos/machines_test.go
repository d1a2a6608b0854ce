package chaos

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sam/sandbox/hetzner"
)

// told is the user data of a machine, as far as it is read here.
func told(node string) string {
	content := fmt.Sprintf(`{"node": %q, "gateway": "http://127.0.0.1:1", "token": "once"}`, node)
	return "#cloud-config\n" + fmt.Sprintf(`{"hostname": "x", "write_files": [{"path": "/usr/local/sbin/sam-fetch", "content": ""}, {"path": %q, "content": %q}]}`, bootFile, content)
}

// inTheirPlace are machines whose program says what it was told, and sleeps.
func inTheirPlace(t *testing.T, gateway string) *machines {
	t.Helper()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("SKIPPED, NOT TESTED: no machine was booted, for there is no `sh` to stand for its program")
	}
	dir := t.TempDir()
	const script = `echo "$SAM_NAME $(cat "$SAM_BOOTSTRAP_FILE") $SAM_WORKSPACE $SAM_SLOTS $SAM_GATEWAY"; exec sleep 600`
	return &machines{dir: dir, gateway: gateway, up: map[int64]*machine{}, program: func(name, _ string, env ...string) *program {
		return &program{name: name, binary: shell, args: []string{"-c", script}, env: append(os.Environ(), env...), log: filepath.Join(dir, name+".log")}
	}}
}

func TestAMachineIsAProcessThatIsToldWhatItsUserDataSays(t *testing.T) {
	var mu sync.Mutex
	var from, host string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		from, _, _ = net.SplitHostPort(r.RemoteAddr)
		host = r.Host
		_, _ = io.WriteString(w, "welcome")
	}))
	defer server.Close()
	ms := inTheirPlace(t, server.URL)
	ctx := within(t)
	booted, err := ms.Boot(ctx, hetzner.MachineSpec{ID: 7, Name: "sam-x", IPv4: "127.71.9.9", UserData: told("sam-x")})
	if err != nil {
		t.Fatal(err)
	}
	says := func(times int) (gateway string) {
		t.Helper()
		if err := until(ctx, 10*time.Millisecond, func() error {
			if strings.Count(booted.Log(), "\n") < times {
				return errors.New("it says nothing")
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(booted.Log(), "\n")
		words := strings.Fields(lines[times-1])
		if len(words) != 5 || strings.Join(words[:4], " ") != "sam-x once process 2" {
			t.Fatalf("it was told %q", words)
		}
		return words[4]
	}
	gateway := says(1)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	response, err := client.Get(gateway)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	mu.Lock()
	if err != nil || string(body) != "welcome" || from != "127.71.9.9" || host != strings.TrimPrefix(server.URL, "http://") {
		t.Errorf("%q from %s to %s, %v", body, from, host, err)
	}
	mu.Unlock()

	// Its program is started again when it is killed, and not when the power is gone.
	if nodes := ms.nodes(); len(nodes) != 1 || !nodes[0].kill() {
		t.Error("there is no node that runs")
	}
	says(2)
	if err := booted.Halt(ctx); err != nil {
		t.Error(err)
	}
	select {
	case <-booted.Exited():
	default:
		t.Error("one without power has not ended")
	}
	if len(ms.nodes()) != 0 {
		t.Error("one without power runs")
	}
	if _, err := client.Get(gateway); err == nil {
		t.Error("one without power still has a way out")
	}
	if err := booted.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	says(3)
	if err := booted.Remove(ctx); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(ms.dir, "sam-x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its disk is still there: %v", err)
	}
}

func TestAMachineWithUserDataThatSaysNothingDoesNotBoot(t *testing.T) {
	ms := inTheirPlace(t, "http://127.0.0.1:1")
	for text, want := range map[string]string{
		"":                                    "no cloud-config",
		"#cloud-config\nhostname: x\n":        "read the cloud-config",
		"#cloud-config\n{\"write_files\":[]}": "writes no /etc/sam/boot.json",
		told(""):                              "names no node",
	} {
		if _, err := ms.Boot(t.Context(), hetzner.MachineSpec{ID: 1, Name: "x", IPv4: "127.71.9.8", UserData: text}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// buy asks for a server through a replica's door. The error is of a connection that was cut.
func buy(t *testing.T, c *cloud, door int, name, userData string) error {
	t.Helper()
	body, err := json.Marshal(map[string]string{"name": name, "server_type": "cx33", "location": "fsn1", "image": "docker-ce", "user_data": userData})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.urls[door]+"/servers", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+hetznerToken)
	r.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusCreated {
		t.Errorf("%s: %s", name, response.Status)
	}
	return nil
}

func TestAMachineThatIsKilledStaysDownAndHetznerSaysThatItRuns(t *testing.T) {
	ms := inTheirPlace(t, "http://127.0.0.1:1")
	c, err := openCloud(t.Context(), ms, 1, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx := within(t)
	is := func(machine string) {
		t.Helper()
		if err := until(ctx, 10*time.Millisecond, func() error {
			if s := c.History().Servers[0]; s.Status != "running" || s.Machine != machine {
				return fmt.Errorf("it is %s, and its machine %s", s.Status, s.Machine)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := buy(t, c, 0, "sam-x", told("sam-x")); err != nil {
		t.Fatal(err)
	}
	is("up")
	v := newViolence(&world{cloud: c}, newRandom(1, 1))
	v.killMachines(ctx, newRandom(1, 2), 3)
	is("down")
	if left := ms.nodes(); len(left) != 0 {
		t.Errorf("%d nodes run", len(left))
	}
	v.killMachines(ctx, newRandom(1, 2), 1) // there is none left
	if hits := v.counts()[killMachine]; hits != 1 {
		t.Errorf("%d were killed", hits)
	}
}

func TestWhoeverAsksForAMachineDiesByTurnsBeforeItIsMadeAndBeforeItIsHeard(t *testing.T) {
	c, err := openCloud(t.Context(), nil, 2, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	ask := func(door int, name string) error { return buy(t, c, door, name, "") }
	var struck []int
	dies := true
	blow := func(replica int) bool {
		struck = append(struck, replica)
		return dies
	}
	c.atCreation(blow)
	_ = ask(0, "first") // it is made; that the asker is dead, it cannot tell here
	c.atCreation(blow)
	if ask(1, "second") == nil {
		t.Error("one that was dead when it asked was answered")
	}
	if err := ask(1, "third"); err != nil {
		t.Error(err)
	}
	dies = false
	c.atCreation(blow)
	_ = ask(0, "fourth")
	c.atCreation(blow)
	if err := ask(0, "fifth"); err != nil {
		t.Errorf("one that could not be killed was not answered: %v", err)
	}
	c.atCreation(blow)
	c.atCreation(nil)
	if err := ask(0, "sixth"); err != nil {
		t.Error(err)
	}
	var made []string
	for _, s := range c.History().Servers {
		made = append(made, s.Name)
	}
	if got := strings.Join(made, " "); got != "first third fourth fifth sixth" || fmt.Sprint(struck) != "[0 1 0 0]" {
		t.Errorf("made %s, struck at %v", got, struck)
	}
}
