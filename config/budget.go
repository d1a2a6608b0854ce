package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Budget is how much may be spent, in millionths of the currency that the provider counts in (Hetzner: EUR). 0 allows nothing; a
// negative one is no limit.
type Budget int64

// Unlimited is the Budget that is no limit.
const Unlimited Budget = -1

const euro Budget = 1_000_000

// unlimited is its word. "none" is refused: it would as well mean that there is no money.
const unlimited = "unlimited"

// String is the budget as ParseBudget reads it.
func (b Budget) String() string {
	if b < 0 {
		return unlimited
	}
	text := strings.TrimRight(fmt.Sprintf("%d.%06d", b/euro, b%euro), "0")
	return strings.TrimSuffix(text, ".")
}

// budget is an amount with no sign and no exponent.
var budget = regexp.MustCompile(`^([0-9]{1,9})(?:\.([0-9]{1,6}))?$`)

// ParseBudget reads a decimal amount, 5 or 2.50, or unlimited. The error says what is to be written.
func ParseBudget(text string) (Budget, error) {
	if text == unlimited {
		return Unlimited, nil
	}
	parts := budget.FindStringSubmatch(text)
	if parts == nil {
		return 0, fmt.Errorf("%s is no budget: write an amount in EUR such as 5 or 2.50, 0 for none at all, or %s", text, unlimited)
	}
	millionths, err := strconv.ParseInt(parts[1]+(parts[2] + "000000")[:6], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the budget %s: %w", text, err) // not reached: 15 digits fit
	}
	return Budget(millionths), nil
}
