package hetzner_test

import (
	"testing"
	"time"

	"sam/sandbox/hetzner"
)

func TestAnHourThatHasBegunIsPaid(t *testing.T) {
	clock := newClock()
	w := begin(t, hetzner.Options{Now: clock.now, Timing: hetzner.Brisk()})
	made, _, err := w.client.Server.Create(t.Context(), order("cheap"))
	if err != nil {
		t.Fatal(err)
	}
	see := func(hours int64, server, address, all hetzner.Money) {
		t.Helper()
		b := w.Billing()
		var got struct{ server, address hetzner.Line }
		for _, line := range b.Lines {
			switch {
			case line.Resource == "server":
				got.server = line
			case line.Type == "ipv4":
				got.address = line
			}
		}
		if got.server.Hours != hours || got.server.Net != server || got.address.Net != address || b.Net != all {
			t.Errorf("%d hours, %s + %s = %s; want %d, %s + %s = %s",
				got.server.Hours, got.server.Net, got.address.Net, b.Net, hours, server, address, all)
		}
	}
	see(1, 48, 8, 56)
	clock.pass(time.Hour)
	see(1, 48, 8, 56) // exactly an hour is one
	clock.pass(time.Second)
	see(2, 96, 16, 112)
	if _, _, err := w.client.Server.Poweroff(t.Context(), made.Server); err != nil {
		t.Fatal(err)
	}
	clock.pass(time.Hour)
	see(3, 144, 24, 168) // off costs the same
	if _, _, err := w.client.Server.DeleteWithResult(t.Context(), made.Server); err != nil {
		t.Fatal(err)
	}
	clock.pass(24 * time.Hour)
	see(3, 144, 24, 168)
	h := w.History()
	if len(h.Servers) != 1 || h.Servers[0].DeletedAt == nil || h.Servers[0].Status != "deleted" || h.Servers[0].Machine != "none" {
		t.Errorf("history: %+v", h.Servers)
	}
	if len(h.Calls) != 3 || h.Calls[0].Method != "POST" || h.Calls[0].Path != "/v1/servers" || h.Calls[0].Status != 201 || h.Calls[0].Project != "one" {
		t.Errorf("calls: %+v", h.Calls)
	}
}

func TestAMonthCostsNoMoreThanItsPrice(t *testing.T) {
	clock := newClock()
	clock.at = time.Date(2026, 1, 31, 22, 30, 0, 0, time.UTC)
	w := begin(t, hetzner.Options{Now: clock.now})
	if _, _, err := w.client.Server.Create(t.Context(), order("long")); err != nil {
		t.Fatal(err)
	}
	server := func() hetzner.Line {
		for _, line := range w.Billing().Lines {
			if line.Resource == "server" {
				return line
			}
		}
		t.Fatal("no line of the server")
		return hetzner.Line{}
	}
	clock.pass(90 * time.Minute)
	if got := server(); got.Hours != 2 || got.Net != 96 {
		t.Errorf("two hours began in January: %d, %s", got.Hours, got.Net)
	}
	clock.at = time.Date(2026, 3, 1, 0, 30, 0, 0, time.UTC)
	if got := server(); got.Hours != 2+672 || got.Net != 96+29_900 {
		t.Errorf("February is capped: %d, %s", got.Hours, got.Net)
	}
}
