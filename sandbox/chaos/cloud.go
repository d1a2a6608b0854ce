package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"sam/sandbox/hetzner"
)

// The account that has machines; the standing nodes are the other's.
const withMachines = 1

// hetznerToken opens the account's project. It is as long as Hetzner's are.
const hetznerToken = "chaos-hetzner-read-and-write-Vq7mX2kR9tLz4HnWp3cYd8sJf6gBa5Ee1Q2"

// How machines are made and kept: few, for little, and let go soon, so that all of it happens in a run. What a product waits for
// minutes it waits for seconds here.
const (
	mostMachines  = 3
	machineSlots  = 2
	machineMemory = "3GiB" // of 8, less what the machine keeps for itself: two workspaces
	keepFor       = "fixed-1m"
	callHome      = 45 * time.Second // longer than it takes until a creation is taken over
	lostAfter     = 45 * time.Second // as long as a node's lease
	tryAgain      = 3 * time.Second
	compareEvery  = 5 * time.Second
	orphanAfter   = 15 * time.Second
	// Ten times Hetzner's, since all of the above goes at least ten times as fast as it is by default.
	callsAnHour = 36_000
)

// caps are what the account may have at once, and spend, in millionths of a euro.
type caps struct {
	machines       int
	daily, monthly int64
}

// capsFor are those of a run that lasts so long: more than what strikes in it makes necessary, and less than who makes machines
// without end spends.
func capsFor(d time.Duration) caps {
	daily := 200_000 + int64(d.Minutes()*100_000)
	return caps{machines: mostMachines, daily: daily, monthly: daily * 3 / 2}
}

func euros(millionths int64) string {
	return fmt.Sprintf("%d.%06d", millionths/1_000_000, millionths%1_000_000)
}

// machineTypes are what machines are made of, first what is tried first. Programs for them are this one, so they have its architecture.
func machineTypes() string {
	if runtime.GOARCH == "arm64" {
		return "cax21@fsn1,cax21@nbg1,cax31@hel1"
	}
	return "cx33@fsn1,cx33@nbg1,cpx32@hel1"
}

// cloud is the stand-in for Hetzner. Each replica has a door of its own to it, so that it is known who asks.
type cloud struct {
	*hetzner.Server
	doors  []*http.Server
	urls   []string
	served sync.WaitGroup

	mu   sync.Mutex
	blow func(replica int) bool // what the next creation is met with; nil for nothing
	made bool                   // the blow falls when the server is made, else before
}

// openCloud serves the stand-in to so many replicas. What servers boot is machines'.
func openCloud(ctx context.Context, machines hetzner.Machines, doors int, log zerolog.Logger) (*cloud, error) {
	s, err := hetzner.New(hetzner.Options{ //nolint:contextcheck // the stand-in is called as a service is
		Tokens: []hetzner.Token{{Secret: hetznerToken, Project: accounts[withMachines]}}, Machines: machines, Log: log,
		Limits: hetzner.Limits{RequestsPerHour: callsAnHour},
	})
	if err != nil {
		return nil, err
	}
	c := &cloud{Server: s}
	for i := range doors {
		var listen net.ListenConfig
		l, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listen for Hetzner's stand-in: %w", err), c.Close())
		}
		door := &http.Server{Handler: c.door(i, s.Handler()), ReadHeaderTimeout: 10 * time.Second}
		c.doors, c.urls = append(c.doors, door), append(c.urls, "http://"+l.Addr().String()+"/v1")
		c.served.Go(func() { _ = door.Serve(l) }) // until it is closed
	}
	return c, nil
}

// Close ends every machine. It waits until they are gone.
func (c *cloud) Close() error {
	var errs []error
	for _, d := range c.doors {
		errs = append(errs, d.Close())
	}
	c.served.Wait()
	c.Server.Close()
	return errors.Join(errs...)
}

// door is a replica's way to the stand-in.
func (c *cloud) door(replica int, api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		blow, made := c.creation(r)
		if blow != nil && !made && blow(replica) {
			panic(http.ErrAbortHandler) // whoever asked is dead, and was not heard
		}
		api.ServeHTTP(w, r)
		if blow != nil && made {
			blow(replica)
		}
	})
}

