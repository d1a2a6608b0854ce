package github

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// AppSpec is what one fills in to register a GitHub App.
type AppSpec struct {
	// Name is shown to people; the slug is made from it.
	Name string
	// Owner is the login of the account that registers the app.
	Owner string
	// WebhookURL is where deliveries go. Empty: none are made.
	WebhookURL string
	// WebhookSecret signs deliveries. Empty: one is made up.
	WebhookSecret string
	// Permissions by name: read or write. metadata: read is added.
	Permissions map[string]string
	// Events that the app wants. installation and installation_repositories come
	// without asking.
	Events []string
}

// CreateApp registers an app and makes its key and its bot account.
func (s *Server) CreateApp(spec AppSpec) (App, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return App{}, fmt.Errorf("make the app's key: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return App{}, refuse(http.StatusServiceUnavailable, "The server is closed")
	}
	owner := s.accounts[fold(spec.Owner)]
	if owner == nil {
		return App{}, notFound()
	}
	perms := maps.Clone(spec.Permissions)
	if perms == nil {
		perms = map[string]string{}
	}
	perms["metadata"] = "read"
	if err := checkEvents(spec.Events, perms); err != nil {
		return App{}, err
	}
	slug := strings.Trim(strings.ToLower(strings.Join(strings.FieldsFunc(spec.Name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	}), "-")), "-")
	bot, err := s.newAccount(slug+"[bot]", "Bot")
	if err != nil {
		return App{}, err
	}
	a := &app{
		id: s.newID(appID), slug: slug, name: spec.Name, owner: owner, bot: bot, key: key,
		pem: pem.EncodeToMemory(&pem.Block{
			Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key),
		}),
		hookID: s.newID(hookID), hookSecret: spec.WebhookSecret,
		perms: perms, events: slices.Sorted(slices.Values(spec.Events)), created: s.moment(),
	}
	if a.hookSecret == "" {
		a.hookSecret = randomText(40)
	}
	a.courier = startCourier(s, a)
	s.apps[a.id] = a
	s.setWebhook(a, spec.WebhookURL)
	return App{ID: a.id, Slug: a.slug, Name: a.name, PrivateKeyPEM: a.pem, WebhookSecret: a.hookSecret}, nil
}

// SetWebhook changes where an app's deliveries go; empty stops them. The first
// address is greeted with a ping.
func (s *Server) SetWebhook(appID int64, url string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.apps[appID]
	if a == nil {
		return notFound()
	}
	s.setWebhook(a, url)
	return nil
}

// setWebhook is called with mu held.
func (s *Server) setWebhook(a *app, url string) {
	fresh := a.hookURL == "" && url != ""
	a.hookURL = url
	if fresh {
		s.ping(a)
	}
}

// checkEvents refuses events that the permissions do not allow to see, as the
// form for registering an app does.
func checkEvents(events []string, perms map[string]string) error {
	needs := map[string][]string{
		"issues": {"issues"}, "issue_comment": {"issues", "pull_requests"}, "pull_request": {"pull_requests"},
		"push": {"contents"}, "check_run": {"checks"}, "repository": {"metadata"},
	}
	for _, event := range events {
		need, known := needs[event]
		if !known {
			return invalid(FieldError{Resource: "Integration", Field: "events", Code: "invalid", Message: fmt.Sprintf("event %q is not supported", event)})
		}
		if !slices.ContainsFunc(need, func(p string) bool { return perms[p] != "" }) {
			return invalid(FieldError{Resource: "Integration", Field: "events", Code: "invalid",
				Message: fmt.Sprintf("Default events %s are not supported without the permission %s", event, strings.Join(need, " or "))})
		}
	}
	return nil
}
