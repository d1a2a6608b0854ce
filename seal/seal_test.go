package seal_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sam/seal"
)

const owner = "account 5 project 7 secret API_TOKEN"

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newKey(t interface{ Fatal(...any) }, at time.Time) seal.Key {
	k, err := seal.NewKey(at)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newRing(t interface{ Fatal(...any) }, keys ...seal.Key) seal.Ring {
	r, err := seal.NewRing(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWhatIsSealedOpensForItsOwnerAndForNobodyElse(t *testing.T) {
	ring := newRing(t, newKey(t, noon))
	sealed, err := ring.Seal(owner, []byte("hunter2hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("hunter2")) {
		t.Fatal("the text can be read in what is sealed")
	}
	if got, err := ring.Open(owner, sealed); err != nil || string(got) != "hunter2hunter2" {
		t.Errorf("opened %q, %v", got, err)
	}
	if got, err := ring.Open("account 6 project 7 secret API_TOKEN", sealed); !errors.Is(err, seal.ErrChanged) {
		t.Errorf("another owner got %q, %v", got, err)
	}
	again, err := ring.Seal(owner, []byte("hunter2hunter2"))
	if err != nil || bytes.Equal(sealed, again) {
		t.Errorf("sealed twice it is the same: %v", err)
	}
}

func TestNoBitOfWhatIsSealedCanBeChangedAndNoneLeftOut(t *testing.T) {
	ring := newRing(t, newKey(t, noon))
	sealed, err := ring.Seal(owner, []byte("a text"))
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(sealed) * 8 {
		changed := bytes.Clone(sealed)
		changed[bit/8] ^= 1 << (bit % 8)
		if got, err := ring.Open(owner, changed); err == nil {
			t.Fatalf("with bit %d changed it opens as %q", bit, got)
		}
	}
	for length := range len(sealed) {
		_, err := ring.Open(owner, sealed[:length])
		if !errors.Is(err, seal.ErrNotSealed) && !errors.Is(err, seal.ErrChanged) {
			t.Fatalf("its first %d bytes: %v", length, err)
		}
	}
}

func TestTheNewestKeySealsAndAllOpen(t *testing.T) {
	old, young := newKey(t, noon), newKey(t, noon.Add(time.Second))
	before := newRing(t, old)
	sealed, err := before.Seal(owner, []byte("a text"))
	if err != nil {
		t.Fatal(err)
	}
	for _, order := range [][]seal.Key{{old, young}, {young, old}, {old, young, old}} {
		both := newRing(t, order...)
		if both.Newest() != young.ID || !slices.Equal(both.IDs(), []string{young.ID, old.ID}) {
			t.Errorf("keys %v, of which %s seals", both.IDs(), both.Newest())
		}
		if got, err := both.Open(owner, sealed); err != nil || string(got) != "a text" {
			t.Errorf("the old key's: %q, %v", got, err)
		}
		fresh, err := both.Seal(owner, []byte("a text"))
		if err != nil {
			t.Fatal(err)
		}
		if id, err := seal.KeyOf(fresh); err != nil || id != young.ID {
			t.Errorf("sealed with %s, %v", id, err)
		}
		if _, err := before.Open(owner, fresh); !errors.Is(err, seal.ErrUnknownKey) || !strings.Contains(err.Error(), young.ID) {
			t.Errorf("without the young key: %v", err)
		}
	}
}

func TestARingWithoutKeysSealsNothing(t *testing.T) {
	var none seal.Ring
	if _, err := none.Seal(owner, []byte("a text")); !errors.Is(err, seal.ErrNoKey) || none.Newest() != "" {
		t.Errorf("%v, newest %q", err, none.Newest())
	}
}

func TestTwoKeysOfOneNameAreRefused(t *testing.T) {
	k := newKey(t, noon)
	other := newKey(t, noon)
	forged, err := seal.ParseKey(strings.Replace(other.Line(), other.ID, k.ID, 1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := seal.NewRing(k, forged); err == nil || !strings.Contains(err.Error(), k.ID) {
		t.Errorf("%v", err)
	}
}

func TestAKeyIsNotShownWhenItIsPrinted(t *testing.T) {
	k := newKey(t, noon)
	secret := strings.Fields(k.Line())[2]
	ring := newRing(t, k)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, shown := range []any{k, &k, ring, &ring} {
			if text := fmt.Sprintf(format, shown); strings.Contains(text, secret) {
				t.Errorf("%s shows the key: %s", format, text)
			}
		}
	}
}

func TestWhateverIsSealedOpensAgainAndOnlyForItsOwner(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := make([]seal.Key, rapid.IntRange(1, 4).Draw(t, "keys"))
		for i := range keys {
			keys[i] = newKey(t, noon.Add(time.Duration(i)*time.Second))
		}
		by := rapid.IntRange(1, len(keys)).Draw(t, "sealed when there were so many")
		text := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "text")
		mine, other := rapid.String().Draw(t, "owner"), rapid.String().Draw(t, "other")
		sealed, err := newRing(t, keys[:by]...).Seal(mine, text)
		if err != nil {
			t.Fatal(err)
		}
		all := newRing(t, rapid.Permutation(keys).Draw(t, "ring")...)
		got, err := all.Open(mine, sealed)
		if err != nil || !bytes.Equal(got, text) {
			t.Fatalf("opened %q, %v", got, err)
		}
		if _, err := all.Open(other, sealed); (err == nil) != (other == mine) {
			t.Fatalf("for %q what is %q's: %v", other, mine, err)
		}
	})
}

func FuzzOpen(f *testing.F) {
	ring := newRing(f, newKey(f, noon))
	sealed, err := ring.Seal(owner, []byte("a text"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add([]byte{})
	f.Add(sealed[:20])
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := ring.Open(owner, data)
		if err == nil && !bytes.Equal(data, sealed) {
			t.Errorf("opened %q from what was never sealed", got)
		}
	})
}

func FuzzParseKey(f *testing.F) {
	k := newKey(f, noon)
	f.Add(k.Line())
	f.Add("sam-key-1 20261123T120000.000Z-0123abcd AAAA")
	f.Fuzz(func(t *testing.T, line string) {
		read, err := seal.ParseKey(line)
		if err != nil {
			if !errors.Is(err, seal.ErrKey) {
				t.Errorf("an error of its own: %v", err)
			}
			return
		}
		again, err := seal.ParseKey(read.Line())
		if err != nil || again.Line() != read.Line() || again.ID != read.ID {
			t.Errorf("%q reads back as %v, %v", line, again, err)
		}
	})
}
