package github_test

import (
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v4"
	gogithub "github.com/google/go-github/v62/github"
)

func (w *world) jwt(claims jwt.MapClaims, key *rsa.PrivateKey) string {
	w.t.Helper()
	if key == nil {
		var err error
		key, err = jwt.ParseRSAPrivateKeyFromPEM(w.app.PrivateKeyPEM)
		w.check(err)
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(key)
	w.check(err)
	return text
}

// laterToken makes a token when the server's clock has been moved.
func (w *world) laterToken() string {
	w.t.Helper()
	now := w.clock.now()
	signed := w.jwt(jwt.MapClaims{"iss": w.app.ID, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}, nil)
	got := w.ask(http.MethodPost, w.api(fmt.Sprintf("/app/installations/%d/access_tokens", w.inst.ID)), "", "Authorization: Bearer "+signed)
	var out struct {
		Token string `json:"token"`
	}
	w.check(json.Unmarshal(got.body, &out))
	return out.Token
}

func TestAnAppSeesItselfAndItsInstallationsByItsKey(t *testing.T) {
	w := newWorld(t)
	ctx, app := t.Context(), w.asApp(w.app)

	self, _, err := app.Apps.Get(ctx, "")
	w.check(err)
	if self.GetSlug() != "helper-app" || self.GetID() != w.app.ID || self.GetPermissions().GetContents() != "write" {
		t.Errorf("the app is %+v", self)
	}
	list, _, err := app.Apps.ListInstallations(ctx, nil)
	w.check(err)
	if len(list) != 1 || list[0].GetID() != w.inst.ID || list[0].GetAccount().GetLogin() != "octo" {
		t.Fatalf("installations: %v", list)
	}
	for name, find := range map[string]func() (*gogithub.Installation, *gogithub.Response, error){
		"by id": func() (*gogithub.Installation, *gogithub.Response, error) {
			return app.Apps.GetInstallation(ctx, w.inst.ID)
		},
		"by repository": func() (*gogithub.Installation, *gogithub.Response, error) {
			return app.Apps.FindRepositoryInstallation(ctx, "octo", "hello")
		},
		"by user": func() (*gogithub.Installation, *gogithub.Response, error) {
			return app.Apps.FindUserInstallation(ctx, "octo")
		},
	} {
		if in, _, err := find(); err != nil || in.GetID() != w.inst.ID {
			t.Errorf("%s: %v, %v", name, in, err)
		}
	}
	if _, res, err := app.Apps.FindRepositoryInstallation(ctx, "octo", "elsewhere"); err == nil || res.StatusCode != 404 {
		t.Errorf("a repository outside the installation: %v", err)
	}
}

func TestAnAppsSignatureIsChecked(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	good := func() jwt.MapClaims {
		return jwt.MapClaims{"iss": fmt.Sprint(w.app.ID), "iat": now.Add(-time.Minute).Unix(), "exp": now.Add(9 * time.Minute).Unix()}
	}
	other := w.newApp("Other App", nil)
	otherKey, err := jwt.ParseRSAPrivateKeyFromPEM(other.PrivateKeyPEM)
	w.check(err)
	with := func(name string, value any) jwt.MapClaims { c := good(); c[name] = value; return c }
	for name, tc := range map[string]struct {
		token   string
		status  int
		message string
	}{
		"a good one":           {w.jwt(good(), nil), 200, ""},
		"a number as issuer":   {w.jwt(with("iss", w.app.ID), nil), 200, ""},
		"another app's key":    {w.jwt(good(), otherKey), 401, "A JSON web token could not be decoded"},
		"an unknown issuer":    {w.jwt(with("iss", "7"), nil), 404, "Integration not found"},
		"expired":              {w.jwt(with("exp", now.Add(-time.Second).Unix()), nil), 401, "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires"},
		"valid for too long":   {w.jwt(with("exp", now.Add(11*time.Minute).Unix()), nil), 401, "'Expiration time' claim ('exp') is too far in the future"},
		"issued in the future": {w.jwt(with("iat", now.Add(2*time.Minute).Unix()), nil), 401, "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"},
		"no JWT at all":        {"", 401, "A JSON web token could not be decoded"},
	} {
		t.Run(name, func(t *testing.T) {
			headers := []string{}
			if tc.token != "" {
				headers = append(headers, "Authorization: Bearer "+tc.token)
			}
			got := w.ask(http.MethodGet, w.api("/app"), "", headers...)
			if got.status != tc.status || got.message() != tc.message {
				t.Errorf("got %d %q, want %d %q", got.status, got.message(), tc.status, tc.message)
			}
		})
	}
}

func TestAnInstallationsTokenLastsOneHourByTheServersClock(t *testing.T) {
	w := newWorld(t)
	token := w.token(nil)
	if !strings.HasPrefix(token, "ghs_") {
		t.Errorf("token %q", token[:4])
	}
	for _, scheme := range []string{"token ", "Bearer "} {
		if got := w.ask(http.MethodGet, w.api("/installation/repositories"), "", "Authorization: "+scheme+token); got.status != 200 {
			t.Errorf("%s: %d %s", scheme, got.status, got.body)
		}
	}
	w.clock.advance(59 * time.Minute)
	if got := w.ask(http.MethodGet, w.api("/installation/repositories"), "", "Authorization: token "+token); got.status != 200 {
		t.Errorf("after 59 minutes: %d", got.status)
	}
	w.clock.advance(time.Minute)
	got := w.ask(http.MethodGet, w.api("/installation/repositories"), "", "Authorization: token "+token)
	if got.status != 401 || got.message() != "Bad credentials" {
		t.Errorf("after an hour: %d %q", got.status, got.message())
	}
}

func TestATokenIsNarrowedToRepositoriesAndPermissions(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	narrow, _, err := w.asApp(w.app).Apps.CreateInstallationToken(ctx, w.inst.ID, &gogithub.InstallationTokenOptions{
		Repositories: []string{"hello"}, Permissions: &gogithub.InstallationPermissions{Issues: ptr("read"), Contents: ptr("read")},
	})
	w.check(err)
	if narrow.GetPermissions().GetIssues() != "read" || narrow.GetPermissions().GetMetadata() != "read" || len(narrow.Repositories) != 1 {
		t.Errorf("token: %+v", narrow)
	}
	c := w.client(plain()).WithAuthToken(narrow.GetToken())
	repos, _, err := c.Apps.ListRepos(ctx, nil)
	w.check(err)
	if len(repos.Repositories) != 1 || repos.Repositories[0].GetName() != "hello" {
		t.Errorf("repositories: %v", repos.Repositories)
	}
	if _, res, err := c.Repositories.Get(ctx, "octo", "secret"); err == nil || res.StatusCode != 404 {
		t.Errorf("a private repository outside the token: %v", err)
	}
	_, res, err := c.Issues.Create(ctx, "octo", "hello", &gogithub.IssueRequest{Title: ptr("x")})
	if err == nil || res.StatusCode != 403 || !strings.Contains(err.Error(), "Resource not accessible by integration") {
		t.Errorf("an issue without issues: write: %v", err)
	}
	if res.Header.Get("X-Accepted-GitHub-Permissions") != "issues=write" {
		t.Errorf("accepted permissions: %q", res.Header.Get("X-Accepted-GitHub-Permissions"))
	}
}

func TestATokenNeverHasMoreThanItsInstallation(t *testing.T) {
	w := newWorld(t)
	for name, opts := range map[string]*gogithub.InstallationTokenOptions{
		"a permission it lacks":   {Permissions: &gogithub.InstallationPermissions{Workflows: ptr("write")}},
		"a higher level":          {Permissions: &gogithub.InstallationPermissions{Metadata: ptr("write")}},
		"a repository outside":    {Repositories: []string{"elsewhere"}},
		"a repository unheard of": {Repositories: []string{"nowhere"}},
		"a repository id of none": {RepositoryIDs: []int64{1}},
		"one inside, one outside": {Repositories: []string{"hello", "elsewhere"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, res, err := w.asApp(w.app).Apps.CreateInstallationToken(t.Context(), w.inst.ID, opts)
			if err == nil || res.StatusCode != 422 {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestUninstallingEndsTheTokens(t *testing.T) {
	w := newWorld(t)
	token := w.token(nil)
	w.check(w.hub.Uninstall(w.inst.ID))
	if got := w.ask(http.MethodGet, w.api("/repos/octo/hello"), "", "Authorization: token "+token); got.status != 401 {
		t.Errorf("got %d", got.status)
	}
}

func TestWhatIsPrivateIsNotThereForOthers(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	for name, c := range map[string]*gogithub.Client{
		"nobody": w.client(plain()), "a stranger": w.asUser("stranger"), "a collaborator of another": w.asUser("robin"),
	} {
		if _, res, err := c.Repositories.Get(ctx, "octo", "secret"); err == nil || res.StatusCode != 404 {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, res, err := w.asBot().Issues.Create(ctx, "octo", "elsewhere", &gogithub.IssueRequest{Title: ptr("x")})
	if err == nil || res.StatusCode != 404 {
		t.Errorf("the app outside its installation: %v", err)
	}
	if _, res, err := w.client(plain()).Issues.Create(ctx, "octo", "hello", &gogithub.IssueRequest{Title: ptr("x")}); err == nil || res.StatusCode != 401 {
		t.Errorf("nobody writing in public: %v", err)
	}
}

// signed is a JWT of the world's app.
func (w *world) signed() string {
	w.t.Helper()
	now := time.Now()
	return w.jwt(jwt.MapClaims{"iss": w.app.ID, "iat": now.Add(-time.Minute).Unix(), "exp": now.Add(5 * time.Minute).Unix()}, nil)
}
