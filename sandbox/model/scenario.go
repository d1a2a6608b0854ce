package model

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// Scenario names a script.
type Scenario string

// The scenarios; the package comment says what each does.
const (
	Work       Scenario = "work"
	Steps      Scenario = "steps"
	Ask        Scenario = "ask"
	Slow       Scenario = "slow"
	Limited    Scenario = "limited"
	Dead       Scenario = "dead"
	Hang       Scenario = "hang"
	Half       Scenario = "half"
	Overloaded Scenario = "overloaded"
	Forge      Scenario = "forge"
	Big        Scenario = "big"
	Daemon     Scenario = "daemon"
	Noop       Scenario = "noop"
)

// Scenarios are all of them.
func Scenarios() []Scenario {
	return []Scenario{Work, Steps, Ask, Slow, Limited, Dead, Hang, Half, Overloaded, Forge, Big, Daemon, Noop}
}

// Does says in a line what a scenario does, empty for one that does not exist.
func (s Scenario) Does() string {
	return map[Scenario]string{
		Work:       "adds rate limiting to `/api/upload` in the demo repository, runs the tests and commits",
		Steps:      "takes twelve steps that only look, with words between",
		Ask:        "asks a question, and does the work with the answer",
		Slow:       "says a long text in pieces, ten a second; “scenario slow 200” makes it 200 pieces",
		Limited:    "is refused twice, with 429 and then 529, and recovers",
		Dead:       "fails with 500, for good",
		Hang:       "never answers",
		Half:       "breaks off in the middle of an answer, every time",
		Overloaded: "ends in an error in the middle of an answer, every time",
		Forge:      "says what pages and logs must survive: hostile Markdown, HTML, terminal sequences, false markers",
		Big:        "has a command print very much; “scenario big 200000 lines” or “10 MB” says how much",
		Daemon:     "leaves a process behind that outlives the command which started it",
		Noop:       "claims that the work is done, and does nothing",
	}[s]
}

// amount is the number that follows the scenario's name, with the rest of its line; 0 when there is none.
func (t *turn) amount(name Scenario) (n int, unit string) {
	pattern := regexp.MustCompile(`(?i)scenario[ :=]+["'“\x60]?` + string(name) + `["'”\x60]? +(\d{1,9}) *([a-z]*)`)
	all := pattern.FindAllStringSubmatch(t.request, -1)
	if len(all) == 0 {
		return 0, ""
	}
	last := all[len(all)-1]
	n, err := strconv.Atoi(last[1])
	if err != nil {
		return 0, ""
	}
	return n, strings.ToLower(last[2])
}

// answer decides what to say next. forced overrides the conversation's choice.
func (t *turn) answer(forced Scenario) (Scenario, answer) {
	name := forced
	if name == "" {
		name = t.choose()
	}
	switch name {
	case Limited:
		switch t.attempt() {
		case 0:
			return name, answer{fault: &fault{http.StatusTooManyRequests, "rate_limit_error",
				"This request would exceed your organization's rate limit. Please try again later."}}
		case 1:
			return name, answer{fault: overloaded()}
		}
		return name, closing("I was refused twice, first for a rate limit, then because the service was overloaded, and got through at last. Nothing was changed.")
	case Dead:
		return name, answer{fault: &fault{http.StatusInternalServerError, "api_error", "Internal server error"}}
	case Hang:
		return name, answer{hang: true}
	}
	if side, is := t.side(); is {
		return name, side
	}
	return name, t.script(name)
}

func (t *turn) script(name Scenario) answer {
	s := &script{turn: t}
	switch name {
	case Work:
		return s.work(uploadsPerSecond)
	case Ask:
		return s.ask()
	case Steps:
		return s.look()
	case Slow:
		return s.slowly()
	case Half, Overloaded:
		a := say(unfinished)
		a.ending = drops
		if name == Overloaded {
			a.ending = overloads
		}
		return a
	case Forge:
		return s.forge()
	case Big:
		return s.big()
	case Daemon:
		return s.daemon()
	case Noop:
		return s.end("Done. Rate limiting is in place and all tests pass.")
	}
	return say(t.unknown())
}

const unfinished = "I have begun to look at this, and what I found so far is that the handler takes whatever it is sent. " +
	"The next thing to do is to give each client a budget, and to refuse what goes beyond it; for that I need to"

// side answers what a client asks beside the conversation: a title, some JSON, a call of one certain tool.
func (t *turn) side() (answer, bool) {
	topic := strings.Join(strings.Fields(t.request), " ")
	topic = head(topic, 8)
	if topic == "" {
		topic = "A conversation"
	}
	switch {
	case t.forced != nil:
		input, ok := instance(t.forced.schema, topic).(map[string]any)
		if !ok {
			input = map[string]any{}
		}
		return answer{calls: []call{{t.forced, input}}}, true
	case t.schema != nil && len(t.steps) == 0 && t.offered == 0:
		return say(string(encode(instance(t.schema, topic)))), true
	case t.title:
		return say(topic), true
	}
	return answer{}, false
}
