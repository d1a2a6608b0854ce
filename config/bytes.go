package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bytes is an amount of memory: a whole number of bytes, or one with a unit, KiB, MiB, GiB or TiB.
type Bytes int64

var byteUnits = []struct {
	name string
	size int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// String is the amount in the largest unit in which it is a whole number.
func (b Bytes) String() string {
	for _, unit := range byteUnits {
		if b != 0 && int64(b)%unit.size == 0 {
			return fmt.Sprintf("%d %s", int64(b)/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%d bytes", int64(b))
}

// parseBytes reads an amount: 4GiB, 4 GiB, 4294967296.
func parseBytes(text string) (Bytes, error) {
	digits, size := text, int64(1)
	for _, unit := range byteUnits {
		if number, ok := strings.CutSuffix(text, unit.name); ok {
			digits, size = strings.TrimSpace(number), unit.size
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/size {
		return 0, fmt.Errorf("%q is no amount of memory", text)
	}
	return Bytes(n * size), nil
}
