package app

import (
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"math"
	"os"

	"sam/runner/policy/simulator"
)

//go:embed simulate.svg.tmpl
var plotText string

// The plot's measures, in pixels.
const (
	panelWidth, panelHeight = 440.0, 320.0
	panelLeft, panelTop     = 70.0, 50.0
	panelGap                = 90.0
	labelHeight             = 15.0
)

type plot struct {
	Width, Height float64
	Panels        []panel
}

// panel is one rate: cost to the right, cold starts upwards, so that what is better is nearer to the lower left.
type panel struct {
	Rate                     float64
	Left, Top, Right, Bottom float64
	XTicks, YTicks           []tick
	Points                   []point
}

type tick struct {
	At   float64
	Text string
}

type point struct {
	Policy               string
	Default              bool
	X, Y                 float64
	X1, X2, Y1, Y2       float64 // confidence intervals
	BoundX, BoundY       float64
	Cold, Cost           string
	LabelX, LabelY, Size float64
	Anchor               string // start: the label is to the right of its point; end: to the left
	label                box
}

// drawLines draws cost against cold starts: a panel for each rate, a point with its confidence intervals for each policy, and
// the bounds that belong to it as thin lines.
func drawLines(path string, lines []simulator.Line) error {
	page, err := template.New("plot").Parse(plotText)
	if err != nil {
		return fmt.Errorf("read the plot's template: %w", err)
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(page.Execute(file, plotOf(lines)), file.Close())
}

func plotOf(lines []simulator.Line) plot {
	p := plot{Height: panelTop + panelHeight + 70}
	for start := 0; start < len(lines); {
		end := start
		for end < len(lines) && lines[end].Rate == lines[start].Rate {
			end++
		}
		left := panelLeft + float64(len(p.Panels))*(panelWidth+panelGap)
		p.Panels = append(p.Panels, panelOf(lines[start:end], left))
		p.Width = left + panelWidth + 40
		start = end
	}
	return p
}

func panelOf(lines []simulator.Line, left float64) panel {
	p := panel{Rate: lines[0].Rate, Left: left, Top: panelTop, Right: left + panelWidth, Bottom: panelTop + panelHeight}
	most, cold := 0.0, 0.0
	for _, l := range lines {
		most, cold = max(most, l.EURPer100, l.CI95["eur_per_100"][1]), max(cold, l.ColdPct, l.CI95["cold_pct"][1])
	}
	var xs, ys []float64
	most, xs = scale(most)
	cold, ys = scale(cold)
	x := func(v float64) float64 { return math.Round(10*(p.Left+v/most*panelWidth)) / 10 }
	y := func(v float64) float64 { return math.Round(10*(p.Bottom-v/cold*panelHeight)) / 10 }
	for _, v := range xs {
		p.XTicks = append(p.XTicks, tick{x(v), fmt.Sprintf("%.4g", v)})
	}
	for _, v := range ys {
		p.YTicks = append(p.YTicks, tick{y(v), fmt.Sprintf("%.4g %%", v)})
	}
	for _, l := range lines {
		q := point{
			Policy: l.Policy, Default: l.Default, X: x(l.EURPer100), Y: y(l.ColdPct), Size: 4,
			BoundX: x(l.BoundEUR), BoundY: y(l.BoundColdPct),
			Cold: fmt.Sprintf("%.1f %%", l.ColdPct), Cost: fmt.Sprintf("%.3f EUR", l.EURPer100),
		}
		q.X1, q.X2, q.Y1, q.Y2 = q.X, q.X, q.Y, q.Y
		if l.CI95 != nil {
			q.X1, q.X2 = x(l.CI95["eur_per_100"][0]), x(l.CI95["eur_per_100"][1])
			q.Y1, q.Y2 = y(l.CI95["cold_pct"][0]), y(l.CI95["cold_pct"][1])
		}
		if q.Default {
			q.Size = 6
		}
		p.Points = append(p.Points, q)
	}
	p.label()
	return p
}

// label finds a place for each point's name where it hides no point and no other name, and no cross where that can be had.
func (p *panel) label() {
	var taken, crosses []box
	for _, q := range p.Points {
		taken = append(taken, box{q.X - q.Size - 2, q.Y - q.Size - 2, q.X + q.Size + 2, q.Y + q.Size + 2})
		crosses = append(crosses, box{q.X1, q.Y - 1, q.X2, q.Y + 1}, box{q.X - 1, q.Y2, q.X + 1, q.Y1})
	}
	for i := range p.Points {
		q := &p.Points[i]
		most := math.Inf(1)
		for down := range 8 { // above and below by turns, further away each time
			y := q.Y - 8 - float64(down/2)*labelHeight
			if down%2 == 1 {
				y = q.Y + 18 + float64(down/2)*labelHeight
			}
			for _, side := range []string{"start", "end"} {
				at := labelAt(*q, y, side)
				if at.left < p.Left || at.right > p.Right+30 || at.top < p.Top-30 || at.bottom > p.Bottom {
					continue
				}
				if cost := 100*at.over(taken) + at.over(crosses); cost < most {
					most = cost
					q.LabelX, q.LabelY, q.Anchor, q.label = q.X+8, y, side, at
					if side == "end" {
						q.LabelX = q.X - 8
					}
				}
			}
		}
		taken = append(taken, q.label)
	}
}

// box is a rectangle of the plot, its top above its bottom.
type box struct{ left, top, right, bottom float64 }

// over is on how many others it lies.
func (b box) over(others []box) (n float64) {
	for _, o := range others {
		if b.left < o.right && o.left < b.right && b.top < o.bottom && o.top < b.bottom {
			n++
		}
	}
	return n
}

// labelAt is where a point's name would stand: 12 pixels high, and no wider than seven for each letter.
func labelAt(q point, y float64, side string) box {
	text := len(q.Policy)
	if q.Default {
		text += len(" (default)")
	}
	b := box{q.X + 8, y - 11, q.X + 8 + 7*float64(text), y + 3}
	if side == "end" {
		b.left, b.right = q.X-8-7*float64(text), q.X-8
	}
	return b
}

// scale is where an axis from 0 ends so that a value fits, and where it has its ticks.
func scale(value float64) (end float64, ticks []float64) {
	if !(value > 0) {
		value = 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(value)))
	step := unit
	for _, part := range []float64{0.1, 0.2, 0.5} {
		if value/(part*unit) <= 6 {
			step = part * unit
			break
		}
	}
	n := int(math.Ceil(value / step))
	for i := range n + 1 {
		ticks = append(ticks, float64(i)*step)
	}
	return float64(n) * step, ticks
}
