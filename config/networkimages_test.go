package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sam/config"
)

func TestTheRegistriesOfImagesAreConfiguredAndNotInTheCodeOfANode(t *testing.T) {
	images := config.Defaults().Network.Images
	page, err := os.ReadFile(filepath.Join("..", "docs", "network.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(page), "## Images")
	list, _, _ = strings.Cut(list, "\n## ")
	for _, host := range images {
		if !strings.Contains(list, "`"+host+"`") {
			t.Errorf("docs/network.md does not name %s", host)
		}
	}
	if !slices.Contains(images, "docker.io") {
		t.Errorf("the default is %v", images)
	}
	got, err := config.Load(write(t, whole+"network:\n  images: [ghcr.io, \"images.acme.example:5000\"]\n"), nil)
	if err != nil || !slices.Equal(got.Network.Images, []string{"ghcr.io", "images.acme.example:5000"}) {
		t.Errorf("%v, %v", got.Network.Images, err)
	}
	for _, entry := range []string{`"*.acme.example"`, "https://ghcr.io", "nexus"} {
		if _, err := config.Load(write(t, whole+"network:\n  images: ["+entry+"]\n"), nil); err == nil || !strings.Contains(err.Error(), "network.images") {
			t.Errorf("%s: %v", entry, err)
		}
	}
}
