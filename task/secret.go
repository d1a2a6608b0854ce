package task

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of a project's secrets. A value must be long enough for redaction to tell it from ordinary words; all of them together
// go into one frame and one environment.
const (
	MinSecret     = 8         // bytes of a value
	MaxSecret     = 16 << 10  // bytes of a value
	MaxSecretName = 64        // bytes of a name
	MaxSecrets    = 64        // of a project
	MaxAllSecrets = 128 << 10 // bytes of a project's values together
)

// Secret is one value of a project's environment, in the open. It is never stored, logged or shown.
type Secret struct{ Name, Value string }

// String names the secret and does not show it.
func (s Secret) String() string { return "secret " + s.Name }

// GoString as String: %#v would show the value.
func (s Secret) GoString() string { return s.String() }

// SealedSecret is a secret as it is stored.
type SealedSecret struct {
	Project int64
	Account int64 // the project's owner when it was set: after a transfer it is not given to the new one
	Name    string
	Set     time.Time // when; for display
	Sealed  []byte    // for Owner, see package seal
	// Replaced is when another value or none took its place, zero while it is the project's. It is still redacted for some
	// time, for an attempt that was given it may be at work.
	Replaced time.Time
}

// Owner is whom the value is sealed for: the account, the project and the name.
func (s SealedSecret) Owner() string {
	return fmt.Sprintf("account %d project %d secret %s", s.Account, s.Project, s.Name)
}

// ErrTooManySecrets says that the project has MaxSecrets.
var ErrTooManySecrets = errors.New("the project has as many secrets as it may have")

var secretName = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)

// Names that change what programs SAM relies on do, or that SAM itself gives: whole ones, and beginnings of others.
var (
	reservedNames = []string{
		"PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "OLDPWD", "IFS", "ENV", "BASH_ENV", "TMPDIR", "TERM", "LANG", "CI",
		"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "FTP_PROXY", "IS_SANDBOX", "API_TIMEOUT_MS",
		"GOPROXY", "GOFLAGS", "GOTOOLCHAIN", "GOCACHE", "GOPATH", "GOMODCACHE", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME",
		"PERL5LIB", "PERL5OPT", "RUBYOPT", "RUBYLIB", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "SSL_CERT_FILE", "SSL_CERT_DIR", "PROMPT_COMMAND",
	}
	reservedBeginnings = []string{
		"LD_", "DYLD_", "GIT_", "SAM_", "ANTHROPIC_", "CLAUDE_", "DISABLE_", "OPENAI_BASE_", "NODE_", "BUN_", "NPM_CONFIG_", "DOCKER_", "SSH_", "XDG_", "LC_",
	}
)

// NotSecretName says for the person why a secret cannot have a name, "" when it can.
func NotSecretName(name string) string {
	switch {
	case !secretName.MatchString(name):
		return fmt.Sprintf("%s is no name of a secret: capital letters, digits and _, not beginning with a digit, as in API_TOKEN", quoted(name))
	case len(name) > MaxSecretName:
		return fmt.Sprintf("%s is longer than %d characters", quoted(name), MaxSecretName)
	case slices.Contains(reservedNames, name):
		return quoted(name) + " is reserved: programs in the workspace depend on it"
	}
	for _, beginning := range reservedBeginnings {
		if strings.HasPrefix(name, beginning) {
			return fmt.Sprintf("%s is reserved, as every name that begins with %s: programs in the workspace depend on those", quoted(name), beginning)
		}
	}
	return ""
}

// NotSecretValue says for the person why a text cannot be a secret's value, "" when it can. It never quotes it.
func NotSecretValue(value string) string {
	switch {
	case len(value) < MinSecret:
		return fmt.Sprintf("the value has %d bytes and needs %d: a shorter one would be redacted out of ordinary words", len(value), MinSecret)
	case len(value) > MaxSecret:
		return fmt.Sprintf("the value is longer than %d bytes", MaxSecret)
	case !utf8.ValidString(value):
		return "the value is not UTF-8 text: encode it, in base64 for instance"
	}
	control := func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' && r != '\r' || r == 0x7f }
	switch {
	case strings.ContainsFunc(value, control):
		return "the value holds a control character: encode it, in base64 for instance"
	case strings.Trim(value, value[:1]) == "":
		return "the value is one character again and again, which would be redacted out of ordinary text"
	case strings.TrimSpace(value) == "":
		return "the value is nothing but blanks"
	}
	return ""
}

// quoted is a stranger's word as Markdown shows it and no more: it neither fills a comment nor calls anybody.
func quoted(text string) string {
	if len(text) > MaxSecretName {
		text = strings.ToValidUTF8(text[:MaxSecretName], "") + "…"
	}
	return "`" + strings.Join(strings.Fields(strings.ReplaceAll(text, "`", "'")), " ") + "`"
}
