package gateway

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sam/agent/wire"
)

func TestABootIsLoggedWithEachStepsTime(t *testing.T) {
	t.Parallel()
	made := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		boot *wire.Boot
		want map[string]any
	}{
		"of a new machine": {
			&wire.Boot{Made: made, Began: made.Add(time.Hour), Steps: []wire.BootStep{{Name: "program", MS: 900}, {Name: "swap", MS: 3, Error: "no mkswap"}}},
			map[string]any{
				"steps_ms": map[string]any{"program": 900., "swap": 3.}, "total_ms": 903., "left_out": []any{"swap"}, "ready_ms": 14_000., "again": false,
			},
		},
		"of one that has restarted": {
			&wire.Boot{Made: made.Add(-time.Hour), Again: true, Steps: []wire.BootStep{{Name: "disk", MS: 40}}},
			map[string]any{"steps_ms": map[string]any{"disk": 40.}, "total_ms": 40., "again": true},
		},
		"that says nothing": {&wire.Boot{}, map[string]any{"steps_ms": map[string]any{}, "total_ms": 0., "again": false}},
	} {
		var log bytes.Buffer
		logBoot(zerolog.New(&log).WithContext(t.Context()), c.boot, made.Add(14*time.Second))
		var got map[string]any
		if err := json.Unmarshal(log.Bytes(), &got); err != nil {
			t.Fatalf("%s: %v in %s", name, err, log.String())
		}
		c.want["level"], c.want["message"] = "info", "the node's machine has booted"
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %s", name, log.String())
		}
	}
}

func TestANodeCannotFloodTheLogWithItsBoot(t *testing.T) {
	t.Parallel()
	long := wire.BootStep{Name: strings.Repeat("a", 1<<10), Error: strings.Repeat("b", 1<<10)}
	var log bytes.Buffer
	ctx := zerolog.New(&log).WithContext(t.Context())
	logBoot(ctx, nil, time.Now())
	if log.Len() > 0 {
		t.Errorf("without a boot it logs %s", log.String())
	}
	boot := &wire.Boot{}
	for range 1000 {
		boot.Steps = append(boot.Steps, long)
	}
	logBoot(ctx, boot, time.Now())
	if log.Len() > 6<<10 {
		t.Errorf("it logs %d bytes", log.Len())
	}
}
