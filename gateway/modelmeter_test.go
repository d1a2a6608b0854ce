package gateway

import (
	"strings"
	"testing"
)

const streamed = `event: message_start
data: {"type":"message_start","message":{"model":"claude-opus-5-5","usage":{"input_tokens":8,"cache_creation_input_tokens":900,"cache_creation":{"ephemeral_1h_input_tokens":300},"cache_read_input_tokens":14000,"output_tokens":1}}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"{\"type\":\"message_delta\",\"usage\":{\"output_tokens\":9999}}"}}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":120,"server_tool_use":{"web_search_requests":2}}}

event: message_stop
data: {"type":"message_stop"}

`

var streamedUsage = metered{model: "claude-opus-5-5", input: 8, output: 120, cacheRead: 14000, cacheWrite: 900, cacheWrite1h: 300, searches: 2}

func meterOf(contentType, body string, piece int) *meter {
	m := newMeter(contentType)
	for len(body) > 0 {
		n := min(piece, len(body))
		_, _ = m.Write([]byte(body[:n]))
		body = body[n:]
	}
	m.end()
	return m
}

func TestUsageIsReadWhateverThePiecesThatAStreamComesIn(t *testing.T) {
	for _, piece := range []int{1, 7, 100, 1 << 20} {
		for _, body := range []string{streamed, strings.ReplaceAll(streamed, "\n", "\r\n")} {
			if m := meterOf("text/event-stream; charset=utf-8", body, piece); m.metered != streamedUsage || !m.seen {
				t.Errorf("in pieces of %d: %+v", piece, m.metered)
			}
		}
	}
}

func TestALineWithoutEndIsNotHeld(t *testing.T) {
	long := "data: " + strings.Repeat("x", 10<<20)
	m := newMeter("text/event-stream")
	for range 10 {
		_, _ = m.Write([]byte(long))
	}
	if cap(m.held) > 2*maxMeteredLine {
		t.Errorf("%d bytes are held", cap(m.held))
	}
	_, _ = m.Write([]byte("\n" + streamed))
	if m.end(); m.metered != streamedUsage {
		t.Errorf("after it: %+v", m.metered)
	}
}

func TestWhatIsNoUsageIsPassedOver(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":         "",
		"an error":        `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`,
		"a count":         `{"input_tokens":17}`,
		"not JSON":        "<html>",
		"too long a body": `{"type":"message","content":"` + strings.Repeat("x", maxMeteredBody) + `","usage":{"input_tokens":1}}`,
	} {
		if m := meterOf("application/json", body, 1<<16); m.seen {
			t.Errorf("%s: %+v", name, m.metered)
		}
	}
}

func TestTheLongestNameThatFitsSetsThePrice(t *testing.T) {
	for model, want := range map[string]float64{
		"claude-opus-5-5-20260901": 20, "claude-opus-5": 25, "claude-opus-5-20260101": 25, "claude-haiku-9": 5,
	} {
		if p, known := testPrices.of(model); p.Output != want || !known {
			t.Errorf("%s costs %v, %t", model, p.Output, known)
		}
	}
	if p, known := testPrices.of("gpt-9"); p.Output != 25 || known {
		t.Errorf("an unknown model costs %v, %t, want the dearest", p.Output, known)
	}
	if p, known := (Prices{}).of("claude-opus-5"); p != (Price{}) || known {
		t.Errorf("without prices it costs %+v, %t", p, known)
	}
}

func TestCostsAreReckonedInMillionthsOfADollar(t *testing.T) {
	opus := testPrices["claude-opus-5-5"]
	haiku := Price{Input: 0.1, Output: 0.5, CacheRead: 0.01, CacheWrite: 0.125,
		LongAbove: 100_000, LongInput: 0.5, LongOutput: 2.5, LongCacheRead: 0.05, LongCacheWrite: 0.625}
	for name, c := range map[string]struct {
		price Price
		used  metered
		want  int64
	}{
		// As Claude Code 2.1.330 itself reckons it: 0.1808238 dollars.
		"a run of Claude Code":       {opus, metered{input: 56, output: 3310, cacheRead: 98_924, cacheWrite: 18_923}, 180_824},
		"writes that live an hour":   {opus, metered{cacheWrite: 1000, cacheWrite1h: 400}, 600*5 + 400*8},
		"a price of its own for it":  {Price{CacheWrite: 5, CacheWrite1h: 6}, metered{cacheWrite: 100, cacheWrite1h: 100}, 600},
		"searches":                   {opus, metered{searches: 3}, 30_000},
		"a prompt at the long limit": {haiku, metered{input: 40_000, cacheRead: 60_000, output: 1000}, 4000 + 600 + 500},
		"a prompt beyond it":         {haiku, metered{input: 40_001, cacheRead: 60_000, output: 1000}, 20_001 + 3000 + 2500},
		"less than a millionth":      {haiku, metered{cacheRead: 1}, 1},
		"nothing":                    {opus, metered{}, 0},
	} {
		if got := c.price.cost(c.used); got != c.want {
			t.Errorf("%s costs %d, want %d", name, got, c.want)
		}
	}
}
