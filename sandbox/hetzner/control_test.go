package hetzner_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"sam/sandbox/hetzner"
)

func TestTheStandInIsControlledOverHTTP(t *testing.T) {
	w := begin(t, hetzner.Options{})
	tell := func(want int, method, path, body string) string {
		t.Helper()
		status, answer := w.raw(t, method, "/_sandbox/"+path, "", body)
		if status != want {
			t.Errorf("%s %s: %d %s, want %d", method, path, status, answer, want)
		}
		return answer
	}
	tell(204, "POST", "tokens", `{"token":"made","project":"three"}`)
	if _, err := w.with("made").Server.All(t.Context()); err != nil {
		t.Error(err)
	}
	tell(422, "POST", "tokens", `{"token":"made","project":"three"}`)
	tell(204, "DELETE", "tokens", `{"token":"made"}`)
	_, err := w.with("made").Server.All(t.Context())
	wantCode(t, err, "unauthorized", 401)

	tell(204, "PUT", "limits", `{"servers":1}`)
	tell(204, "PUT", "stock", `{"type":"cx23","location":"fsn1","sold_out":true}`)
	_, _, err = w.client.Server.Create(t.Context(), order("a"))
	wantCode(t, err, "resource_unavailable", 412)
	tell(204, "PUT", "stock", `{"type":"cx23","location":"fsn1"}`)
	sv := w.create(t, order("a"))
	_, _, err = w.client.Server.Create(t.Context(), order("b"))
	wantCode(t, err, "resource_limit_exceeded", 403)
	tell(422, "PUT", "stock", `{"type":"cx23","location":"mars1"}`)
	tell(204, "DELETE", "types/cx23", "")
	tell(404, "DELETE", "types/cx23", "")
	if got := w.server(t, sv.ID); got.ServerType.Name != "cx23" {
		t.Errorf("a server keeps its type: %+v", got.ServerType)
	}

	tell(204, "PUT", "faults", `{"seed":3,"rules":[{"kind":"action_slow","next":1,"for":"2s"}]}`)
	tell(422, "PUT", "faults", `{"rules":[{"kind":"nonsense"}]}`)
	var report hetzner.FaultReport
	if err := json.Unmarshal([]byte(tell(200, "GET", "faults", "")), &report); err != nil || report.Seed != 3 || len(report.Rules) != 1 {
		t.Errorf("faults: %+v, %v", report, err)
	}
	tell(204, "DELETE", "faults", "")

	var history hetzner.History
	if err := json.Unmarshal([]byte(tell(200, "GET", "history", "")), &history); err != nil {
		t.Error(err)
	}
	if !reflect.DeepEqual(history, w.History()) || len(history.Servers) != 1 {
		t.Errorf("history: %+v", history)
	}
	var bill hetzner.Billing
	if err := json.Unmarshal([]byte(tell(200, "GET", "billing", "")), &bill); err != nil || bill.Net != 56 || len(bill.Lines) != 3 {
		t.Errorf("billing: %+v, %v", bill, err)
	}
	tell(422, "GET", "servers/"+idOf(sv.ID)+"/log", "")
	tell(404, "GET", "servers/1/log", "")
	tell(404, "DELETE", "servers/none/machine", "")
	tell(404, "GET", "nothing", "")
	tell(422, "PUT", "limits", `{"servers":1} x`)
}

func TestTheControlIsNotForPagesOfOtherOrigins(t *testing.T) {
	w := begin(t, hetzner.Options{})
	for header, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, w.url+"/_sandbox/limits", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(header, value)
		res, err := w.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if readAll(t, res); res.StatusCode < 400 {
			t.Errorf("%s: %s: %d", header, value, res.StatusCode)
		}
	}
}
