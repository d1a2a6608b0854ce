package simulation

import (
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	flag.Parse()
	for name, ours := range map[string]string{
		"rapid.checks":     cases(),
		"rapid.nofailfile": "true", // the seed says enough
		"rapid.shrinktime": "20s",
		"rapid.seed":       strconv.FormatUint(firstSeed(), 10),
	} {
		if f := flag.Lookup(name); f.Value.String() == f.DefValue { // nobody asked for another
			if err := f.Value.Set(ours); err != nil {
				panic(err)
			}
		}
	}
	goleak.VerifyTestMain(m)
}

// everySeed is the one of an ordinary run: a change is judged by the cases that the one before it was judged by. New cases
// are for SAM_SIMULATION=all, or for who names a seed.
const everySeed = 20261123

func firstSeed() uint64 {
	if all() {
		return rand.Uint64N(1<<62) + 1
	}
	return everySeed
}

// cases is how many random cases are tried: rapid's own hundred are for code that takes no time.
func cases() string {
	if all() {
		return "100"
	}
	return "5"
}

// all reports whether everything is to be tried, not a sample: SAM_SIMULATION=all.
func all() bool { return os.Getenv("SAM_SIMULATION") == "all" }

// logged has what happens logged to the test's output where SAM_SIMULATION_LOG is set; else what every run says would
// bury what one of them did wrong.
func logged(ctx context.Context) context.Context {
	log := zerolog.Nop()
	if os.Getenv("SAM_SIMULATION_LOG") != "" {
		log = zerolog.New(zerolog.ConsoleWriter{Out: os.Stderr, NoColor: true, TimeFormat: "15:04:05.000"}).With().Timestamp().Logger()
	}
	return log.WithContext(ctx)
}
