package model

import (
	"unicode"
	"unicode/utf8"
)

// Usage counts tokens as the API reports them. Together Input, CacheCreation and CacheRead are the whole request.
type Usage struct {
	Input         int          `json:"input_tokens"`
	CacheCreation int          `json:"cache_creation_input_tokens"`
	CacheRead     int          `json:"cache_read_input_tokens"`
	ByTTL         CacheWritten `json:"cache_creation"`
	Output        int          `json:"output_tokens"`
	Tier          string       `json:"service_tier"`
}

// CacheWritten splits Usage.CacheCreation by how long the entry is kept.
type CacheWritten struct {
	FiveMinutes int `json:"ephemeral_5m_input_tokens"`
	Hour        int `json:"ephemeral_1h_input_tokens"`
}

func (u *Usage) add(v Usage) {
	u.Input += v.Input
	u.CacheCreation += v.CacheCreation
	u.CacheRead += v.CacheRead
	u.ByTTL.FiveMinutes += v.ByTTL.FiveMinutes
	u.ByTTL.Hour += v.ByTTL.Hour
	u.Output += v.Output
}

const (
	// minCached is the shortest prefix that the service caches, in tokens.
	minCached = 1024
	// What a message and a request cost beside their words, and what is put for an image or a document.
	perMessage, perRequest, perMedium = 4, 8, 1500
)

// count estimates how many tokens text has: one for each six letters of a word or part of it, three digits, other
// sign or letter beyond ASCII, and line break. For English prose and code that is within a fifth of real tokenizers.
func count(text string) int {
	tokens, letters, digits := 0, 0, 0
	for _, r := range text {
		switch {
		case r < utf8.RuneSelf && unicode.IsLetter(r):
			if letters%6 == 0 {
				tokens++
			}
			letters, digits = letters+1, 0
		case r < utf8.RuneSelf && unicode.IsDigit(r):
			if digits%3 == 0 {
				tokens++
			}
			letters, digits = 0, digits+1
		case r == ' ' || r == '\t' || r == '\r':
			letters, digits = 0, 0
		default:
			tokens++
			letters, digits = 0, 0
		}
	}
	return tokens
}

func countBlock(b block) int {
	switch b.Type {
	case "image", "document":
		return perMedium
	case "tool_use":
		return count(b.Name) + count(string(b.Input)) + perMessage
	case "tool_result":
		n := perMessage
		for _, inner := range b.Content {
			n += countBlock(inner)
		}
		return n
	}
	return count(b.Text) + count(b.Thinking)
}

// measure reckons what a request costs, its answer not included. Of the prefixes that cache_control marks, what lies
// before the last answer was sent with the previous request and counts as read; the rest up to the last mark is written.
func measure(r *request) Usage {
	total, marked, hour := 0, 0, false
	part := func(tokens int, mark *cache) {
		total += tokens
		if mark != nil {
			marked, hour = total, mark.TTL == "1h"
		}
	}
	for _, t := range r.Tools {
		part(count(t.Name)+count(t.Description)+count(string(t.Schema)), t.Cache)
	}
	for _, b := range r.System {
		part(countBlock(b), b.Cache)
	}
	before := 0
	for _, m := range r.Messages {
		if m.Role == "assistant" {
			before = total
		}
		total += perMessage
		for _, b := range m.Content {
			part(countBlock(b), b.Cache)
		}
	}
	total += perRequest // after the marks: some of a request is never cached
	u := Usage{Tier: "standard", Input: total}
	if marked < minCached {
		return u
	}
	if before >= minCached {
		u.CacheRead = min(before, marked)
	}
	u.CacheCreation = marked - u.CacheRead
	u.Input = total - marked
	if hour {
		u.ByTTL.Hour = u.CacheCreation
	} else {
		u.ByTTL.FiveMinutes = u.CacheCreation
	}
	return u
}
