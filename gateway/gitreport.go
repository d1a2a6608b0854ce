package gateway

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"

	"sam/agent/wire"
)

const (
	maxReport    = 64 << 10                   // upstream's report on one ref
	maxHeld      = 64 << 10                   // progress that waits for the pack to be read; more is dropped
	maxReason    = 1000                       // of a reason, in bytes
	maxBandChunk = pktline.MaxPayloadSize - 1 // one byte names the band
	statusOK     = "ok"
)

// reply writes the answer to one push. Progress may be written first, the report once and last. The first write sends
// the header; until the pack is read progress waits, see upload.
type reply struct {
	w        http.ResponseWriter
	sideBand bool
	packRead <-chan struct{}
	started  bool
	held     bytes.Buffer // progress that came too early
}

func newReply(w http.ResponseWriter, client commandList, packRead <-chan struct{}) *reply {
	return &reply{w: w, sideBand: client.has("side-band-64k"), packRead: packRead}
}

func (p *reply) start() {
	if !p.started {
		p.started = true
		p.w.Header().Set("Content-Type", "application/x-git-receive-pack-result")
		p.w.Header().Set("Cache-Control", "no-cache, max-age=0, must-revalidate")
		p.w.WriteHeader(http.StatusOK)
		_, _ = p.held.WriteTo(p.w)
	}
}

// band writes data on one channel and flushes. Without a side band there is nowhere to put it. A client that is gone
// is no error here: the push goes on, and is recorded.
func (p *reply) band(channel sideband.Channel, data []byte) {
	if !p.sideBand {
		return
	}
	out := io.Writer(p.w)
	select {
	case <-p.packRead:
		p.start()
	default:
		if p.held.Len()+len(data) > maxHeld {
			return
		}
		out = &p.held
	}
	e := pktline.NewEncoder(out)
	for first := true; first || len(data) > 0; first = false { // no data is one empty packet: upstream's sign of life
		n := min(len(data), maxBandChunk)
		_ = e.Encode(channel.WithPayload(data[:n]))
		data = data[n:]
	}
	if p.started {
		_ = http.NewResponseController(p.w).Flush()
	}
}

// report tells what became of every ref: "ok", or a reason that git shows in brackets. Nobody may be reading the pack
// any more.
func (p *reply) report(unpack string, commands []gitCommand, status func(gitCommand) string) {
	rs := packp.NewReportStatus()
	rs.UnpackStatus = oneLine(unpack)
	for _, c := range commands {
		rs.CommandStatuses = append(rs.CommandStatuses, &packp.CommandStatus{
			ReferenceName: plumbing.ReferenceName(c.Ref),
			Status:        oneLine(status(c)),
		})
	}
	var report bytes.Buffer
	_ = rs.Encode(&report) // lines are shorter than a packet: ref names came in one, reasons are bounded
	p.start()
	if !p.sideBand {
		_, _ = p.w.Write(report.Bytes())
		return
	}
	p.band(sideband.PackData, report.Bytes())
	_ = pktline.NewEncoder(p.w).Flush()
}

// refused has the node tell the task's page of a refused update: in a trailer, since progress may have been written.
func (p *reply) refused(c gitCommand, reason string) {
	p.w.Header().Set(http.TrailerPrefix+wire.RefusedHeader, wire.Refused{
		Code: "push_refused", Subject: oneLine(c.Ref), Text: fmt.Sprintf("A push of %s was refused: %s.", oneLine(c.Ref), strings.TrimSuffix(oneLine(reason), ".")),
	}.Header())
}

// oneLine makes text fit for a line of the report.
func oneLine(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }), " ")
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return text
}

// relay passes upstream's progress on to the client while it comes, and holds its report back: the client
// hears of a success only after it is recorded.
func relay(upstream io.Reader, to *reply) (*packp.ReportStatus, error) {
	var report bytes.Buffer
	s := pktline.NewScanner(upstream)
	for s.Scan() {
		line := s.Bytes()
		if len(line) == 0 {
			break
		}
		switch channel, data := sideband.Channel(line[0]), line[1:]; channel {
		case sideband.PackData:
			if report.Len()+len(data) > maxReport {
				return nil, fmt.Errorf("upstream's report is longer than %d bytes", maxReport)
			}
			report.Write(data)
			if len(data) == 0 {
				to.band(sideband.PackData, nil)
			}
		case sideband.ProgressMessage:
			to.band(sideband.ProgressMessage, data)
		case sideband.ErrorMessage:
			return nil, fmt.Errorf("upstream gave up: %s", oneLine(string(data)))
		default:
			return nil, fmt.Errorf("upstream used the unknown side band %d", channel)
		}
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("read upstream's answer: %w", err)
	}
	rs := packp.NewReportStatus()
	if err := rs.Decode(&report); err != nil {
		return nil, fmt.Errorf("read upstream's report: %w", err)
	}
	return rs, nil
}
