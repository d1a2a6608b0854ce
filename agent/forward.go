package agent

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"net/http/httputil"
	"path"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"sam/agent/egress"
	"sam/agent/wire"
)

// forward is the one way out of a workspace: it carries its git and its agent's model requests to the gateway's brokers, and
// what the network's policy admits to the internet (package egress). The workspace shows the task's token; towards the gateway that moves into a header of its own, beside
// the node's credential, which the workspace never sees.
type forward struct {
	address string // host and port, as programs in the workspace reach it
	task    string
	server  *http.Server
	proxy   *egress.Proxy
	served  chan struct{}
}

// startForward listens on a loopback port of the node's until close.
func startForward(ctx context.Context, gateway *gatewayClient, task, token string, out ways) (*forward, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the workspace: %w", err)
	}
	return forwardOn(ctx, listener, listener.Addr().String(), gateway, task, token, out), nil
}

// forwardOn serves a listener until close, which closes it. address is what programs in the workspace dial.
func forwardOn(ctx context.Context, listener net.Listener, address string, gateway *gatewayClient, task, token string, out ways) *forward {
	log := zerolog.Ctx(ctx)
	quiet := stdlog.New(log, "", 0)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(gateway.base)
			for name := range r.Out.Header {
				if strings.HasPrefix(name, "Sam-") {
					r.Out.Header.Del(name)
				}
			}
			r.Out.Header.Del("Cookie")
			r.Out.Header.Del("X-Api-Key")
			r.Out.Header.Set(wire.TaskTokenHeader, token)
			r.Out.Header.Set("Authorization", gateway.authorization())
		},
		Transport:      gateway.transport(),
		ModifyResponse: out.listen,
		FlushInterval:  -1, // git shows progress while it goes, and a model what it thinks
		ErrorLog:       quiet,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() == nil {
				log.Warn().Err(err).Msg("the gateway cannot be reached for a workspace")
			}
			http.Error(w, "sam node cannot reach its gateway", http.StatusBadGateway)
		},
	}
	out.Log = quiet
	f := &forward{address: address, task: task, proxy: egress.New(out.Options), served: make(chan struct{})}
	f.server = &http.Server{
		Handler:           out.overhearing(token, proxied(token, out.alone, f.proxy, privately(task, token, out.Rules.Policy, proxy, f.only(token, out, proxy)))),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          quiet,
	}
	go func() {
		defer close(f.served)
		if err := f.server.Serve(newLimited(listener, maxForwarded)); !errors.Is(err, http.ErrServerClosed) {
			log.Error().Err(err).Msg("the workspace's way to the gateway broke")
		}
	}()
	return f
}

// base is the forwarder's address; root is what git is to send the token to.
func (f *forward) base() string { return "http://" + f.address }
func (f *forward) root() string { return f.base() + "/" }

// only lets through what bears the token and asks for the task's own repository or its model.
func (f *forward) only(token string, out ways, next http.Handler) http.Handler {
	git, model := wire.GitPath+f.task+"/", wire.ModelPath+f.task+"/"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(shown(r)), []byte(token)) != 1 || token == "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="SAM"`)
			http.Error(w, "this is for the task's own programs, which have its token", http.StatusUnauthorized)
			return
		}
		plain := r.URL.RawPath == "" && path.Clean(r.URL.Path) == r.URL.Path
		if !plain || !strings.HasPrefix(r.URL.Path, git) && !strings.HasPrefix(r.URL.Path, model) {
			out.outside(r)
			http.Error(w, "only the task's own repository and model are here: "+git+" and "+model, http.StatusNotFound)
			return
		}
		r.Body = answered{r.Body}
		next.ServeHTTP(w, r)
	})
}

// answered is a request's body. The server closes it at the first byte of the answer; a transport that still looks for its end then
// takes that for an error and cuts the answer. Whoever has answered has read what it wanted.
type answered struct{ io.ReadCloser }

func (a answered) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if errors.Is(err, http.ErrBodyReadAfterClose) {
		err = io.EOF
	}
	return n, err
}

// shown is the token that a request shows: the password of Basic, Bearer, or an API key.
func shown(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	if key := r.Header.Get("X-Api-Key"); key != "" {
		return key
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token
}

// close stops listening, gives what is under way to the gateway a moment, and waits for everything to have ended.
func (f *forward) close(ctx context.Context) error {
	f.proxy.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err := f.server.Shutdown(ctx)
	if err != nil {
		err = f.server.Close()
	}
	<-f.served
	if err != nil {
		return fmt.Errorf("close the workspace's way to the gateway: %w", err)
	}
	return nil
}
