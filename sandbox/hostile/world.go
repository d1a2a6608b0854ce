package hostile

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sam/sandbox/github"
	"sam/sandbox/model"
	"sam/sandbox/redis"
)

// agentProgram is where a node has the Claude Code that it is pinned to, below its folder of agents. Another release is another
// name: then the node would fetch the real one, which carries out no orders, and every attempt is untried.
const agentProgram = "claude-code-2.1.330/claude"

// readyWithin bounds how long the parts may take to find each other.
const readyWithin = 60 * time.Second

// world is all the parts of a run.
type world struct {
	options   Options
	redis     *redis.Server
	hub       *github.Server
	app       github.App
	person    string // a token of the maintainer's, for looks at repositories from outside
	model     *recorder
	scripted  *model.Server
	serve     *program
	node      *program
	nodeToken string
	between   *between
	neighbour *neighbour
	traps     map[string]*trap
	secrets   map[string]string // what there is to steal, by what it is
	targets   map[string]string // what the intruder is told of, host:port
	gateway   string            // host:port
	doubt     *doubt
	own       string // a canary that is in the repositories
	clean     []func(context.Context) error
}

// nodeDir is the node's folder.
func (w *world) nodeDir() string { return filepath.Join(w.options.Dir, "node") }

// ownedDir is where only code on the host can write. Every planted command does.
func (w *world) ownedDir() string { return filepath.Join(w.options.Dir, "owned") }

// later keeps what is to be undone.
func (w *world) later(undo func(context.Context) error) { w.clean = append(w.clean, undo) }

func (w *world) close(ctx context.Context) error {
	var failed []error
	for i := range w.clean {
		failed = append(failed, w.clean[len(w.clean)-1-i](ctx))
	}
	return errors.Join(failed...)
}

// build starts everything.
func build(ctx context.Context, o Options) (_ *world, err error) {
	w := &world{options: o, traps: map[string]*trap{}, targets: map[string]string{}, secrets: map[string]string{}, own: canary("own")}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close(ctx))
		}
	}()
	if err := errors.Join(os.MkdirAll(w.ownedDir(), 0o777), os.Chmod(w.ownedDir(), 0o777)); err != nil { //nolint:gosec // G302: whoever runs on the host may write there
		return w, fmt.Errorf("make the run's folders: %w", err)
	}
	for _, step := range []func(context.Context) error{w.openRedis, w.openHub, w.openModel, w.setTraps, w.startServer, w.startNode, w.install} {
		if err := step(ctx); err != nil {
			return w, err
		}
	}
	return w, nil
}

func (w *world) openRedis(ctx context.Context) (err error) {
	dir := filepath.Join(w.options.Dir, "redis")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make Redis's folder: %w", err)
	}
	if w.redis, err = redis.Start(ctx, dir); err != nil {
		return err
	}
	w.later(func(context.Context) error { return w.redis.Stop() })
	return nil
}

// door serves a stand-in on a free port.
func (w *world) door(ctx context.Context, handler http.Handler) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen for a stand-in: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l)
	}()
	w.later(func(context.Context) error {
		err := server.Close()
		<-ended
		return err
	})
	return l.Addr().String(), nil
}

func (w *world) openModel(ctx context.Context) error {
	key := "sk-ant-" + canary("model")
	w.secrets["the model's key"] = key
	w.scripted = model.New(model.Options{APIKey: key})
	w.later(func(context.Context) error { w.scripted.Close(); return nil })
	w.model = &recorder{next: w.scripted.Handler()}
	address, err := w.door(ctx, w.model)
	if err != nil {
		return err
	}
	w.targets["port-model"] = address
	return w.write("model-key", key+"\n")
}

func (w *world) write(name, text string) error {
	if err := os.WriteFile(filepath.Join(w.options.Dir, name), []byte(text), 0o600); err != nil {
		return fmt.Errorf("write a secret: %w", err)
	}
	return nil
}

