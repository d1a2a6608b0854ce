package gateway

import (
	"math"
	"strings"

	"sam/task"
)

// Price is what a model's tokens cost, in US dollars per million. CacheWrite is for entries that live five minutes,
// CacheWrite1h for an hour; 0 there means 1.6 times CacheWrite, as Anthropic has it for every model. Where LongAbove is not 0,
// the Long prices hold for a request whose prompt, cached or not, has more tokens than that.
type Price struct {
	Input, Output, CacheRead, CacheWrite, CacheWrite1h   float64
	LongAbove                                            int64
	LongInput, LongOutput, LongCacheRead, LongCacheWrite float64
}

// webSearchMicroUSD is what one search on Anthropic's side costs, whatever the model.
const webSearchMicroUSD = 10_000

// Prices are by the beginning of a model's name: the longest that fits counts.
type Prices map[string]Price

// of returns a model's price, or the dearest there is and false when none fits.
func (p Prices) of(model string) (Price, bool) {
	var found, dearest Price
	longest := ""
	for name, price := range p {
		if strings.HasPrefix(model, name) && len(name) > len(longest) {
			longest, found = name, price
		}
		if price.Output > dearest.Output || price.Output == dearest.Output && price.Input > dearest.Input {
			dearest = price
		}
	}
	if longest == "" {
		return dearest, false
	}
	return found, true
}

// metered is what one answer says that it used.
type metered struct {
	model                                              string
	input, output, cacheRead, cacheWrite, cacheWrite1h int64 // cacheWrite1h is a part of cacheWrite
	searches                                           int64
}

// cost is in millionths of a US dollar, which is what a token costs at one dollar per million.
func (p Price) cost(m metered) int64 {
	if p.LongAbove > 0 && m.input+m.cacheRead+m.cacheWrite > p.LongAbove {
		p.Input, p.Output, p.CacheRead, p.CacheWrite, p.CacheWrite1h = p.LongInput, p.LongOutput, p.LongCacheRead, p.LongCacheWrite, 0
	}
	if p.CacheWrite1h == 0 {
		p.CacheWrite1h = 1.6 * p.CacheWrite
	}
	hour := min(m.cacheWrite1h, m.cacheWrite)
	return int64(math.Ceil(float64(m.input)*p.Input+float64(m.output)*p.Output+float64(m.cacheRead)*p.CacheRead+
		float64(m.cacheWrite-hour)*p.CacheWrite+float64(hour)*p.CacheWrite1h)) + m.searches*webSearchMicroUSD
}

func (m metered) usage(price Price) task.Usage {
	return task.Usage{
		Model: m.model, Input: m.input, Output: m.output, CacheRead: m.cacheRead, CacheWrite: m.cacheWrite, MicroUSD: price.cost(m),
	}
}
