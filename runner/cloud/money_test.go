package cloud_test

import (
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"sam/runner/cloud"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMoneyIsReadAsAPIsWriteItAndNeverTooLow(t *testing.T) {
	for text, want := range map[string]cloud.Money{
		"0.0060000000000000": 6_000, "4.5100000000000000": 4_510_000, "0": 0, "1e-7": 1, "0.00000149": 2, "12": 12_000_000,
	} {
		if got, err := cloud.ParseMoney(text); err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "a lot", "-1", "1e40", "0x", "NaN", "Inf"} {
		if got, err := cloud.ParseMoney(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
}

func TestMoneyThatIsShownIsReadBack(t *testing.T) {
	if got := cloud.Money(7_300).String(); got != "0.0073" {
		t.Errorf("7300 millionths are %s", got)
	}
	if got := cloud.Money(-2_500_000).String(); got != "-2.50" {
		t.Errorf("minus two and a half are %s", got)
	}
	rapid.Check(t, func(r *rapid.T) {
		m := cloud.Money(rapid.Int64Range(0, 1<<60).Draw(r, "millionths"))
		if back, err := cloud.ParseMoney(m.String()); err != nil || back != m {
			r.Errorf("%d is shown as %s and read as %d, %v", m, m, back, err)
		}
	})
}
