package dashboard

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"path"
)

//go:embed templates static
var embedded embed.FS

// asset is one file of static/, with its gzipped form and a version that its address carries.
type asset struct {
	kind    string
	version string
	plain   []byte
	zipped  []byte
}

func loadAssets() (map[string]asset, error) {
	kinds := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	all := map[string]asset{}
	files, err := fs.Glob(embedded, "static/*")
	if err != nil {
		return nil, fmt.Errorf("list the static files: %w", err)
	}
	for _, file := range files {
		content, err := embedded.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		sum := sha256.Sum256(content)
		a := asset{kind: kinds[path.Ext(file)], version: hex.EncodeToString(sum[:5]), plain: content}
		if a.zipped, err = zipped(content); err != nil {
			return nil, err
		}
		all[path.Base(file)] = a
	}
	return all, nil
}

func zipped(content []byte) ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return b.Bytes(), nil
}

// render turns what is read into HTML. It is safe for concurrent use.
type render struct {
	templates *template.Template
	markdown  markdown
	terminal  terminalOutput
}

func newRender(assets map[string]asset) (*render, error) {
	templates, err := template.New("").Funcs(template.FuncMap{
		"asset": func(name string) string { return "/static/" + name + "?v=" + assets[name].version },
		"stamp": stamp, "clock": clock, "day": day, "ms": milliseconds, "count": count, "dollars": dollars, "size": size, "line": line,
		"visible": visible, "sign": sign, "words": words, "name": name, "short": func(commit string) string { return head(visible(commit), 9) },
	}).ParseFS(embedded, "templates/*.html")
	if err != nil {
		return nil, err
	}
	return &render{templates, newMarkdown(), newTerminalOutput()}, nil
}

// execute runs a template. What it returns is safe, for html/template made it.
func (r *render) execute(name string, data any) (template.HTML, error) {
	var b bytes.Buffer
	if err := r.templates.ExecuteTemplate(&b, name, data); err != nil {
		return "", fmt.Errorf("render %s: %w", name, err)
	}
	return template.HTML(bytes.TrimSpace(b.Bytes())), nil //nolint:gosec // html/template escaped it
}
