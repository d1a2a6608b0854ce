package gateway

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

const registrySecret = "Bearer registry-secret-5d1c"

// grantee grants one token's requests, as the gateway grants a running task's.
type grantee struct{ GitGrants }

func (grantee) Authorize(r *http.Request, id string) (Grant, error) {
	switch {
	case r.Header.Get("Sam-Task-Token") != "good" || id != "tmine":
		return Grant{}, ErrGitUnauthorized
	case r.Header.Get("Over") != "":
		return Grant{}, &GitForbiddenError{Message: closed}
	case r.Header.Get("Away") != "":
		return Grant{}, errors.New("redis is away")
	}
	return Grant{Task: id, Untrusted: r.Header.Get("Untrusted") != ""}, nil
}

func TestAPrivateRegistryIsReadWithACredentialThatStaysHere(t *testing.T) {
	t.Parallel()
	other := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("another host was asked for %s with %v", r.URL, r.Header)
	}))
	t.Cleanup(other.Close)
	upstream := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/stale/") {
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if got := r.Header.Get("Authorization"); got != registrySecret || r.Header.Get("Cookie") != "" || r.Header.Get("Sam-Task-Token") != "" {
			t.Errorf("%s was asked with %v", r.URL, r.Header)
		}
		w.Header().Set("Set-Cookie", "session=1")
		w.Header().Set("Etag", `"v1"`)
		switch r.URL.Path {
		case "/npm/moved":
			http.Redirect(w, r, "/npm/pkg?x=1", http.StatusFound)
		case "/npm/away":
			http.Redirect(w, r, other.URL+"/npm/pkg", http.StatusFound)
		case "/npm/out":
			http.Redirect(w, r, "/admin", http.StatusFound)
		case "/npm/loop":
			http.Redirect(w, r, "/npm/loop", http.StatusFound)
		case "/npm/plain":
			http.Redirect(w, r, "http://"+r.Host+"/npm/pkg", http.StatusFound)
		default:
			_, _ = io.WriteString(w, r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("Accept"))
		}
	}))
	t.Cleanup(upstream.Close)
	at, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	broker := NewRegistries([]Registry{{at.Host, "/npm/", registrySecret}, {at.Host, "/stale/", "Bearer old"}}, upstream.Client())
	server := httptest.NewServer(broker.handler(grantee{}))
	t.Cleanup(server.Close)
	client := server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, row := range []struct {
		name, method, path string
		header             string // and its value, beside the token
		status             int
		want               string // in the body, or the Location of a redirect
	}{
		{"a package", "GET", "/npm/@acme%2fpkg?write=true", "", 200, "GET /npm/@acme%2fpkg?write=true application/json"},
		{"its head", "HEAD", "/npm/pkg", "", 200, ""},
		{"a redirect within the registry", "GET", "/npm/moved", "", 200, "GET /npm/pkg?x=1 application/json"},
		{"a redirect to another host", "GET", "/npm/away", "", 302, other.URL + "/npm/pkg"},
		{"a redirect out of the path", "GET", "/npm/out", "", 302, "https://" + at.Host + "/admin"},
		{"a redirect out of TLS", "GET", "/npm/plain", "", 302, "http://" + at.Host + "/npm/pkg"},
		{"a redirect without end", "GET", "/npm/loop", "", 302, "/npm/loop"},
		{"outside of its path", "GET", "/admin", "", 404, "no credential"},
		{"a step up", "GET", "/npm/../admin", "", 400, "no address"},
		{"a hidden step up", "GET", "/npm/%2e%2e/admin", "", 400, "no address"},
		{"a step up hidden twice", "GET", "/npm/%252e%252e/admin", "", 400, "no address"},
		{"a step up hidden in a part", "GET", "/npm/x%2f..%2f..%2fadmin", "", 400, "no address"},
		{"a step up with a parameter", "GET", "/npm/..;/admin", "", 400, "no address"},
		{"a step up with a hidden parameter", "GET", "/npm/%2e%2e%3bx=1/admin", "", 400, "no address"},
		{"a backslash", "GET", "/npm/..%5cadmin", "", 400, "no address"},
		{"publishing", "PUT", "/npm/pkg", "", 405, "read only"},
		{"a credential that is refused", "GET", "/stale/pkg", "", 502, "network.credentials_file"},
		{"without a token", "GET", "/npm/pkg", "Sam-Task-Token", 401, "token"},
		{"of a task that is over", "GET", "/npm/pkg", "Over", 403, "does not run"},
		{"for people who may not write", "GET", "/npm/pkg", "Untrusted", 403, "no private registry"},
		{"while SAM cannot tell", "GET", "/npm/pkg", "Away", 503, "try again"},
	} {
		request, err := http.NewRequestWithContext(t.Context(), row.method, server.URL+"/registry/tmine/"+at.Host+row.path, strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		request.Header = http.Header{"Sam-Task-Token": {"good"}, "Accept": {"application/json"}, "Authorization": {"Bearer node"}, "Cookie": {"a=b"}}
		if row.header != "" {
			request.Header.Set(row.header, "yes")
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		got := string(body)
		if response.StatusCode == http.StatusFound {
			got = response.Header.Get("Location")
		}
		if err != nil || response.StatusCode != row.status || !strings.Contains(got, row.want) {
			t.Errorf("%s: %d %q, %v; want %d %q", row.name, response.StatusCode, got, err, row.status, row.want)
		}
		if response.Header.Get("Set-Cookie") != "" || strings.Contains(got, "registry-secret") || (row.status == 200) != (response.Header.Get("Etag") == `"v1"`) && row.status != 302 {
			t.Errorf("%s: the answer has %v", row.name, response.Header)
		}
	}
	for _, path := range []string{"/registry/tmine/", "/registry/tmine/unknown.example/pkg", "/registry/tmine/user@" + at.Host + "/npm/pkg", "/registry/tother/" + at.Host + "/npm/pkg"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Sam-Task-Token", "good")
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode < 400 {
			t.Errorf("%s: %s", path, response.Status)
		}
	}
}
