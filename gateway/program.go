package gateway

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sam/agent/wire"
)

// Programs are what new machines run: `sam` for Linux, for each architecture that there is one for.
//
//	new machine -> public listener -> Programs
//
//	GET, HEAD /node/v1/program/{sha256}/sam-linux-{amd64,arm64}
//
// Anybody may fetch them. The address says which bytes it is for: while a new release replaces the old one, a machine never
// gets the program of the one that did not make it, and asks until it comes to a replica of the one that did.
type Programs struct {
	files     map[string]*program // by architecture, in Go's words
	downloads downloads
	requests  *prometheus.CounterVec
	packing   sync.WaitGroup
}

// Program is where one is served, below the server's public address, and what its bytes must be.
type Program struct {
	Path   string
	SHA256 string // hexadecimal
}

// program is one that is open: what is served is what was open at the start, whatever has its path by now.
type program struct {
	name    string // the last part of its address
	file    *os.File
	sum     string
	size    int64
	changed time.Time
	zipped  func() ([]byte, error) // made when it is first asked for, or prepared
}

// The architectures that machines may have.
var architectures = map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64"}

// errForeign: a file that no machine could run.
var errForeign = errors.New("is no program for Linux on amd64 or arm64")

// OpenPrograms opens a program for its own architecture, "" for the one that runs, and those that lie in a folder as
// sam-linux-amd64 and sam-linux-arm64, "" for none. One in the folder stands over the first. A file that no machine of its
// architecture could run is refused; a first program that is not for Linux, as on a developer's machine, is left out. Close
// them after the gateway.
func OpenPrograms(own, dir string) (_ *Programs, err error) {
	p := &Programs{files: map[string]*program{}, downloads: newDownloads(), requests: newProgramRequests()}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if own == "" {
		own = running()
	}
	if err := p.open(own, ""); err != nil && !errors.Is(err, errForeign) {
		return nil, err
	}
	if dir == "" {
		return p, nil
	}
	found := false
	for _, architecture := range architectures {
		err := p.open(filepath.Join(dir, "sam-linux-"+architecture), architecture)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		found = found || err == nil
	}
	if !found {
		return nil, fmt.Errorf("%s has neither sam-linux-amd64 nor sam-linux-arm64: put the programs of this release there", dir)
	}
	return p, nil
}

// running is the program that runs, even if a newer one has been put in its place meanwhile.
func running() string {
	const link = "/proc/self/exe"
	if _, err := os.Stat(link); err == nil {
		return link
	}
	path, err := os.Executable()
	if err != nil {
		return link
	}
	return path
}

// open opens a program. It must be for the architecture, "" for any.
func (p *Programs) open(path, architecture string) (err error) {
	// A named pipe would hold whoever opens it.
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("open a program for machines: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no file, and so no program for machines", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open a program for machines: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	is, err := architectureOf(file)
	switch {
	case err != nil:
		return fmt.Errorf("%s %w", path, err)
	case architecture != "" && is != architecture:
		return fmt.Errorf("%s is a program for %s: machines with %s could not run it. Put the one that was built with GOARCH=%s there", path, is, architecture, architecture)
	}
	sum := sha256.New()
	size, err := io.Copy(sum, file)
	if err != nil {
		return fmt.Errorf("read a program for machines: %w", err)
	}
	if before := p.files[is]; before != nil {
		err = before.file.Close()
	}
	one := &program{name: "sam-linux-" + is, file: file, sum: hex.EncodeToString(sum.Sum(nil)), size: size, changed: info.ModTime()}
	one.zipped = sync.OnceValues(one.zip)
	p.files[is] = one
	return err
}

// architectureOf is the one that a program is for.
func architectureOf(file io.ReaderAt) (string, error) {
	f, err := elf.NewFile(file)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errForeign, err)
	}
	architecture := architectures[f.Machine]
	if architecture == "" || f.Class != elf.ELFCLASS64 || f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return "", fmt.Errorf("%w: it is %s, %s, %s", errForeign, f.Machine, f.Class, f.Type)
	}
	return architecture, nil
}

// All are the programs that there are, by the architecture in Go's words.
func (p *Programs) All() map[string]Program {
	all := map[string]Program{}
	for architecture, one := range p.files {
		all[architecture] = Program{Path: wire.ProgramPath + one.sum + "/" + one.name, SHA256: one.sum}
	}
	return all
}

// Prepare has an architecture's program packed beside whoever calls it: a machine that is being made asks for it soon.
func (p *Programs) Prepare(architecture string) {
	if one := p.files[architecture]; one != nil {
		p.packing.Go(func() { _, _ = one.zipped() }) // whoever is to serve it tells what is wrong
	}
}

// Close closes the files. Prepare must not be called any more.
func (p *Programs) Close() error {
	p.packing.Wait()
	var err error
	for _, one := range p.files {
		err = errors.Join(err, one.file.Close())
	}
	return err
}

func (p *program) content() *io.SectionReader { return io.NewSectionReader(p.file, 0, p.size) }

// intact reports whether the file is what it was: one that was written over has other bytes than its address says.
func (p *program) intact() bool {
	info, err := p.file.Stat()
	return err == nil && info.Size() == p.size && info.ModTime().Equal(p.changed)
}

// zip is the program in 40 % of its bytes. At the fastest level that takes half a second, once; a tenth less would take three
// times as long.
func (p *program) zip() ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(w, p.content()); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
