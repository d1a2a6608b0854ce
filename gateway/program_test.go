package gateway

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sam/agent/wire"
)

// elfFile is a program's head, and then a text that packs well.
func elfFile(t *testing.T, machine elf.Machine, class elf.Class, kind elf.Type, rest string) string {
	t.Helper()
	head := elf.Header64{Type: uint16(kind), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Ehsize: 64, Phentsize: 56, Shentsize: 64}
	copy(head.Ident[:], elf.ELFMAG)
	head.Ident[elf.EI_CLASS], head.Ident[elf.EI_DATA], head.Ident[elf.EI_VERSION] = byte(class), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)
	var file bytes.Buffer
	if err := binary.Write(&file, binary.LittleEndian, head); err != nil {
		t.Fatal(err)
	}
	return file.String() + strings.Repeat(rest, 1000)
}

func programFile(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func openPrograms(t *testing.T, own, dir string) *Programs {
	t.Helper()
	p, err := OpenPrograms(own, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// programDoor is a gateway's way to programs, from an address of the test's.
func programDoor(t *testing.T, p *Programs) (get func(method, path string, header ...string) (*http.Response, string)) {
	t.Helper()
	s := httptest.NewServer(p.handler(func(*http.Request) netip.Addr { return netip.MustParseAddr("203.0.113.7") }))
	t.Cleanup(s.Close)
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return func(method, path string, header ...string) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		response, err := (&http.Client{Transport: transport}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response, string(body)
	}
}

func TestAMachineFetchesTheProgramThatItsAddressSays(t *testing.T) {
	t.Parallel()
	dir, amd, arm := t.TempDir(), elfFile(t, elf.EM_X86_64, elf.ELFCLASS64, elf.ET_EXEC, "amd64"), elfFile(t, elf.EM_AARCH64, elf.ELFCLASS64, elf.ET_DYN, "arm64")
	programFile(t, dir, "sam-linux-arm64", arm)
	programFile(t, dir, "README", "not of interest")
	p := openPrograms(t, programFile(t, t.TempDir(), "sam", amd), dir)
	get := programDoor(t, p)
	all := p.All()
	if names := slices.Sorted(maps.Keys(all)); !slices.Equal(names, []string{"amd64", "arm64"}) {
		t.Fatalf("there are programs for %v", names)
	}
	for architecture, want := range map[string]string{"amd64": amd, "arm64": arm} {
		sum := fmt.Sprintf("%x", sha256.Sum256([]byte(want)))
		if got := all[architecture]; got.SHA256 != sum || got.Path != "/node/v1/program/"+sum+"/sam-linux-"+architecture {
			t.Errorf("%s is at %+v", architecture, got)
		}
		response, body := get(http.MethodGet, all[architecture].Path)
		if h := response.Header; body != want || h.Get("ETag") != `"`+sum+`"` || !strings.Contains(h.Get("Cache-Control"), "immutable") || h.Get("Vary") != "Accept-Encoding" || response.ContentLength != int64(len(want)) {
			t.Errorf("%s: %s, %d bytes, %v", architecture, response.Status, len(body), h)
		}
		response, body = get(http.MethodGet, all[architecture].Path, "Accept-Encoding", "deflate, gzip")
		zipped, err := gzip.NewReader(strings.NewReader(body))
		if err != nil || response.Header.Get("Content-Encoding") != "gzip" || len(body) > len(want)/2 {
			t.Fatalf("%s packed: %d of %d bytes, %v, %v", architecture, len(body), len(want), response.Header, err)
		}
		if got, err := io.ReadAll(zipped); err != nil || string(got) != want {
			t.Errorf("%s unpacked: %d bytes, %v", architecture, len(got), err)
		}
	}
	if response, body := get(http.MethodHead, all["amd64"].Path); response.ContentLength != int64(len(amd)) || body != "" {
		t.Errorf("by HEAD: %s, %d", response.Status, response.ContentLength)
	}
	if response, body := get(http.MethodGet, all["amd64"].Path, "Range", "bytes=70-79"); response.StatusCode != http.StatusPartialContent || body != amd[70:80] {
		t.Errorf("a part: %s, %q", response.Status, body)
	}
	if response, _ := get(http.MethodPost, all["amd64"].Path); response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("by POST: %s", response.Status)
	}
}

func TestAProgramIsPackedBeforeAMachineAsksForIt(t *testing.T) {
	t.Parallel()
	p, err := OpenPrograms(programFile(t, t.TempDir(), "sam", elfFile(t, elf.EM_X86_64, elf.ELFCLASS64, elf.ET_EXEC, "amd64")), "")
	if err != nil {
		t.Fatal(err)
	}
	p.Prepare("arm64") // there is none
	p.Prepare("amd64")
	if err := p.Close(); err != nil { // from now on nothing can be read
		t.Fatal(err)
	}
	if zipped, err := p.files["amd64"].zipped(); err != nil || len(zipped) == 0 {
		t.Errorf("%d bytes, %v", len(zipped), err)
	}
}

func TestAnotherReleasesProgramIsNotThereAndTheConnectionEnds(t *testing.T) {
	t.Parallel()
	p := openPrograms(t, programFile(t, t.TempDir(), "sam", elfFile(t, elf.EM_X86_64, elf.ELFCLASS64, elf.ET_EXEC, "x")), "")
	path := p.All()["amd64"].Path
	for _, who := range []*Programs{p, nil} {
		get := programDoor(t, who)
		for _, path := range []string{
			wire.ProgramPath + strings.Repeat("0", 64) + "/sam-linux-amd64", strings.Replace(path, "amd64", "arm64", 1), path[:len(path)-1], wire.ProgramPath + "x/..%2f..%2fetc%2fpasswd",
		} {
			response, body := get(http.MethodGet, path)
			if response.StatusCode != http.StatusNotFound || !strings.Contains(body, "another replica has it: ask again") || !response.Close || response.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %s %v %s", path, response.Status, response.Header, body)
			}
		}
	}
}

func TestTheRunningProgramIsServedAsItIs(t *testing.T) {
	t.Parallel()
	p := openPrograms(t, "", "")
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for architecture, one := range p.All() {
		if want := fmt.Sprintf("%x", sha256.Sum256(content)); one.SHA256 != want {
			t.Errorf("for %s it is %s, want %s", architecture, one.SHA256, want)
		}
	}
	if len(p.All()) != 1 {
		t.Errorf("there are %v", p.All())
	}
}

func TestAProgramThatIsReplacedIsServedAsItWasAndOneThatIsWrittenOverIsNot(t *testing.T) {
	t.Parallel()
	dir, old := t.TempDir(), elfFile(t, elf.EM_X86_64, elf.ELFCLASS64, elf.ET_EXEC, "old")
	path := programFile(t, dir, "sam", old)
	p := openPrograms(t, path, "")
	get := programDoor(t, p)
	at := p.All()["amd64"].Path
	if err := os.Rename(programFile(t, dir, "new", elfFile(t, elf.EM_X86_64, elf.ELFCLASS64, elf.ET_EXEC, "new")), path); err != nil {
		t.Fatal(err)
	}
	if response, body := get(http.MethodGet, at); body != old {
		t.Errorf("replaced: %s, %d bytes", response.Status, len(body))
	}
	over := openPrograms(t, path, "")
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if response, body := programDoor(t, over)(http.MethodGet, over.All()["amd64"].Path); response.StatusCode != http.StatusInternalServerError || !strings.Contains(body, "restart the server") || response.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("written over: %s %s", response.Status, body)
	}
}

func TestWhatIsNoProgramForMachinesIsRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	amd, arm := elfFile(t, elf.EM_X86_64, elf.ELFCLASS64, elf.ET_EXEC, "x"), elfFile(t, elf.EM_AARCH64, elf.ELFCLASS64, elf.ET_EXEC, "x")
	for want, content := range map[string]string{
		"is a program for arm64: machines with amd64 could not run it": arm,
		"is no program for Linux on amd64 or arm64: bad magic number":  "#!/bin/sh\necho a script\n",
		"is no program for Linux on amd64 or arm64: ":                  "",
		"it is EM_RISCV":   elfFile(t, elf.EM_RISCV, elf.ELFCLASS64, elf.ET_EXEC, "x"),
		"ET_REL":           elfFile(t, elf.EM_X86_64, elf.ELFCLASS64, elf.ET_REL, "x"),
		"amd64 or arm64: ": amd[:40],
	} {
		dir := t.TempDir()
		path := programFile(t, dir, "sam-linux-amd64", content)
		if _, err := OpenPrograms(programFile(t, t.TempDir(), "sam", amd), dir); err == nil || !strings.Contains(err.Error(), path+" ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	own := programFile(t, t.TempDir(), "sam", amd)
	if _, err := OpenPrograms(own, t.TempDir()); err == nil || !strings.Contains(err.Error(), "has neither sam-linux-amd64 nor sam-linux-arm64: put the programs") {
		t.Errorf("of an empty folder: %v", err)
	}
	if _, err := OpenPrograms(own, filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "has neither") {
		t.Errorf("of no folder: %v", err)
	}
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "sam-linux-arm64"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenPrograms(own, dir); err == nil || !strings.Contains(err.Error(), "is no file") {
		t.Errorf("of a named pipe: %v", err)
	}
	// A developer's machine, whose own program is another system's.
	if p := openPrograms(t, programFile(t, t.TempDir(), "sam", "MZ"), ""); len(p.All()) != 0 {
		t.Errorf("there are %v", p.All())
	}
	// The folder's word counts.
	dir = t.TempDir()
	programFile(t, dir, "sam-linux-amd64", amd+"newer")
	if p := openPrograms(t, own, dir); p.All()["amd64"].SHA256 != fmt.Sprintf("%x", sha256.Sum256([]byte(amd+"newer"))) {
		t.Error("the folder's program does not stand over the server's own")
	}
}

func TestDownloadsAreBoundedForAllAndForOneAddress(t *testing.T) {
	t.Parallel()
	d := newDownloads()
	d.all, d.one = 3, 2
	begin := func(from string, want bool) func() {
		t.Helper()
		end, ok := d.begin(netip.MustParseAddr(from))
		if ok != want {
			t.Errorf("a download from %s: %t, want %t", from, ok, want)
		}
		return end
	}
	first := begin("2001:db8:1::1", true)
	second := begin("2001:db8:1::2", true)
	begin("2001:db8:1::3", false) // one machine's
	third := begin("203.0.113.7", true)
	begin("203.0.113.8", false)
	first()
	again := begin("203.0.113.8", true)
	second()
	third()
	again()
	if d.under != 0 || len(d.of) != 0 {
		t.Errorf("%d are under way when none is, of %v", d.under, d.of)
	}

	p := openPrograms(t, programFile(t, t.TempDir(), "sam", elfFile(t, elf.EM_X86_64, elf.ELFCLASS64, elf.ET_EXEC, "x")), "")
	p.downloads.all = 0
	response, body := programDoor(t, p)(http.MethodGet, p.All()["amd64"].Path)
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") != "2" || !strings.Contains(body, "try again") {
		t.Errorf("over the bound: %s %v %s", response.Status, response.Header, body)
	}
}
