package model_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"sam/sandbox/model"
)

func TestCloseEndsWhatIsHeld(t *testing.T) {
	for _, name := range []string{"slow", "hang"} {
		t.Run(name, func(t *testing.T) {
			s, c := serve(t, model.Options{Pace: time.Hour})
			done := make(chan error, 1)
			go func() {
				_, err := c.try(t.Context(), request("scenario "+name))
				done <- err
			}()
			s.Close()
			s.Close()
			if err := <-done; err == nil {
				t.Error("the request was answered")
			}
		})
	}
}

func TestHangAnswersNothingUntilTheClientGoes(t *testing.T) {
	_, c := serve(t, model.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if m, err := c.try(ctx, request("scenario hang")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%+v %v", m, err)
	}
}

func TestLimitedRefusesTwiceAndRecovers(t *testing.T) {
	for _, v := range []struct {
		name    string
		counted bool // the client says which retry this is
	}{{"for clients that count their retries", true}, {"for clients that do not", false}} {
		t.Run(v.name, func(t *testing.T) {
			_, c := serve(t, model.Options{})
			for try, want := range []int{http.StatusTooManyRequests, 529, http.StatusOK, http.StatusTooManyRequests, 529, http.StatusOK} {
				i := try % 3 // who asks the same again later is refused again
				c.header.Set("X-Stainless-Retry-Count", "0")
				if v.counted {
					c.header.Set("X-Stainless-Retry-Count", strconv.Itoa(i))
				}
				answer := c.post(t, "/v1/messages", request("scenario limited"))
				if answer.StatusCode != want {
					t.Fatalf("try %d: %s", i, answer.Status)
				}
				if after := answer.Header.Get("Retry-After"); (after != "") != (i == 0) {
					t.Errorf("try %d: Retry-After %q", i, after)
				}
				if want != http.StatusOK {
					if _, kind, _ := refused(t, answer); kind != []string{"rate_limit_error", "overloaded_error"}[i] {
						t.Errorf("try %d: %s", i, kind)
					}
				}
				answer.Body.Close()
			}
		})
	}
}

func TestDeadIsDeadForGood(t *testing.T) {
	_, c := serve(t, model.Options{})
	for range 5 {
		if status, kind, _ := refused(t, c.post(t, "/v1/messages", request("scenario dead"))); status != 500 || kind != "api_error" {
			t.Fatalf("%d %s", status, kind)
		}
	}
}

func TestHalfAnAnswerEndsBadly(t *testing.T) {
	for _, v := range []struct{ scenario, want string }{
		{"half", "unexpected EOF"}, {"overloaded", "overloaded_error: Overloaded"},
	} {
		t.Run(v.scenario, func(t *testing.T) {
			_, c := serve(t, model.Options{})
			body := request("scenario " + v.scenario)
			body["stream"] = true
			answer := c.post(t, "/v1/messages", body)
			defer answer.Body.Close()
			var raw strings.Builder
			m, err := readStream(io.TeeReader(answer.Body, &raw))
			if errors.Is(err, errCut) {
				_, err = io.ReadAll(answer.Body)
			}
			if err == nil || err.Error() != v.want {
				t.Errorf("ended with %v after %s", err, raw.String())
			}
			if m == nil || !strings.HasPrefix(m.text(), "I have begun") {
				t.Errorf("no half answer: %s", raw.String())
			}
		})
	}
	t.Run("without a stream", func(t *testing.T) {
		_, c := serve(t, model.Options{})
		answer := c.post(t, "/v1/messages", request("scenario half"))
		defer answer.Body.Close()
		if b, err := io.ReadAll(answer.Body); !errors.Is(err, io.ErrUnexpectedEOF) || len(b) == 0 {
			t.Errorf("%d bytes, %v", len(b), err)
		}
		if status, kind, _ := refused(t, c.post(t, "/v1/messages", request("scenario overloaded"))); status != 529 || kind != "overloaded_error" {
			t.Errorf("%d %s", status, kind)
		}
	})
}
