package config_test

import (
	"strings"
	"testing"

	"sam/config"
)

func TestWhatAWorkspaceMayTakeOfTheDiskIsConfigured(t *testing.T) {
	got, err := config.LoadAgent("", []string{"SAM_TOKEN_FILE=t"})
	if err != nil || got.Disk != 10<<30 || got.KeepFree != 2<<30 {
		t.Errorf("by default: %+v, %v", got, err)
	}
	got, err = config.LoadAgent("", []string{"SAM_TOKEN_FILE=t", "SAM_DISK=50GiB", "SAM_KEEP_FREE=512MiB"})
	if err != nil || got.Disk != 50<<30 || got.KeepFree != 512<<20 {
		t.Errorf("of the environment: %+v, %v", got, err)
	}
	for text, want := range map[string]string{
		"disk: 1MiB\n":      "2: disk: 1 MiB is too little for a repository and what is built of it: give it 256 MiB or more",
		"keep_free: 1MiB\n": "2: keep_free: 1 MiB is too little for the node to go on with: give it 64 MiB or more",
	} {
		if _, err := config.LoadAgent(write(t, "token_file: t\n"+text), nil); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}
