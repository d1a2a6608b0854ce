package container

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"strings"

	"github.com/goccy/go-yaml"
)

// maxFile bounds what a compressed file of user data may unfold to, in bytes.
const maxFile = 16 << 20

// cloudConfig is the part of a cloud-config that is obeyed. The rest is listed in
// the machine's log, and not done.
type cloudConfig struct {
	BootCmd    []command `yaml:"bootcmd"`
	WriteFiles []file    `yaml:"write_files"`
	RunCmd     []command `yaml:"runcmd"`
	ignored    []string
}

// file is an entry of write_files.
type file struct {
	Path        string `yaml:"path"`
	Content     string `yaml:"content"`
	Encoding    string `yaml:"encoding"`
	Owner       string `yaml:"owner"`
	Permissions string `yaml:"permissions"`
	Append      bool   `yaml:"append"`
	Defer       bool   `yaml:"defer"` // until all else but runcmd is done

	data []byte
}

// command is a line for the shell, or a list of words that the shell does not see.
type command struct {
	line  string
	words []string
}

// UnmarshalYAML takes a string or a list of strings and numbers.
func (c *command) UnmarshalYAML(text []byte) error {
	var words []any
	if err := yaml.Unmarshal(text, &words); err == nil {
		for _, w := range words {
			c.words = append(c.words, fmt.Sprint(w))
		}
		return nil
	}
	return yaml.Unmarshal(text, &c.line)
}

// parseCloudConfig reads user data that begins with #cloud-config.
func parseCloudConfig(text string) (cloudConfig, error) {
	var c cloudConfig
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		return c, fmt.Errorf("read the cloud-config: %w", err)
	}
	var all yaml.MapSlice
	if err := yaml.Unmarshal([]byte(text), &all); err != nil {
		return c, fmt.Errorf("read the cloud-config: %w", err)
	}
	for _, item := range all {
		switch key := fmt.Sprint(item.Key); key {
		case "bootcmd", "write_files", "runcmd":
		default:
			c.ignored = append(c.ignored, key)
		}
	}
	for i := range c.WriteFiles {
		f := &c.WriteFiles[i]
		if !strings.HasPrefix(f.Path, "/") {
			return c, fmt.Errorf("write_files: %q is no absolute path", f.Path)
		}
		var err error
		if f.data, err = f.decode(); err != nil {
			return c, fmt.Errorf("write_files: %s: %w", f.Path, err)
		}
	}
	return c, nil
}

// decode unfolds a file's content as its encoding says, in the words that
// cloud-init knows.
func (f *file) decode() ([]byte, error) {
	data := []byte(f.Content)
	switch strings.ToLower(f.Encoding) {
	case "", "text/plain":
		return data, nil
	case "b64", "base64":
		return base64.StdEncoding.DecodeString(f.Content)
	case "gz+b64", "gz+base64", "gzip+b64", "gzip+base64":
		var err error
		if data, err = base64.StdEncoding.DecodeString(f.Content); err != nil {
			return nil, err
		}
	case "gz", "gzip":
	default:
		return nil, fmt.Errorf("encoding %q is none that cloud-init knows", f.Encoding)
	}
	unfold, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("unfold it from gzip: %w", err)
	}
	out, err := io.ReadAll(io.LimitReader(unfold, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("unfold it from gzip: %w", err)
	}
	if len(out) > maxFile {
		return nil, fmt.Errorf("it unfolds to more than %d bytes", maxFile)
	}
	return out, nil
}
