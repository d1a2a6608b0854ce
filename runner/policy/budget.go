package policy

import (
	"fmt"
	"time"
)

// ledger is what an account may still spend, while a pass hands it out.
type ledger struct {
	limits Limits
	spent  int64 // in this pass
}

// take spends a sum, or names the budget that does not allow it. A sum of 0 is always allowed: work on what is paid for
// already goes on when the money is used up.
func (l *ledger) take(sum int64) (Budget, bool) {
	if b, ok := l.allows(sum); !ok {
		return b, false
	}
	l.spent += sum
	return Budget{}, true
}

func (l *ledger) allows(sum int64) (Budget, bool) {
	if sum == 0 {
		return Budget{}, true
	}
	for _, b := range l.limits.Budgets {
		if left := b.Cap - b.Spent - l.spent; sum > left {
			return b, false
		}
	}
	return Budget{}, true
}

// hours is how many hours must be reserved anew so that a machine that is paid until a time may be used until another.
func hours(paid, until time.Time) int {
	missing := until.Sub(paid)
	if missing <= 0 {
		return 0
	}
	return int((missing + BillingPeriod - 1) / BillingPeriod)
}

// money is a sum for a person: two digits, four of what is less than a cent.
func money(millionths int64) string {
	if millionths < 10_000 {
		return fmt.Sprintf("%.4f", float64(millionths)/1e6)
	}
	return fmt.Sprintf("%.2f", float64(millionths)/1e6)
}