// setTraps listens wherever an intruder could come to.
func (w *world) setTraps(ctx context.Context) error {
	set := func(name, host string) error {
		t, err := setTrap(ctx, name, net.JoinHostPort(host, "0"))
		if err != nil {
			return err
		}
		w.traps[name], w.targets[name] = t, t.address
		w.later(func(context.Context) error { t.close(); return nil })
		return nil
	}
	bridge, err := run(ctx, "", "docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}")
	if err != nil {
		return err
	}
	failed := []error{set("loopback", "127.0.0.1"), set("bridge", bridge), set("collector", "127.0.0.1"), set("lfs", "127.0.0.1")}
	host := bridge
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return fmt.Errorf("find the machine's addresses: %w", err)
	}
	for _, a := range addresses {
		if ip, is := a.(*net.IPNet); is && ip.IP.To4() != nil && !ip.IP.IsLoopback() && ip.IP.String() != bridge {
			host = ip.IP.String()
		}
	}
	failed = append(failed, set("host", host))
	w.targets["metadata"], w.targets["private"], w.targets["unlisted"] = "169.254.169.254:80", "10.255.255.1:80", "collector.example:443"
	if w.neighbour, err = startNeighbour(ctx, w.options.Intruder); err == nil {
		w.targets["neighbour"] = w.neighbour.address
		w.later(w.neighbour.stop)
	}
	w.targets["node"], w.targets["owned"] = w.nodeDir(), filepath.Join(w.ownedDir(), "by")
	return errors.Join(append(failed, err)...)
}

// startServer starts sam serve and waits until it is ready.
func (w *world) startServer(ctx context.Context) error {
	ports := make([]string, 3)
	for i := range ports {
		port, err := redis.FreePort(ctx)
		if err != nil {
			return err
		}
		ports[i] = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	}
	w.gateway = ports[0]
	w.targets["port-gateway"], w.targets["port-operator"], w.targets["port-dashboard"] = ports[0], ports[1], ports[2]
	if err := w.write("keep-secret", w.secret("server")+"\n"); err != nil {
		return err
	}
	file := func(name string) string { return filepath.Join(w.options.Dir, name) }
	var err error
	w.serve, err = startProgram(w.options.Binary, "serve", file("serve.log"),
		"CANARY="+w.secret("serve"), "SAM_PUBLIC_LISTEN="+ports[0], "SAM_OPERATOR_LISTEN="+ports[1], "SAM_DASHBOARD_LISTEN="+ports[2],
		"SAM_GITHUB_APP_ID="+strconv.FormatInt(w.app.ID, 10), "SAM_GITHUB_PRIVATE_KEY_FILE="+file("app.pem"), "SAM_GITHUB_WEBHOOK_SECRET_FILE="+file("webhook-secret"),
		"SAM_GITHUB_API_URL="+w.hub.URL()+"/api/v3/", "SAM_GITHUB_WEB_URL="+w.hub.URL(), "SAM_REDIS_ADDRESS="+w.redis.Address,
		"SAM_NODE_TOKEN_FILE="+file("node-token"), "SAM_AGENT=claude", "SAM_BLOB_DIR="+file("blobs"),
		"SAM_MODEL_ANTHROPIC_KEY_FILE="+file("model-key"), "SAM_MODEL_ANTHROPIC_BASE_URL=http://"+w.targets["port-model"])
	if err != nil {
		return err
	}
	w.later(func(context.Context) error { w.serve.stop(); return nil })
	return until(ctx, readyWithin, func() error {
		response, err := (&http.Client{Timeout: 5 * time.Second}).Get("http://" + ports[1] + "/readyz") //nolint:noctx // it has a time limit
		if err != nil {
			return fmt.Errorf("wait for the server, whose log is %s: %w", file("serve.log"), err)
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("the server is not ready: %s", response.Status)
		}
		return nil
	})
}

// secret makes one more thing to steal.
func (w *world) secret(of string) string {
	made := canary(of)
	w.secrets["a secret of the "+of] = made
	return made
}

