package cloud

import (
	"fmt"
	"math/big"
)

// Money is an amount in millionths of a currency's unit: prices of an hour have four decimals and more, and sums of them are
// to be exact.
type Money int64

// Unit is one euro, where the currency is the euro.
const Unit Money = 1_000_000

// ParseMoney reads an amount as a decimal number, as APIs give it: "0.0060000000000000". What is below a millionth
// is rounded up.
func ParseMoney(text string) (Money, error) {
	amount, ok := new(big.Rat).SetString(text)
	if !ok || amount.Sign() < 0 {
		return 0, fmt.Errorf("%q is no amount of money", text)
	}
	amount.Mul(amount, big.NewRat(int64(Unit), 1))
	whole, rest := new(big.Int).QuoRem(amount.Num(), amount.Denom(), new(big.Int))
	if rest.Sign() > 0 {
		whole.Add(whole, big.NewInt(1))
	}
	if !whole.IsInt64() {
		return 0, fmt.Errorf("%q is more money than there is", text)
	}
	return Money(whole.Int64()), nil
}

// String shows units with as many decimals as it takes, two at least: 0.0073.
func (m Money) String() string {
	sign := ""
	if m < 0 {
		sign, m = "-", -m
	}
	text := fmt.Sprintf("%06d", m%Unit)
	for len(text) > 2 && text[len(text)-1] == '0' {
		text = text[:len(text)-1]
	}
	return fmt.Sprintf("%s%d.%s", sign, m/Unit, text)
}
