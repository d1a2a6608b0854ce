package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// Windows are times of the week at which machines are to be warm. A file alone can hold them.
type Windows []Window

// Window is one of them.
type Window struct {
	Days     []time.Weekday // on which it begins; none: on every day
	From, To time.Duration  // since midnight; To before From is on the next day
	Machines int
}

// weekdays are the names of days, by time.Weekday.
var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

var clock = regexp.MustCompile(`^([0-9]{2}):([0-9]{2})$`)

// windows reads a list of tables, which stands over the whole default.
func (f fileReader) windows(into *Windows, key string, node ast.Node) error {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		return f.wrong(node, key, notKind("", into))
	}
	*into = nil
	for _, item := range list.Values {
		w, err := f.window(key, item)
		if err != nil {
			return err
		}
		*into = append(*into, w)
	}
	return nil
}

func (f fileReader) window(key string, node ast.Node) (w Window, err error) {
	given := map[string]bool{}
	err = f.table(key, node, func(key, name string, node ast.Node) error {
		given[name] = true
		switch name {
		case "days":
			return f.days(&w.Days, key, node)
		case "from":
			return f.clock(&w.From, key, node)
		case "to":
			return f.clock(&w.To, key, node)
		case "machines":
			n, err := strconv.Atoi(scalarText(node))
			if err != nil || n < 1 || n > mostMachines {
				return f.wrong(node, key, fmt.Sprintf("%q is not a whole number from 1 to %d: for no machines leave the window out", scalarText(node), mostMachines))
			}
			w.Machines = n
			return nil
		}
		return f.wrong(node, key, "is no setting")
	})
	if err != nil {
		return w, err
	}
	for _, name := range []string{"from", "to", "machines"} {
		if !given[name] {
			return w, f.wrong(node, key+"."+name, "is missing")
		}
	}
	if w.From == w.To {
		return w, f.wrong(node, key+".to", "is when the window begins, so it would keep nothing warm; a whole day is from 00:00 to 24:00")
	}
	return w, nil
}

func (f fileReader) days(into *[]time.Weekday, key string, node ast.Node) error {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		return f.wrong(node, key, "is not a list of days: write [mon, tue, …]")
	}
	for _, item := range list.Values {
		at := -1
		for i, name := range weekdays {
			if scalarText(item) == name {
				at = i
			}
		}
		if at < 0 {
			return f.wrong(item, key, fmt.Sprintf("%q is none of %s", scalarText(item), strings.Join(weekdays, ", ")))
		}
		*into = append(*into, time.Weekday(at))
	}
	return nil
}

func (f fileReader) clock(into *time.Duration, key string, node ast.Node) error {
	text := scalarText(node)
	if parts := clock.FindStringSubmatch(text); parts != nil {
		hours, _ := strconv.Atoi(parts[1])   // two digits, by the expression
		minutes, _ := strconv.Atoi(parts[2]) // likewise
		at := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
		if minutes < 60 && at <= 24*time.Hour {
			*into = at
			return nil
		}
	}
	return f.wrong(node, key, fmt.Sprintf("%q is no time of a day: write it from 00:00 to 24:00, as in 08:30", text))
}

// scalarText is what stands in a node of one value, "" in others.
func scalarText(node ast.Node) string {
	if scalar, ok := node.(ast.ScalarNode); ok {
		return scalar.GetToken().Value
	}
	return ""
}
