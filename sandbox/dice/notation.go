package dice

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Read reads what a command line says of faults: JSON, which is decoded into faults,
// or a list such as "locked=0.1,answer_lost=2x,action_slow=1x/30s", of which entry
// gets the name and the value (see ParseValue) of each.
func Read(text string, faults any, entry func(name, value string) error) error {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "{") {
		if err := Decode([]byte(text), faults); err != nil {
			return fmt.Errorf("read the faults: %w", err)
		}
		return nil
	}
	for one := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(one), "=")
		err := errors.New("write it as kind=probability, or kind=3x for the next three")
		if ok {
			err = entry(name, value)
		}
		if err != nil {
			return fmt.Errorf("fault %q: %w", one, err)
		}
	}
	return nil
}

// ParseValue reads what an entry says of a kind: a probability (0.1) or how often it
// strikes before it is spent (2x), and behind a slash how long it lasts (/1.5s), 0
// where that is not said. It does not Check the odds.
func ParseValue(value string) (odds Odds, lasts time.Duration, err error) {
	often, span, timed := strings.Cut(value, "/")
	if count, counted := strings.CutSuffix(often, "x"); counted {
		odds.Next, err = strconv.Atoi(count)
	} else {
		odds.Probability, err = strconv.ParseFloat(often, 64)
	}
	if err == nil && timed {
		lasts, err = time.ParseDuration(span)
	}
	return odds, lasts, err
}

// Decode reads one JSON value and refuses fields that it has no place for.
func Decode(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one JSON value")
	}
	return nil
}

// Names lists kinds for people: "late, twin".
func Names[K ~string](kinds []K) string {
	names := make([]string, len(kinds))
	for i, kind := range kinds {
		names[i] = string(kind)
	}
	return strings.Join(names, ", ")
}
