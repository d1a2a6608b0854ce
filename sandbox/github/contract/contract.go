// Package contract checks what passes between a client and the stand-in for
// GitHub against GitHub's own OpenAPI description, so that neither side can
// drift from the real service unnoticed. Tests use it, nothing else does.
//
// The description is the file generated/api.github.com.json of the npm package
// @octokit/openapi (13 MB). It is not part of the repository: `make tools`
// fetches it, and a test that needs it fails, rather than skips, without it.
package contract

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// EnvPath names the environment variable that says where the description is.
const EnvPath = "SAM_GITHUB_OPENAPI"

// ErrNotInstalled means that the description is not where it should be.
var ErrNotInstalled = errors.New("GitHub's OpenAPI description is not installed: run `make tools`")

// Description is GitHub's REST API as its own description tells it. It is safe
// for concurrent use.
type Description struct {
	router  routers.Router
	checked atomic.Int64
}

// Installed loads the description that Path finds. It is loaded once per
// process, because even the part of it that matters here takes a while (4 s with -race).
func Installed() (*Description, error) { return installed() }

var installed = sync.OnceValues(func() (*Description, error) {
	path, err := Path()
	if err != nil {
		return nil, err
	}
	return Load(path)
})

// Path says where the description is: the file that $SAM_GITHUB_OPENAPI names,
// else .cache/openapi/api.github.com.json below the nearest go.mod at or above
// the working directory. A file that is missing is ErrNotInstalled.
func Path() (string, error) {
	if path := os.Getenv(EnvPath); path != "" {
		if err := present(path); err != nil {
			return "", fmt.Errorf("%s=%s: %w", EnvPath, path, err)
		}
		return path, nil
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, ".cache", "openapi", "api.github.com.json")
	if err := present(path); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return path, nil
}

func present(path string) error {
	switch _, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return ErrNotInstalled
	default:
		return err
	}
}

func moduleRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the module root: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("find the module root: no go.mod at or above %s", start)
		}
	}
}

// Load reads a description from a file, and of it what an App of SAM's kind can
// use. Most callers want Installed.
func Load(path string) (*Description, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read GitHub's OpenAPI description: %w", err)
	}
	if data, err = prune(data); err != nil {
		return nil, fmt.Errorf("read GitHub's OpenAPI description %s: %w", path, err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(data)
	if err != nil {
		return nil, fmt.Errorf("load GitHub's OpenAPI description %s: %w", path, err)
	}
	// The paths are matched with the host and /api/v3 already taken off.
	doc.Servers = nil
	openMultiSegment(doc)
	if err := amend(doc); err != nil {
		return nil, fmt.Errorf("amend GitHub's OpenAPI description %s: %w", path, err)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		return nil, fmt.Errorf("route GitHub's OpenAPI description %s: %w", path, err)
	}
	return &Description{router: router}, nil
}

// Checked says how many exchanges have been checked so far, with or without a
// difference. A test asserts that it grew: a wrapper that was never asked
// anything proves nothing.
func (d *Description) Checked() int { return int(d.checked.Load()) }

// openMultiSegment lets the parameters that GitHub marks x-multi-segment (a
// ref, a path) contain slashes, for which OpenAPI has no word of its own.
// go-github sends a branch's slashes unescaped, in the middle of a path too
// (commits/sam/fix/check-runs), and GitHub understands.
func openMultiSegment(doc *openapi3.T) {
	paths := openapi3.NewPaths()
	for path, item := range doc.Paths.Map() {
		opened := path
		for _, op := range item.Operations() {
			for _, p := range op.Parameters {
				if open, _ := p.Value.Extensions["x-multi-segment"].(bool); open && p.Value.In == openapi3.ParameterInPath {
					pattern := ":.+"
					if p.Value.Name == "path" {
						// An empty path is the root directory.
						pattern, p.Value.Required = ":.*", false
					}
					opened = strings.Replace(opened, "{"+p.Value.Name+"}", "{"+p.Value.Name+pattern+"}", 1)
				}
			}
		}
		paths.Set(opened, item)
	}
	doc.Paths = paths
}
