package task_test

import (
	"fmt"
	"strings"
	"testing"

	"sam/task"
)

func TestASecretsNameIsOneThatNoProgramDependsOn(t *testing.T) {
	for _, name := range []string{"API_TOKEN", "_X", "A", "DATABASE_URL", "NPM_TOKEN", "AWS_SECRET_ACCESS_KEY", strings.Repeat("A", task.MaxSecretName)} {
		if why := task.NotSecretName(name); why != "" {
			t.Errorf("%s: %s", name, why)
		}
	}
	for _, name := range []string{
		"", "api_token", "1A", "A-B", "A B", "A=B", "Ä", "A\nB", "PATH", "HOME", "LD_PRELOAD", "GIT_SSH_COMMAND", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
		"ANTHROPIC_BASE_URL", "SAM_CONFIG", "BASH_ENV", "NODE_OPTIONS", strings.Repeat("A", task.MaxSecretName+1), strings.Repeat("Ä", 100),
	} {
		if why := task.NotSecretName(name); why == "" {
			t.Errorf("%q is taken", name)
		}
	}
}

func TestASecretsValueCanBeToldFromOrdinaryWords(t *testing.T) {
	for _, value := range []string{"hunter2hunter2", "12345678", "-----BEGIN KEY-----\nabc\r\n", strings.Repeat("ab", task.MaxSecret/2), "Geheimnüß"} {
		if why := task.NotSecretValue(value); why != "" {
			t.Errorf("%q: %s", value, why)
		}
	}
	for _, value := range []string{"", "1234567", "        ", "aaaaaaaaaaaa", "abcdefg\x00", "abc\x1b[31mdef", "\xff\xfe12345678", strings.Repeat("ab", task.MaxSecret/2) + "c"} {
		why := task.NotSecretValue(value)
		if why == "" || len(value) >= task.MinSecret && strings.Contains(why, value) {
			t.Errorf("%q: %q", value, why)
		}
	}
}

func TestASecretIsNotShownWhenItIsPrinted(t *testing.T) {
	s := task.Secret{Name: "API_TOKEN", Value: "hunter2hunter2"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		for _, shown := range []any{s, &s, []task.Secret{s}, map[string]task.Secret{"a": s}, struct{ S task.Secret }{s}} {
			if text := fmt.Sprintf(format, shown); strings.Contains(text, "hunter2") {
				t.Errorf("%s shows it: %s", format, text)
			}
		}
	}
}
