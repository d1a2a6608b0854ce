package simulator

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestATraceIsReadAsItWasWritten(t *testing.T) {
	want := Synthetic(17, 3)
	var file bytes.Buffer
	if err := want.WriteCSV(&file); err != nil {
		t.Fatal(err)
	}
	got, err := ReadCSV(want.Name, &file)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%d tasks, want the same %d", len(got.Arrivals), len(want.Arrivals))
	}
}

func TestABadTraceIsRefusedWithItsFileAndLine(t *testing.T) {
	const head = "at,account,repository,thread,seconds\n2026-01-05T09:00:00Z,1,2,a,60\n"
	for name, c := range map[string]struct{ text, says string }{
		"empty":                  {"", "t.csv:1: the file is empty"},
		"other columns":          {"time,thread\n", `t.csv:1: the columns are "time,thread"; they are to be "at,account,repository,thread,seconds"`},
		"no task":                {"at,account,repository,thread,seconds\n", "t.csv:2: there is no task in it"},
		"a value is missing":     {head + "2026-01-05T09:00:00Z,1,2,a\n", "t.csv:3: the line has 4 values"},
		"no time":                {head + "yesterday,1,2,a,60\n", `t.csv:3: at is "yesterday", not a time such as 2026-01-05T09:30:00Z`},
		"out of order":           {head + "2026-01-05T08:59:59Z,1,2,a,60\n", "t.csv:3: at is 2026-01-05T08:59:59Z, before that of the line above"},
		"no account":             {head + "2026-01-05T09:00:00Z,0,2,a,60\n", `t.csv:3: account is "0"`},
		"no repository":          {head + "2026-01-05T09:00:00Z,1,acme/web,a,60\n", `t.csv:3: repository is "acme/web"`},
		"no thread":              {head + "2026-01-05T09:00:00Z,1,2,,60\n", "t.csv:3: thread is empty"},
		"nothing to do":          {head + "2026-01-05T09:00:00Z,1,2,a,0\n", `t.csv:3: seconds is "0"`},
		"no number":              {head + "2026-01-05T09:00:00Z,1,2,a,NaN\n", `t.csv:3: seconds is "NaN"`},
		"a month":                {head + "2026-01-05T09:00:00Z,1,2,a,2600000\n", `t.csv:3: seconds is "2600000"`},
		"not CSV":                {head + "2026-01-05T09:00:00Z,1,2,\"a,60\n", "t.csv:3: not a line of CSV"},
		"the line is that of it": {head + "\n\n2026-01-05T09:00:00Z,1,2,a,x\n", "t.csv:5: seconds is"},
	} {
		if _, err := ReadCSV("t.csv", strings.NewReader(c.text)); err == nil || !strings.HasPrefix(err.Error(), c.says) {
			t.Errorf("%s: %v; want %s", name, err, c.says)
		}
	}
}

func FuzzATraceIsReadOrRefused(f *testing.F) {
	f.Add("at,account,repository,thread,seconds\n2026-01-05T09:00:00Z,1,2,a,60\n")
	f.Add("at,account,repository,thread,seconds\n\"")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ReadCSV("t.csv", strings.NewReader(text))
		if err != nil {
			if !strings.Contains(err.Error(), "t.csv") {
				t.Errorf("does not name the file: %v", err)
			}
			return
		}
		for i, a := range got.Arrivals {
			if a.Run <= 0 || a.Run > maxRun || a.Account < 1 || i > 0 && a.At.Before(got.Arrivals[i-1].At) {
				t.Errorf("task %d is %+v", i, a)
			}
		}
	})
}

// The model must stay what it was before policies were run on it, or what was tuned and what is held out lose their meaning.
func TestTheCommittedTracesAreWhatTheModelDraws(t *testing.T) {
	for _, rate := range []float64{17, 70} {
		for _, seed := range []uint64{1, 2, 1001, 1002} {
			trace := Synthetic(rate, seed)
			var want bytes.Buffer
			if err := trace.WriteCSV(&want); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile("../../../bench/traces/" + trace.Name + ".csv")
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want.Bytes()) {
				t.Errorf("%s is not what the model draws; it was drawn before the policies were chosen, and the model is not to be changed after", trace.Name)
			}
		}
	}
}

func TestTheModelsTasksComeAtTheRateInOfficeHoursAndInBursts(t *testing.T) {
	for _, rate := range []float64{17, 70} {
		tasks, office, night, weekend, sum := 0, 0, 0, 0, 0.0
		together, threads := 0, map[string]int{}
		const seeds = 40
		for seed := range uint64(seeds) {
			trace := Synthetic(rate, seed)
			sum += trace.Rate() / seeds
			for i, a := range trace.Arrivals {
				tasks++
				switch day, hour := a.At.Weekday(), a.At.Hour(); {
				case day == time.Saturday || day == time.Sunday:
					weekend++
				case hour >= 9 && hour < 18:
					office++
				case hour < 7:
					night++
				}
				if i >= 2 && a.At.Sub(trace.Arrivals[i-2].At) < time.Minute {
					together++
				}
				threads[trace.Name+string(a.Thread)]++
			}
		}
		part := func(n int) float64 { return float64(n) / float64(tasks) }
		perThread := float64(tasks) / float64(len(threads))
		if sum < 0.95*rate || sum > 1.05*rate || part(office) < 0.85 || part(night) > 0.02 || part(weekend) > 0.05 || part(together) < 0.08 || perThread < 1.6 || perThread > 2.2 {
			t.Errorf("%g tasks a day: %g; %.2f in office hours, %.3f at night, %.3f at weekends, %.2f in bursts, %.2f in a thread",
				rate, sum, part(office), part(night), part(weekend), part(together), perThread)
		}
	}
}
