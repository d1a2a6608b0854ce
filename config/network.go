package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Network says what workspaces may reach beside their repository and their model. docs/network.md tells how.
type Network struct {
	Policy     string   // brokers, registries or open
	Registries []string // hosts of the public package registries
	Allow      []string // more hosts
	Images     []string // registries of the images that repositories may name
	Internal   []string // hosts and addresses of the operator's own, which may be private ones
	// CredentialsFile holds what private registries ask for, one a line; see Credentials. Empty: there are none.
	CredentialsFile string
}

// Hosts are what the policy registries admits.
func (n Network) Hosts() []string { return slices.Concat(n.Registries, n.Allow) }

// The network's policies, as package egress has them.
var policies = []string{"brokers", "registries", "open"}

// defaultNetwork lets workspaces reach the public package registries.
func defaultNetwork() Network {
	return Network{Policy: "registries", Registries: defaultRegistries(), Images: defaultImages()}
}

// defaultImages are the public registries of images. A node's engine fetches from them by itself, not through the proxy, so what else
// it could reach is kept from it by name.
func defaultImages() []string {
	return []string{
		"docker.io", "ghcr.io", "quay.io", "gcr.io", "mcr.microsoft.com", "public.ecr.aws", "registry.gitlab.com", "registry.k8s.io", "cgr.dev",
	}
}

// defaultRegistries are the hosts that the usual package managers ask in their usual settings: indexes, downloads, and
// where those redirect to. None of them is a place where anybody could put what a workspace sends, without an account of
// that registry's. So no host of code is here: a push to somebody's repository would be a way out for everything.
func defaultRegistries() []string {
	return []string{
		// npm, Yarn
		"registry.npmjs.org", "registry.yarnpkg.com",
		// PyPI
		"pypi.org", "files.pythonhosted.org",
		// Go
		"proxy.golang.org", "sum.golang.org",
		// crates.io
		"index.crates.io", "crates.io", "static.crates.io",
		// RubyGems
		"rubygems.org", "index.rubygems.org",
		// Maven Central, Gradle's plugins
		"repo.maven.apache.org", "repo1.maven.org", "plugins.gradle.org", "plugins-artifacts.gradle.org", "services.gradle.org", "downloads.gradle.org",
		// Packagist
		"packagist.org", "repo.packagist.org",
		// NuGet
		"api.nuget.org", "globalcdn.nuget.org",
		// Hex
		"hex.pm", "repo.hex.pm", "builds.hex.pm",
		// pub.dev
		"pub.dev",
		// CPAN, CRAN
		"cpan.metacpan.org", "www.cpan.org", "cran.r-project.org", "cloud.r-project.org",
		// Hackage
		"hackage.haskell.org",
		// conda
		"conda.anaconda.org", "repo.anaconda.com",
		// Debian, Ubuntu, Alpine
		"deb.debian.org", "security.debian.org", "archive.ubuntu.com", "security.ubuntu.com", "ports.ubuntu.com", "dl-cdn.alpinelinux.org",
	}
}

// maxHosts bounds a list: all of them travel to the node with each task.
const maxHosts = 1000

func (n Network) check() []Error {
	var wrong []Error
	if !slices.Contains(policies, n.Policy) {
		wrong = append(wrong, Error{"network.policy", fmt.Sprintf("%q is none of %s", n.Policy, strings.Join(policies, ", "))})
	}
	for _, list := range []struct {
		key     string
		entries []string
		wrong   func(string) string
	}{
		{"network.registries", n.Registries, notHost},
		{"network.allow", n.Allow, notHost},
		{"network.images", n.Images, notImages},
		{"network.internal", n.Internal, notInternal},
	} {
		if len(list.entries) > maxHosts {
			wrong = append(wrong, Error{list.key, fmt.Sprintf("has %d entries, and at most %d are sent to a node", len(list.entries), maxHosts)})
		}
		for _, entry := range list.entries {
			if why := list.wrong(entry); why != "" {
				wrong = append(wrong, Error{list.key, why})
				break
			}
		}
	}
	return wrong
}

// hostName is a name as a list has it: lower case, in ASCII, its last part not a number.
var hostName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

// notHost says why an entry is no host, *.host, or either with :port; "" when it is.
func notHost(entry string) string {
	name, port, ported := strings.Cut(strings.TrimPrefix(entry, "*."), ":")
	switch {
	case ported && !isPort(port) && !strings.Contains(entry, "/"):
		return fmt.Sprintf("%q has a port that is none", entry)
	case !hostName.MatchString(name) || len(name) > 253 || strings.Contains(entry, "/"):
		return fmt.Sprintf("%q is no host: write it in lower case and without a scheme or path, as in example.com, *.example.com or example.com:8443; a name with other letters as xn--…", entry)
	case !strings.Contains(name, "."):
		return fmt.Sprintf("%q is too wide, or no public host: a host of your own network belongs in network.internal", entry)
	}
	return ""
}

// notImages says why an entry is no registry of images, host or host:port; "" when it is.
func notImages(entry string) string {
	if strings.Contains(entry, "*") {
		return fmt.Sprintf("%q is a wildcard: registries of images are named one by one", entry)
	}
	return notHost(entry)
}

// notInternal says why an entry is no single host or address, either with :port; "" when it is.
func notInternal(entry string) string {
	if strings.Contains(entry, "*") {
		return fmt.Sprintf("%q is a wildcard: internal hosts are named one by one, for what is beside them is what workspaces are kept from", entry)
	}
	if at, err := netip.ParseAddrPort(entry); err == nil {
		return notInternalAddress(entry, at.Addr())
	}
	if addr, err := netip.ParseAddr(entry); err == nil {
		return notInternalAddress(entry, addr)
	}
	name, port, ported := strings.Cut(entry, ":")
	if !hostName.MatchString(name) || len(name) > 253 || ported && !isPort(port) {
		return fmt.Sprintf("%q is neither a host nor an address: write registry.example.internal, registry:8081, 10.0.0.5:8081 or [fd00::5]:8081", entry)
	}
	return ""
}

func notInternalAddress(entry string, addr netip.Addr) string {
	addr = addr.Unmap()
	if addr.Zone() != "" || addr.IsUnspecified() || addr.IsMulticast() || addr.IsLinkLocalUnicast() {
		return fmt.Sprintf("%q is an address that no registry has; link-local ones are where clouds keep credentials", entry)
	}
	return ""
}

func isPort(digits string) bool {
	port, err := strconv.ParseUint(digits, 10, 16)
	return err == nil && port > 0
}
