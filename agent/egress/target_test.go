package egress

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestATargetHasOneFormHoweverItIsWritten(t *testing.T) {
	for asked, want := range map[string]string{
		"registry.npmjs.org:443":      "registry.npmjs.org:443",
		"Registry.NPMjs.org.:443":     "registry.npmjs.org:443",
		"ｐｙｐｉ.org:443":                "pypi.org:443",
		"pypi。org:443":                "pypi.org:443",
		"bücher.example:443":          "xn--bcher-kva.example:443",
		"XN--BCHER-KVA.example:443":   "xn--bcher-kva.example:443",
		"r3---sn-4g5e6nez.example:80": "r3---sn-4g5e6nez.example:80",
		"8.8.8.8:80":                  "8.8.8.8:80",
		"[2606:4700::0001]:443":       "[2606:4700::1]:443",
		"[::ffff:127.0.0.1]:443":      "127.0.0.1:443",
	} {
		got, err := ParseTarget(asked)
		if err != nil || got.String() != want {
			t.Errorf("%q is %q, %v; want %q", asked, got, err, want)
		}
	}
}

func TestWhatIsNoTargetIsRefused(t *testing.T) {
	for _, asked := range []string{
		"", "pypi.org", "pypi.org:", ":443", ".:443", "..:443", "pypi..org:443", ".pypi.org:443", "pypi.org..:443",
		"pypi.org:0", "pypi.org:65536", "pypi.org:-1", "pypi.org:+443", "pypi.org:443:443", "pypi.org:https",
		"user@pypi.org:443", "user:pw@pypi.org:443", "pypi.org@evil.example:443", "pypi.org/:443", "pypi.org#@evil.example:443",
		"pypi.org%2eevil.example:443", "pypi.org\x00.evil.example:443", "pypi.org evil.example:443", "pypi.org\t:443", "pypi_org.example:443",
		"-pypi.org:443", "pypi-.org:443", "[pypi.org]:443", "[fe80::1%eth0]:443", "[::1:443", "::1:443",
		"0x7f.1:443", "0x7f000001:443", "2130706433:443", "127.1:443", "0177.0.0.1:443", "127.0.0.0x1:443", "1.2.3.4.5:443", "256.256.256.256:443",
		strings.Repeat("a", 64) + ".org:443", strings.Repeat("a.", 127) + "org:443", "*.pypi.org:443",
	} {
		if got, err := ParseTarget(asked); err == nil {
			t.Errorf("%q is taken for %s", asked, got)
		}
	}
}

func TestAnEntryOfAListIsForWhatItSaysAndForNothingBesideIt(t *testing.T) {
	for _, row := range []struct {
		entry    string
		is, isnt []string
	}{
		{"pypi.org", []string{"pypi.org:443", "pypi.org:80", "PyPI.org.:443"},
			[]string{"pypi.org:22", "x.pypi.org:443", "xpypi.org:443", "pypi.org.evil.example:443", "pypi.or:443", "org:443"}},
		{"*.Example.org", []string{"a.example.org:443", "a.b.example.org:80"},
			[]string{"example.org:443", "aexample.org:443", "example.org.evil:443", "a.example.org:8443"}},
		{"example.org:8443", []string{"example.org:8443"}, []string{"example.org:443", "example.org:80"}},
		{"*.example.org:22", []string{"git.example.org:22"}, []string{"git.example.org:443", "example.org:22"}},
		{"10.0.0.5:8081", []string{"10.0.0.5:8081", "[::ffff:10.0.0.5]:8081"}, []string{"10.0.0.5:443", "10.0.0.6:8081"}},
		{"[fd00::5]:8081", []string{"[fd00:0:0::5]:8081"}, []string{"[fd00::6]:8081"}},
	} {
		p, err := ParsePattern(row.entry)
		if err != nil {
			t.Errorf("%s: %v", row.entry, err)
			continue
		}
		for _, one := range slices.Concat(row.is, row.isnt) {
			target, err := ParseTarget(one)
			if err != nil {
				t.Errorf("%s: %v", one, err)
			}
			if got, want := p.admits(target), slices.Contains(row.is, one); got != want {
				t.Errorf("%s admits %s: %v", row.entry, one, got)
			}
		}
	}
	for _, entry := range []string{"", "*", "*.", "*.org", "a.*.org", "*example.org", "**.example.org", "*.*.example.org", "*.10.0.0.1", "example.org:0", "example.org:x",
		"https://example.org", "example.org/path", "user@example.org", "10.0.0.0/8", "fe80::1%eth0"} {
		if p, err := ParsePattern(entry); err == nil {
			t.Errorf("%q is taken for %+v", entry, p)
		}
	}
}

// FuzzAHostThatIsAdmittedIsOneThatIsListed asks the matcher with what clients may send. Whatever it admits must be, letter
// for letter, a listed name or a name below a listed wildcard.
func FuzzAHostThatIsAdmittedIsOneThatIsListed(f *testing.F) {
	for _, seed := range []string{"pypi.org:443", "a.example.org:443", "PYPI.ORG.:80", "pypi.org@evil:443", "ｐｙｐｉ.org:443", "[::ffff:1.2.3.4]:443", "xn--a:443", "a.example.org%00:443"} {
		f.Add(seed)
	}
	rules, err := NewRules("registries", []string{"pypi.org", "*.example.org"}, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, asked string) {
		target, err := ParseTarget(asked)
		if err != nil {
			return
		}
		if again, err := ParseTarget(target.String()); err != nil || again != target {
			t.Fatalf("%q is %s, which is %s, %v", asked, target, again, err)
		}
		if _, refused := rules.admit(target); refused != nil {
			return
		}
		if target.Port != 443 && target.Port != 80 {
			t.Fatalf("%q is admitted on port %d", asked, target.Port)
		}
		if _, err := netip.ParseAddr(target.Host); err == nil {
			t.Fatalf("%q is an address and admitted", asked)
		}
		if target.Host != "pypi.org" && !strings.HasSuffix(target.Host, ".example.org") {
			t.Fatalf("%q is admitted as %s", asked, target.Host)
		}
		for _, c := range target.Host {
			if c != '.' && c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
				t.Fatalf("%q is admitted as %q", asked, target.Host)
			}
		}
	})
}