// startNode puts the intruder in the agent's place and starts sam node in its default configuration.
func (w *world) startNode(ctx context.Context) error {
	agent := filepath.Join(w.nodeDir(), "agents", agentProgram)
	program, err := os.ReadFile(w.options.Intruder)
	if err != nil {
		return fmt.Errorf("read the intruder: %w", err)
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(agent), 0o755), os.WriteFile(agent, program, 0o755)); err != nil { //nolint:gosec // G301, G306: workspaces run it
		return fmt.Errorf("put the intruder in the agent's place: %w", err)
	}
	token, err := os.ReadFile(filepath.Join(w.options.Dir, "node-token"))
	if err != nil {
		return fmt.Errorf("read the node's credential: %w", err)
	}
	w.nodeToken = strings.TrimSpace(string(token))
	w.secrets["the node's credential"] = w.nodeToken
	door, err := w.openDoubt(ctx)
	if err != nil {
		return err
	}
	env := []string{
		"CANARY=" + w.secret("node"), "SAM_GATEWAY=http://" + door, "SAM_TOKEN_FILE=" + filepath.Join(w.options.Dir, "node-token"),
		"SAM_DIR=" + w.nodeDir(), "SAM_WORKSPACE=docker", "SAM_DISK=" + strconv.Itoa(allowedDisk), "SAM_MEMORY=" + strconv.Itoa(allowedMemory),
	}
	if w.options.Loosen != nil {
		if w.between, err = standBetween(ctx, w.options.Dir, w.options.Loosen); err != nil {
			return err
		}
		w.later(func(context.Context) error { return w.between.close() })
		env = append(env, "DOCKER_HOST=unix://"+w.between.socket)
	}
	if w.node, err = startProgram(w.options.Binary, "node", filepath.Join(w.options.Dir, "node.log"), env...); err != nil {
		return err
	}
	w.later(func(context.Context) error { w.node.stop(); return nil })
	w.later(w.removeBoxes)
	return nil
}

// labelRun is what the images are labelled with that the hostile repository has the node build.
const labelRun = "hostile.run"

// removeBoxes removes what containers of the node's are left, and what images it was made to build.
func (w *world) removeBoxes(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	left, err := run(ctx, "", "docker", "ps", "--all", "--quiet", "--filter", "label=sam.folder="+w.nodeDir())
	if err == nil && left != "" {
		_, err = run(ctx, "", "docker", append([]string{"rm", "--force"}, strings.Fields(left)...)...)
	}
	built, listed := run(ctx, "", "docker", "images", "--quiet", "--filter", "label="+labelRun+"="+w.options.Dir)
	if listed == nil && built != "" {
		_, listed = run(ctx, "", "docker", append([]string{"rmi", "--force"}, strings.Fields(built)...)...)
	}
	return errors.Join(err, listed)
}

// install installs the App and waits until the projects and the node are known.
func (w *world) install(ctx context.Context) error {
	if err := w.hub.SetWebhook(w.app.ID, "http://"+w.gateway+"/api/github/hook"); err != nil {
		return fmt.Errorf("set the App's webhook: %w", err)
	}
	if _, err := w.hub.Install(w.app.ID, owner, repository, trapped, composed); err != nil { // the last has nothing to do with it
		return fmt.Errorf("install the App: %w", err)
	}
	return until(ctx, readyWithin, func() error {
		keys, err := w.keys(ctx)
		if err != nil {
			return err
		}
		projects, ready := 0, false
		for _, key := range keys {
			switch {
			case strings.Contains(key, "}:project:"):
				projects++
			case strings.Contains(key, "}:node:"):
				state, err := w.redis.Do(ctx, "HGET", key, "state")
				if err != nil {
					return err
				}
				words := redis.Words([]any{state})
				ready = ready || len(words) == 1 && words[0] == "ready"
			}
		}
		if projects < 3 || !ready {
			return fmt.Errorf("%d projects are known, the node is ready: %t; its log is %s", projects, ready, filepath.Join(w.options.Dir, "node.log"))
		}
		return nil
	})
}
