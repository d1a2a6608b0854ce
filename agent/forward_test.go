package agent

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sam/agent/wire"
)

func TestTheForwarderCarriesTheTasksOwnGitAndModelAndNothingElse(t *testing.T) {
	t.Parallel()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Seen-Authorization", r.Header.Get("Authorization"))
		w.Header().Set("Seen-Token", strings.Join(r.Header.Values(wire.TaskTokenHeader), ","))
		w.Header().Set("Seen-Other", r.Header.Get("Sam-Other")+r.Header.Get("Cookie")+r.Header.Get("X-Api-Key"))
		_, _ = io.WriteString(w, r.URL.RequestURI())
	}))
	defer behind.Close()
	gateway, err := newGatewayClient(behind.URL+"/base/", nodeToken, client)
	if err != nil {
		t.Fatal(err)
	}
	f, err := startForward(t.Context(), gateway, "tmine", taskToken, ways{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	for _, row := range []struct {
		name, path string
		sign       func(*http.Request)
		status     int
	}{
		{"with the token as a password", "/git/tmine/info/refs?service=git-upload-pack", func(r *http.Request) { r.SetBasicAuth("sam", taskToken) }, 200},
		{"with the token as bearer", "/git/tmine/git-upload-pack", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+taskToken) }, 200},
		{"its model, with the token as a key", "/model/tmine/anthropic/v1/messages?beta=true", func(r *http.Request) { r.Header.Set("X-Api-Key", taskToken) }, 200},
		{"its model, with the token as bearer", "/model/tmine/anthropic/v1/messages", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+taskToken) }, 200},
		{"another task's model", "/model/tother/anthropic/v1/messages", func(r *http.Request) { r.Header.Set("X-Api-Key", taskToken) }, 404},
		{"its model, with another key", "/model/tmine/anthropic/v1/messages", func(r *http.Request) { r.Header.Set("X-Api-Key", "guess") }, 401},
		{"without a token", "/git/tmine/info/refs", func(*http.Request) {}, 401},
		{"with another token", "/git/tmine/info/refs", func(r *http.Request) { r.SetBasicAuth("sam", "guess") }, 401},
		{"of another task", "/git/tother/info/refs", func(r *http.Request) { r.SetBasicAuth("sam", taskToken) }, 404},
		{"of another task, by a detour", "/git/tmine/../tother/info/refs", func(r *http.Request) { r.SetBasicAuth("sam", taskToken) }, 404},
		{"of another task, by a hidden detour", "/git/tmine/%2e%2e/tother/info/refs", func(r *http.Request) { r.SetBasicAuth("sam", taskToken) }, 404},
		{"of the gateway itself", wire.FetchTokenPath, func(r *http.Request) { r.SetBasicAuth("sam", taskToken) }, 404},
	} {
		t.Run(row.name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+f.address+row.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			row.sign(request)
			request.Header.Set("Sam-Other", "smuggled")
			request.Header.Set("Cookie", "smuggled=1")
			request.Header.Add(wire.TaskTokenHeader, "smuggled")
			response, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != row.status {
				t.Fatalf("got %s: %s %v", response.Status, body, err)
			}
			if row.status != http.StatusOK {
				return
			}
			if string(body) != "/base"+row.path || response.Header.Get("Seen-Authorization") != "Bearer "+nodeToken ||
				response.Header.Get("Seen-Token") != taskToken || response.Header.Get("Seen-Other") != "" {
				t.Errorf("the gateway saw %s with %v", body, response.Header)
			}
		})
	}
}

func TestAGatewayThatIsAwayIsABadGateway(t *testing.T) {
	t.Parallel()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	gateway, err := newGatewayClient("http://127.0.0.1:1", nodeToken, client)
	if err != nil {
		t.Fatal(err)
	}
	f, err := startForward(t.Context(), gateway, "tmine", taskToken, ways{})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.base()+wire.GitPath+"tmine/info/refs", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth("sam", taskToken)
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusBadGateway {
		t.Errorf("got %s", response.Status)
	}
	if err := f.close(t.Context()); err != nil {
		t.Error(err)
	}
}