// atCreation has the next creation of a server met with a blow at who asks for it, by turns before it is made and when it is made and
// nobody has heard so. nil takes it back.
func (c *cloud) atCreation(blow func(replica int) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blow = blow
}

func (c *cloud) creation(r *http.Request) (blow func(int) bool, made bool) {
	if r.Method != http.MethodPost || r.URL.Path != "/v1/servers" {
		return nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.blow == nil {
		return nil, false
	}
	blow, made = c.blow, !c.made
	c.blow, c.made = nil, made
	return blow, made
}

// rented is what the stand-in has to show.
func (c *cloud) rented(withdrawn bool, allowed caps) rented {
	return rented{servers: c.History().Servers, bill: c.Billing().Lines, caps: allowed, withdrawn: withdrawn}
}

// cloudSettings are what a replica is told of machines.
func (w *world) cloudSettings(replica int) []string {
	allowed := capsFor(w.options.Duration)
	return []string{
		"SAM_KEYS_DIR=" + w.keysDir(), "SAM_HETZNER_ENDPOINT=" + w.cloud.urls[replica], "SAM_HETZNER_MACHINES=" + machineTypes(),
		"SAM_HETZNER_MEMORY=" + machineMemory, "SAM_HETZNER_POLICY=" + keepFor, fmt.Sprintf("SAM_HETZNER_MAX_MACHINES=%d", allowed.machines),
		"SAM_HETZNER_DAILY_BUDGET=" + euros(allowed.daily), "SAM_HETZNER_MONTHLY_BUDGET=" + euros(allowed.monthly),
		"SAM_HETZNER_CALL_HOME=" + callHome.String(), "SAM_HETZNER_LOST=" + lostAfter.String(), "SAM_HETZNER_AGAIN=" + tryAgain.String(),
		"SAM_HETZNER_RECONCILE=" + compareEvery.String(), "SAM_HETZNER_ORPHAN=" + orphanAfter.String(),
	}
}

func (w *world) keysDir() string { return filepath.Join(w.options.Dir, "keys") }

// makeKey makes the key that the account's token is sealed with.
func (w *world) makeKey(ctx context.Context) error {
	if err := os.MkdirAll(w.keysDir(), 0o700); err != nil {
		return fmt.Errorf("make the folder of keys: %w", err)
	}
	return w.command(ctx, nil, "keys", "new", w.keysDir())
}

// rent gives one account machines, with a token of its own, and the standing nodes to the other: a node serves the account that used it
// first, and these are not to be used by the one that shall need machines.
func (w *world) rent(ctx context.Context) error {
	token := filepath.Join(w.options.Dir, "hetzner-token")
	if err := os.WriteFile(token, []byte(hetznerToken+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the account's token: %w", err)
	}
	keys, err := keysOf(ctx, w.redis)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if kindOf(key) != "node" {
			continue
		}
		if _, err := w.redis.Do(ctx, "HSET", key, "account", fmt.Sprint(w.owners[1-withMachines])); err != nil {
			return fmt.Errorf("give %s to an account: %w", key, err)
		}
	}
	return w.command(ctx, w.replicas[0].env, "account", "set", accounts[withMachines], "--hetzner-token-file", token)
}

// withdraw takes the account's token back: its machines are to go, and the token after them. It returns when nothing is left.
func (w *world) withdraw(ctx context.Context) error {
	if err := w.command(ctx, w.replicas[0].env, "account", "remove", accounts[withMachines]); err != nil {
		return err
	}
	return until(ctx, time.Second, func() error {
		r, err := read(ctx, w.redis, false)
		if err != nil {
			return err
		}
		if left := w.cloud.rented(true, caps{}).strays(r); len(left) > 0 {
			return errors.New(left[0])
		}
		if len(r.tokens) > 0 {
			return fmt.Errorf("the token of account %s is still kept", r.tokens[0])
		}
		return nil
	})
}

// command runs one of sam's commands beside the replicas.
func (w *world) command(ctx context.Context, env []string, args ...string) error {
	p := w.program("", "", slices.Concat(env, []string{"SAM_REDIS_ADDRESS=" + w.redis.Address})...)
	cmd := exec.CommandContext(ctx, p.binary, args...)
	cmd.Env = p.env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("sam %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
