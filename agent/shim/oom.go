package shim

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// What sam node starts is given up before it when the machine's memory runs out: the kernel kills the process with the
// highest score, which is the share of the memory that it takes, in thousandths, and oom_score_adj of proc(5). That is
// inherited, so what keeps the node would keep its gits as well. sooner is by how much those count as larger than they are.
const (
	sooner    = 100
	mostScore = 1000
)

const scoreFile = "/proc/self/oom_score_adj"

// Expendable is the oom_score_adj of what is to go before this process.
func Expendable() int { return expendableTo(ownScore()) }

// expendableTo never protects: what is kept for the node's sake is the node alone.
func expendableTo(own int) int { return min(max(own, 0)+sooner, mostScore) }

// ownScore is 0, which is every process's that nobody has given another, where it cannot be read.
func ownScore() int {
	said, err := os.ReadFile(scoreFile)
	if err != nil {
		return 0
	}
	own, err := strconv.Atoi(strings.TrimSpace(string(said)))
	if err != nil {
		return 0
	}
	return own
}

// expend has what this process starts go before it until kept is called. Where that cannot be written the program is started
// all the same, as expendable as its guard.
func expend() (kept func()) {
	own := ownScore()
	write := func(score int) { _ = os.WriteFile(scoreFile, fmt.Append(nil, score), 0) }
	write(expendableTo(own))
	return func() { write(own) }
}
