package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
)

// npmRegistry is where packages are that anybody may have.
const npmRegistry = "https://registry.npmjs.org"

// get downloads the package from a registry to a file, without npm. What it is worth is checked when it is installed.
func (one release) get(ctx context.Context, registry, to string) error {
	address := fmt.Sprintf("%s/%s/-/%s-%s.tgz", registry, one.pack, path.Base(one.pack), one.version)
	failed := func(err error) error {
		return fmt.Errorf("there is no npm on this node, so %s was asked for: %w. The node must reach it, or have npm, set up for another registry", address, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return failed(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:errcheck // the standard library's own type
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return failed(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return failed(errors.New(response.Status))
	}
	file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(file, io.LimitReader(response.Body, maxProgram+1))
	if err = errors.Join(err, file.Close()); err != nil {
		return failed(err)
	}
	if n > maxProgram {
		return failed(fmt.Errorf("it sends more than %d bytes", maxProgram))
	}
	return nil
}
