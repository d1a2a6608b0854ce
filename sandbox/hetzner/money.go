package hetzner

import (
	"encoding/json"
	"fmt"

	"github.com/hetznercloud/hcloud-go/v2/hcloud/schema"
)

// Money is an amount in ten-thousandths of a euro, net.
type Money int64

// vat is added to net prices, in per cent.
const vat = 19

func (m Money) String() string { return fmt.Sprintf("%d.%04d", m/10_000, m%10_000) }

// MarshalJSON writes euros, as a string: "0.0048".
func (m Money) MarshalJSON() ([]byte, error) { return json.Marshal(m.String()) }

// UnmarshalJSON reads what MarshalJSON writes.
func (m *Money) UnmarshalJSON(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	var euros, rest int64
	if _, err := fmt.Sscanf(s, "%d.%04d", &euros, &rest); err != nil {
		return fmt.Errorf("%q is no amount such as 0.0048: %w", s, err)
	}
	*m = Money(euros*10_000 + rest)
	return nil
}

// price is an amount as the API writes it, net and with VAT.
func (m Money) price() schema.Price {
	gross := int64(m) * (100 + vat)
	return schema.Price{
		Net:   fmt.Sprintf("%s000000", m),
		Gross: fmt.Sprintf("%d.%06d0000", gross/1_000_000, gross%1_000_000),
	}
}

// Price is what something costs in one location: by the hour that has begun, but
// in a calendar month no more than Monthly.
type Price struct {
	Hourly, Monthly Money
}
