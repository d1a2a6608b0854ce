package dashboard

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"sam/task"
)

// stateWords is what a state means to a person, and stateSigns a sign beside it, for whoever does not see colours.
var stateWords = map[task.State]string{
	task.Queued:     "Queued",
	task.Placing:    "Finding a machine",
	task.Preparing:  "Preparing the workspace",
	task.Running:    "Working",
	task.Waiting:    "Waiting for an answer",
	task.Publishing: "Publishing the result",
	task.Succeeded:  "Done",
	task.Failed:     "Did not work out",
	task.Cancelled:  "Stopped",
}

var stateSigns = map[task.State]string{
	task.Queued: "○", task.Placing: "◔", task.Preparing: "◑", task.Running: "●", task.Waiting: "?", task.Publishing: "◕",
	task.Succeeded: "✓", task.Failed: "✕", task.Cancelled: "■",
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// duration is a length of time as a person says it.
func duration(d time.Duration) string {
	if d >= 9950*time.Millisecond { // below, it is rounded to tenths
		d = d.Round(time.Second)
	}
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", max(0, d.Milliseconds()))
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
	}
}

func milliseconds(ms int64) string { return duration(time.Duration(ms) * time.Millisecond) }

// count is a number of tokens in three digits or so.
func count(n int64) string {
	switch {
	case n < 1000:
		return decimal(n)
	case n < 99_950:
		return fmt.Sprintf("%.1fk", float64(n)/1000)
	case n < 999_500:
		return fmt.Sprintf("%.0fk", float64(n)/1000)
	default:
		return fmt.Sprintf("%.1fM", float64(n)/1_000_000)
	}
}

// dollars is money in millionths of a US dollar.
func dollars(micro int64) string {
	if micro > 0 && micro < 100_000 {
		return fmt.Sprintf("$%.4f", float64(micro)/1e6)
	}
	return fmt.Sprintf("$%.2f", float64(micro)/1e6)
}

// size is a number of bytes.
func size(n int) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	default:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
}

// line is text as one line of at most n characters.
func line(words string, n int) string {
	words = strings.Join(strings.Fields(visible(head(words, 8*n))), " ")
	if utf8.RuneCountInString(words) > n {
		words = strings.TrimSpace(string([]rune(words)[:n-1])) + "…"
	}
	return words
}

// head is the first n bytes of s, or a few less so that no character is cut.
func head(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// rear is the end of s, of up to n bytes.
func rear(s string, n int) string {
	if len(s) <= n {
		return s
	}
	s = s[len(s)-n:]
	for s != "" && !utf8.RuneStart(s[0]) {
		s = s[1:]
	}
	return s
}

// name is what a task is called: the title of its issue, or else its request.
func name(t task.Task) string {
	if t.Title != "" {
		return line(t.Title, 120)
	}
	return line(t.Request, 120)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
func clock(t time.Time) string { return t.UTC().Format("15:04:05") }
func day(t time.Time) string   { return t.UTC().Format("2 Jan, 15:04:05") } // as live.js writes it on the reader's clock

func sign(s task.State) string { return stateSigns[s] }

func words(s task.State) string {
	if w, ok := stateWords[s]; ok {
		return w
	}
	return string(s)
}
