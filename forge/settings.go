package forge

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/google/go-github/v62/github"

	"sam/task"
)

// maxFiles is how many files are remembered. The memory is emptied when it is full: it only saves GitHub's limit some calls.
const maxFiles = 1000

// files remembers projects' files by what GitHub calls their version, so that asking again costs nothing while they stay as
// they are. The zero value remembers none.
type files struct {
	mu sync.Mutex
	of map[string]knownFile // by the address that was asked
}

type knownFile struct {
	tag  string // GitHub's ETag
	data []byte
}

func (f *files) get(address string) knownFile {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.of[address]
}

func (f *files) put(address string, file knownFile) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil || len(f.of) >= maxFiles {
		f.of = map[string]knownFile{}
	}
	f.of[address] = file
}

// ProjectFile reads a file of at most that many bytes from the head of the project's default branch: what a pull request makes of
// it does not count. It returns nil when there is none. task.SettingsError for what is too large, or no file.
func (f *Forge) ProjectFile(ctx context.Context, p task.Project, path string, most int) ([]byte, error) {
	client, err := f.client(p.Installation)
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("repos/%s/%s/contents/%s", p.Owner, p.Name, path) // without a ref it is the default branch
	known := fmt.Sprintf("%d %d %s", p.Installation, p.ID, address)
	before := f.files.get(known)
	request, err := client.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("read %s of %s: %w", path, p.FullName(), err)
	}
	if before.tag != "" {
		request.Header.Set("If-None-Match", before.tag)
	}
	var answer json.RawMessage
	response, err := client.Do(ctx, request, &answer)
	meaning, _ := judge(err)
	switch {
	case before.tag != "" && status(err) == http.StatusNotModified:
		return before.data, nil
	case meaning == missing:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read %s of %s: %w", path, p.FullName(), err)
	}
	data, err := content(answer, path, most)
	if err != nil {
		return nil, err
	}
	if tag := response.Header.Get("ETag"); tag != "" {
		f.files.put(known, knownFile{tag, data})
	}
	return data, nil
}

func content(answer json.RawMessage, path string, most int) ([]byte, error) {
	var file github.RepositoryContent
	switch err := json.Unmarshal(answer, &file); {
	case strings.HasPrefix(strings.TrimSpace(string(answer)), "["), err == nil && file.GetType() != "file":
		return nil, task.SettingsError{Reason: fmt.Sprintf("`%s` is not a file. Make it one, or remove it.", path)}
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", path, err)
	case file.GetSize() > most:
		return nil, task.SettingsError{Reason: fmt.Sprintf("`%s` has %d bytes and may have %d. Make it smaller.", path, file.GetSize(), most)}
	}
	text, err := file.GetContent()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return []byte(text), nil
}
