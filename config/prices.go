package config

import (
	"math"
	"strconv"

	"github.com/goccy/go-yaml/ast"
)

// Price is what a model's tokens cost, in US dollars per million; see the keys of model.prices in docs/configuration.md.
type Price struct {
	Input, Output, CacheRead, CacheWrite, CacheWrite1h   float64
	LongAbove                                            int64 // tokens; 0: there are no prices for long prompts
	LongInput, LongOutput, LongCacheRead, LongCacheWrite float64
}

// Prices are by the beginning of a model's name; the longest that fits counts.
type Prices map[string]Price

// defaultPrices are Anthropic's list prices as Claude Code 2.1.330 carries them in its own catalog of models, read on
// 2026-11-23. They change, and an agreement may have others: a file's model.prices stand over them, model by model.
func defaultPrices() Prices {
	tier := func(input, output, cacheRead float64) Price {
		return Price{Input: input, Output: output, CacheRead: cacheRead, CacheWrite: 1.25 * input}
	}
	haiku := tier(0.1, 0.5, 0.01)
	haiku.LongAbove, haiku.LongInput, haiku.LongOutput, haiku.LongCacheRead, haiku.LongCacheWrite = 100_000, 0.5, 2.5, 0.05, 0.625
	return Prices{
		"claude-3-5-haiku":  tier(0.8, 4, 0.08),
		"claude-haiku-4-5":  tier(1, 5, 0.1),
		"claude-haiku-5-5":  haiku,
		"claude-3-5-sonnet": tier(3, 15, 0.3),
		"claude-3-7-sonnet": tier(3, 15, 0.3),
		"claude-sonnet-4":   tier(3, 15, 0.3), // 4, 4.5 and 4.6
		"claude-sonnet-5":   tier(2, 10, 0.2),
		"claude-sonnet-5-5": tier(2, 10, 0.1),
		"claude-opus-4":     tier(15, 75, 1.5), // 4 and 4.1
		"claude-opus-4-5":   tier(5, 25, 0.5),
		"claude-opus-4-6":   tier(5, 25, 0.5),
		"claude-opus-4-7":   tier(5, 25, 0.5),
		"claude-opus-4-8":   tier(5, 25, 0.5),
		"claude-opus-5":     tier(5, 25, 0.5),
		"claude-opus-5-5":   tier(4, 20, 0.2),
		"claude-fable-5":    tier(10, 50, 1),
		"claude-fable-5-1":  tier(10, 50, 0.25),
		"claude-fable-5-2":  tier(8, 40, 0.2),
		"claude-mythos-5":   tier(10, 50, 1),
		"claude-mythos-5-1": tier(10, 50, 0.25),
		"claude-mythos-5-2": tier(8, 40, 0.2),
	}
}

// maxPrice is beyond what any token costs, in US dollars per million, and keeps sums within their type.
const maxPrice = 100_000

// prices reads a table of models. One that the file names replaces a default of the same name whole.
func (f fileReader) prices(into Prices, key string, node ast.Node) error {
	return f.table(key, node, func(key, model string, node ast.Node) error {
		var p Price
		fields := map[string]*float64{
			"input": &p.Input, "output": &p.Output, "cache_read": &p.CacheRead, "cache_write": &p.CacheWrite, "cache_write_1h": &p.CacheWrite1h,
			"long_input": &p.LongInput, "long_output": &p.LongOutput, "long_cache_read": &p.LongCacheRead, "long_cache_write": &p.LongCacheWrite,
		}
		given := map[string]bool{}
		err := f.table(key, node, func(key, name string, node ast.Node) error {
			field := fields[name]
			if field == nil && name != "long_above" {
				return f.wrong(node, key, "is no setting")
			}
			given[name] = true
			scalar, is := node.(ast.ScalarNode)
			if !is {
				return f.wrong(node, key, "what stands here is not a number")
			}
			text := scalar.GetToken().Value
			if name == "long_above" {
				above, err := strconv.ParseInt(text, 10, 64)
				if err != nil || above < 1 {
					return f.wrong(node, key, text+" is not a number of tokens")
				}
				p.LongAbove = above
				return nil
			}
			dollars, err := strconv.ParseFloat(text, 64)
			if err != nil || math.IsNaN(dollars) || dollars < 0 || dollars > maxPrice {
				return f.wrong(node, key, text+" is not a price in US dollars per million tokens")
			}
			*field = dollars
			return nil
		})
		if err != nil {
			return err
		}
		needed := []string{"input", "output", "cache_read", "cache_write"}
		if given["long_above"] {
			needed = append(needed, "long_input", "long_output", "long_cache_read", "long_cache_write")
		}
		for _, name := range needed {
			if !given[name] {
				return f.wrong(node, key+"."+name, "is missing")
			}
		}
		into[model] = p
		return nil
	})
}

// table calls each with every entry of a mapping. Nothing behind its key is an empty one.
func (f fileReader) table(key string, node ast.Node, each func(key, name string, value ast.Node) error) error {
	var entries []*ast.MappingValueNode
	switch n := node.(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode:
	case *ast.MappingNode:
		entries = n.Values
	case *ast.MappingValueNode:
		entries = []*ast.MappingValueNode{n}
	default:
		return f.wrong(node, key, "has keys of its own, and what stands here is none")
	}
	for _, entry := range entries {
		name := entry.Key.GetToken().Value
		inner := key + "." + name
		if name == "" {
			return f.wrong(entry.Key, inner, "is no setting")
		}
		if err := each(inner, name, entry.Value); err != nil {
			return err
		}
	}
	return nil
}
