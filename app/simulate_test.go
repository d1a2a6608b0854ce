package app

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sam/runner/policy/simulator"
)

func TestThePlotIsWellFormedAndHoldsEveryPointWithinItsPanel(t *testing.T) {
	lines := []simulator.Line{
		{Policy: "fixed-30m", Rate: 17, ColdPct: 34.4, EURPer100: 0.681, BoundColdPct: 10, BoundEUR: 0.5, CI95: map[string][2]float64{"cold_pct": {30, 38}, "eur_per_100": {0.66, 0.70}}},
		{Policy: "hour-renew", Default: true, Rate: 17, ColdPct: 34.2, EURPer100: 0.680, BoundColdPct: 10, BoundEUR: 0.5},
		{Policy: "hour", Rate: 70, ColdPct: 0, EURPer100: 0, BoundColdPct: 0, BoundEUR: 0},
	}
	path := filepath.Join(t.TempDir(), "plot.svg")
	if err := drawLines(path, lines); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	circles := 0
	for decoder := xml.NewDecoder(bytes.NewReader(text)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "circle" {
			circles++
		}
	}
	if circles != len(lines) || strings.Contains(string(text), "ZgotmplZ") || strings.Contains(string(text), "NaN") {
		t.Errorf("%d points in\n%s", circles, text)
	}
	p := plotOf(lines)
	if len(p.Panels) != 2 {
		t.Fatalf("%d panels", len(p.Panels))
	}
	for _, panel := range p.Panels {
		for i, q := range panel.Points {
			if q.X < panel.Left || q.X > panel.Right || q.Y < panel.Top || q.Y > panel.Bottom || q.X2 > panel.Right || q.Y2 < panel.Top {
				t.Errorf("%s lies outside: %+v", q.Policy, q)
			}
			for _, other := range panel.Points[:i] {
				if q.label.over([]box{other.label}) > 0 {
					t.Errorf("the labels of %s and %s lie on each other", q.Policy, other.Policy)
				}
			}
			for _, other := range panel.Points {
				if q.label == (box{}) || q.label.over([]box{{other.X, other.Y, other.X + 1, other.Y + 1}}) > 0 {
					t.Errorf("the label of %s has no place, or hides the point of %s", q.Policy, other.Policy)
				}
			}
		}
	}
}
