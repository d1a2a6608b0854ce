package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sam/config"
)

func TestAFileWithASecretThatOthersMayReadOrChangeIsRefusedAndNotQuoted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("npm.acme.example bearer hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	readers := map[string]func() error{
		"model.anthropic.key_file": func() error {
			_, err := config.Secret("model.anthropic.key_file", path)
			return err
		},
		"github.private_key_file": func() error {
			_, err := config.SecretFile("github.private_key_file", path)
			return err
		},
		"network.credentials_file": func() error {
			_, err := config.Network{CredentialsFile: path}.Credentials()
			return err
		},
	}
	for mode, taken := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o440: true, 0o640: true, 0o644: false, 0o604: false, 0o660: false, 0o602: false, 0o777: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		for key, read := range readers {
			err := read()
			if (err == nil) != taken {
				t.Errorf("%s of mode %o: %v", key, mode, err)
			}
			if err != nil && (!strings.HasPrefix(err.Error(), key+": "+path+" may be read or changed by others") || !strings.Contains(err.Error(), "chmod 600") || strings.Contains(err.Error(), "hunter2")) {
				t.Errorf("%s of mode %o: the words are: %v", key, mode, err)
			}
		}
	}
}

func TestASecretMayComeThroughAPipe(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if _, err := write.WriteString("hunter2\n"); err != nil {
		t.Fatal(err)
	}
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	path := fmt.Sprintf("/proc/self/fd/%d", read.Fd()) // as a shell's <(…) is named
	if got, err := config.Secret("token_file", path); err != nil || got != "hunter2" {
		t.Errorf("got %q, %v", got, err)
	}
}
