package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"sam/agent/wire"
	"sam/task"
)

// Bounds of a report that is believed.
const (
	maxBootReport = 64 << 10 // bytes
	maxBootSteps  = 32
	maxBootNote   = 300 // bytes
	maxBootWait   = time.Hour
)

// bootReport tells how this machine became a node, once after each boot to each: the server in the first hello that is
// welcomed, and the page of the first attempt. A report that is missing or damaged is not told, and no error.
type bootReport struct {
	path string // where `sam boot` wrote it; empty: nobody did
	told string // a file of the node's, with what was told

	mu sync.Mutex
}

// bootTold is what was told of a boot.
type bootTold struct {
	Began time.Time `json:"began"` // the report's, which names the boot
	Ready time.Time `json:"ready"` // when the server first welcomed the node after it; zero: not yet
	Page  bool      `json:"page"`  // an attempt's page has it
}

// forServer is the report until a server has welcomed the node with it; else nil.
func (r *bootReport) forServer(ctx context.Context) *wire.Boot {
	r.mu.Lock()
	defer r.mu.Unlock()
	boot, told := r.read(ctx)
	if boot == nil || !told.Ready.IsZero() {
		return nil
	}
	return boot
}

// welcomed notes that the server has had the report, which is when the node was ready.
func (r *bootReport) welcomed(ctx context.Context, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if boot, told := r.read(ctx); boot != nil && told.Ready.IsZero() {
		told.Ready = now.UTC()
		r.note(ctx, told)
	}
}

// tell puts the report on an attempt's page, unless an earlier attempt's has it.
func (r *bootReport) tell(ctx context.Context, emit func(task.Event) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	boot, told := r.read(ctx)
	if boot == nil || told.Page {
		return nil
	}
	for _, step := range bootSteps(boot, told.Ready) {
		if err := emit(task.Event{Kind: task.Stepped, Step: &step}); err != nil {
			return err
		}
	}
	told.Page = true
	r.note(ctx, told)
	return nil
}

// read returns the report, nil for none, and what was told of that boot.
func (r *bootReport) read(ctx context.Context) (*wire.Boot, bootTold) {
	if r.path == "" {
		return nil, bootTold{}
	}
	boot, err := readBoot(r.path)
	if err != nil {
		zerolog.Ctx(ctx).Debug().Err(err).Msg("how the machine booted is not told")
		return nil, bootTold{}
	}
	told := bootTold{Began: boot.Began}
	var before bootTold
	if text, err := os.ReadFile(r.told); err == nil && json.Unmarshal(text, &before) == nil && before.Began.Equal(boot.Began) {
		told = before
	}
	return boot, told
}

func readBoot(path string) (*wire.Boot, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the boot's report: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxBootReport))
	if err != nil {
		return nil, fmt.Errorf("read the boot's report: %w", err)
	}
	var boot wire.Boot
	if err := json.Unmarshal(text, &boot); err != nil {
		return nil, fmt.Errorf("read the boot's report: %w", err)
	}
	if boot.Began.IsZero() || len(boot.Steps) == 0 || len(boot.Steps) > maxBootSteps {
		return nil, errors.New("read the boot's report: it is not one of `sam boot`")
	}
	for i, step := range boot.Steps {
		boot.Steps[i].Note, boot.Steps[i].Error = keepHead(step.Note, maxBootNote), keepHead(step.Error, maxBootNote)
	}
	return &boot, nil
}

// note is lost with a disk that is full: then it is told twice.
func (r *bootReport) note(ctx context.Context, told bootTold) {
	text, err := json.Marshal(told)
	if err == nil {
		err = os.WriteFile(r.told+".new", text, 0o600)
	}
	if err == nil {
		err = os.Rename(r.told+".new", r.told)
	}
	if err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("how the machine booted will be told again")
	}
}

// bootSteps are a report as a page shows it: how long it took in all, then each step, and last what was neither's, which is the
// start of `sam node` itself. Times that cannot be are left out: a new machine's clock may be wrong until it is set.
func bootSteps(boot *wire.Boot, ready time.Time) []task.Step {
	ended := boot.Began
	var steps []task.Step
	for _, step := range boot.Steps {
		ended = ended.Add(time.Duration(step.MS) * time.Millisecond)
		note := step.Name
		switch {
		case step.Error != "":
			note += ": left out: " + step.Error
		case step.Note != "":
			note += ": " + step.Note
		}
		steps = append(steps, bootStep(step.MS, note))
	}
	first := bootStep(ended.Sub(boot.Began).Milliseconds(), "the machine has restarted")
	if !boot.Again {
		first.Note = "the machine is new"
		if wait := boot.Began.Sub(boot.Made); wait >= 0 && wait < maxBootWait {
			first.MS += wait.Milliseconds()
			first.Note += fmt.Sprintf(": its own work began %.1f s after it was ordered", wait.Seconds())
		}
	}
	if rest := ready.Sub(ended); rest >= 0 && rest < maxBootWait {
		first.MS += rest.Milliseconds()
		first.Note += fmt.Sprintf(", and it was ready %.1f s after its own work began", ready.Sub(boot.Began).Seconds())
		steps = append(steps, bootStep(rest.Milliseconds(), "the node: linked to the server"))
	}
	return append([]task.Step{first}, steps...)
}

func bootStep(ms int64, note string) task.Step {
	return task.Step{Name: task.StepBoot, MS: ms, Note: note}
}
