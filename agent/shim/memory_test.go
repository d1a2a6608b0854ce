package shim

import (
	"slices"
	"testing"
)

// Of a position-independent sam: what the loader wrote to is read-only, too, and reading it from the file again ends the program.
func TestOnlyMemoryThatIsAsItIsInTheFileIsGivenBack(t *testing.T) {
	t.Parallel()
	const smaps = `55d000000000-55d000800000 r-xp 00000000 fe:00 42                         /opt/sam/sam
Size:               8192 kB
Private_Clean:      4096 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
55d000800000-55d001000000 r--p 00800000 fe:00 42                         /opt/sam/sam
Anonymous:          2048 kB
55d001000000-55d001001000 r--p 01000000 fe:00 42                         /opt/sam/sam
Anonymous:             0 kB
55d001001000-55d001002000 rw-p 01001000 fe:00 42                         /opt/sam/sam
Anonymous:             0 kB
7f0000000000-7f0000001000 r-xp 00000000 fe:00 43                         /lib/libc.so.6
Anonymous:             0 kB
7f0000001000-7f0000002000 rw-p 00000000 00:00 0
Anonymous:             0 kB
`
	want := []mapping{{0x55d000000000, 0x800000}, {0x55d001000000, 0x1000}}
	if got := unwritten(smaps, "/opt/sam/sam"); !slices.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
	if len(codeMappings()) == 0 {
		t.Error("of this program nothing is found")
	}
}
