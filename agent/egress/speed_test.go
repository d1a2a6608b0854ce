package egress

import (
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"
)

// exchanges measures the median time for a few bytes to go to the other end and back.
func exchanges(t testing.TB, conn net.Conn) time.Duration {
	t.Helper()
	const rounds = 500
	took := make([]time.Duration, rounds)
	word := make([]byte, 64)
	for i := range took {
		began := time.Now()
		if _, err := conn.Write(word); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, word); err != nil {
			t.Fatal(err)
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took[rounds/2]
}

func TestATunnelAddsLessThanAMillisecondToWhatGoesThroughIt(t *testing.T) {
	i := newInternet(t)
	i.answers("origin.example", public)
	i.serve(public+":443", func(conn net.Conn) { _, _ = io.Copy(conn, conn) })
	_, address := i.proxy("open", nil, nil, func(o *Options) { o.Own = interfaces })
	const tries = 5 // others share the machine: the best counts
	for try := range tries {
		direct := exchanges(t, dialing(t, i.at[public+":443"]))
		conn := dialing(t, address)
		if status, why := asked(t, conn, tunnelTo("origin.example:443")); status != http.StatusOK {
			t.Fatal(status, why)
		}
		through := exchanges(t, conn)
		_ = conn.Close()
		var opening []time.Duration
		for range 50 {
			conn := dialing(t, address)
			began := time.Now()
			if status, why := asked(t, conn, tunnelTo("origin.example:443")); status != http.StatusOK {
				t.Fatal(status, why)
			}
			opening = append(opening, time.Since(began))
			_ = conn.Close()
		}
		slices.Sort(opening)
		half := opening[len(opening)/2]
		t.Logf("directly %s, through a tunnel %s, opening one %s", direct, through, half)
		added := through - direct
		if added <= time.Millisecond && half <= 5*time.Millisecond {
			return
		}
		if try == tries-1 {
			t.Errorf("a tunnel adds %s, and opening one takes %s", added, half)
		}
	}
}
