package devcontainer

import (
	"net/netip"
	"regexp"
	"strings"
)

// CacheName is the repository, in the engine's words, of every image that SAM builds. No configuration may name one: it
// could be another project's.
const CacheName = "sam-environment"

var (
	reference = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,511}$`)
	imageID   = regexp.MustCompile(`^(sha256:)?[0-9a-f]+$`)
)

// CheckImage says whether a configuration, or a Dockerfile, may name an image so. The error is an *UnusableError.
func CheckImage(name string) error {
	switch host := Registry(name); {
	case !reference.MatchString(name):
		return failedWhole("image", "The image %q is no name of an image. Mend it.", keepShort(name))
	case imageID.MatchString(name):
		return refusedWhole("image", "The image %q is refused: a number could be that of another project's image. Name it with its repository and tag.", keepShort(name))
	case strings.Contains(name, CacheName):
		return refusedWhole("image", "The image %q is refused: names with %s are those of images that SAM has built, for one project each. Name another.", keepShort(name), CacheName)
	case private(host):
		return refusedWhole("image", "The image %q is refused: %s is not the name of a public registry. Name an image of one, or have the operator put the image on the node.", keepShort(name), host)
	}
	return nil
}

// Registry is the host that an image would be fetched from, with its port when it names one.
func Registry(name string) string {
	host, _, ok := strings.Cut(name, "/")
	if !ok || !strings.ContainsAny(host, ".:") && host != "localhost" && host == strings.ToLower(host) {
		return "docker.io"
	}
	return host
}

// private reports whether a host is one of the node's own or of its neighbours, by its name alone.
func private(host string) bool {
	name, _, _ := strings.Cut(host, ":")
	_, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil || !strings.Contains(name, ".") || strings.HasSuffix(name, ".localhost") || strings.HasSuffix(name, ".local") ||
		strings.HasSuffix(name, ".internal")
}
