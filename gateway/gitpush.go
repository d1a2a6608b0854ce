package gateway

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// settleTime is how long the broker goes on, after the client is gone, to learn and record what became of a push.
const settleTime = 30 * time.Second

// receivePack admits one update of the granted branch and hands it on.
func (g *Git) receivePack(w http.ResponseWriter, r *gitRequest) {
	if r.sub != nil {
		drain(w, r)
		http.Error(w, onlyFetched(r.sub.FullName), http.StatusForbidden)
		return
	}
	if r.Header.Get("Content-Type") != "application/x-git-receive-pack-request" {
		http.Error(w, "this is not a git push request", http.StatusUnsupportedMediaType)
		return
	}
	over, err := g.turns.take(r.Context(), r.grant.Task)
	if err != nil {
		http.Error(w, "another push of this task is under way; try again when it is over", http.StatusServiceUnavailable)
		return
	}
	defer over()
	body, err := decodedBody(r.Request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnsupportedMediaType)
		return
	}
	list, err := readCommands(body, r.limits.Commands, r.limits.CommandBytes)
	if err != nil {
		r.log.Warn().Err(err).Msg("git push refused: command list")
		drain(w, r)
		http.Error(w, fmt.Sprintf("SAM refused this push: %v", err), http.StatusBadRequest)
		return
	}
	if len(list.commands) == 0 { // the probe
		w.Header().Set("Content-Type", "application/x-git-receive-pack-result")
		return
	}
	if !list.has("report-status") && !list.has("report-status-v2") {
		drain(w, r)
		http.Error(w, "SAM tells what became of a push in git's report; this client did not ask for one (report-status)", http.StatusBadRequest)
		return
	}

	pack := newUpload(body, r.limits.PackBytes)
	to := newReply(w, list, pack.done)
	if refusal := refuse(r.grant, list); refusal != nil {
		r.log.Info().Str("ref", list.commands[0].Ref).Int("refs", len(list.commands)).Str("reason", refusal(list.commands[0])).Msg("git push refused")
		to.refused(list.commands[0], refusal(list.commands[0]))
		_ = pack.stop() // how far it was read is no matter: it is refused
		drain(w, r)
		to.report(statusOK, list.commands, refusal)
		return
	}

	command := list.commands[0]
	log := r.log.With().Str("ref", command.Ref).Str("old", command.Old).Str("new", command.New).Logger()
	r.log = &log
	status := g.push(r, to, list, pack)
	if !errors.Is(pack.stop(), io.EOF) {
		drain(w, r)
	}
	if status == statusOK {
		log.Info().Msg("git push recorded")
	} else {
		log.Warn().Str("reason", status).Msg("git push failed")
		if !passing(status) {
			to.refused(command, status)
		}
	}
	to.report(statusOK, list.commands, func(gitCommand) string { return status })
}

// decodedBody undoes the body's Content-Encoding. The error is fit for the client.
func decodedBody(r *http.Request) (io.Reader, error) {
	switch encoding := strings.ToLower(r.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
		return r.Body, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, errors.New("the request says that it is gzip but it is not")
		}
		return z, nil
	default:
		return nil, fmt.Errorf("SAM does not read the content encoding %q; use gzip or none", oneLine(encoding))
	}
}

// refuse returns nil when list is one update of the granted branch, else what to say of each of its refs. A list is taken
// or refused whole.
func refuse(grant Grant, list commandList) func(gitCommand) string {
	admitted, isBranch := strings.CutPrefix(grant.Branch, "refs/heads/")
	reason := func(c gitCommand) string {
		name := strings.TrimPrefix(c.Ref, "refs/heads/")
		switch {
		case !isBranch || admitted == "":
			return "SAM has no branch for this task to push; tell whoever runs SAM"
		case c.Ref != grant.Branch:
			return fmt.Sprintf("SAM pushes only %s for this task, not %s; push with: git push origin HEAD:%s", admitted, name, grant.Branch)
		case c.Ref == grant.Base:
			return fmt.Sprintf("SAM never pushes to %s, the branch that the work goes to by a pull request", name)
		case c.deletes():
			return fmt.Sprintf("SAM does not delete branches; a person may delete %s once it is merged", admitted)
		case c.creates() && !grant.Rewrite:
			return fmt.Sprintf("SAM does not create %s, which somebody else made and which is gone; ask them", admitted)
		case list.has("push-options"):
			return "SAM passes no push options on; push without -o and without push.pushOption"
		}
		return ""
	}
	refused := len(list.commands) > 1
	for _, c := range list.commands {
		refused = refused || reason(c) != ""
	}
	if !refused {
		return nil
	}
	return func(c gitCommand) string {
		if why := reason(c); why != "" {
			return why
		}
		return fmt.Sprintf("refused because SAM takes one ref in a push; push %s alone", admitted)
	}
}

// push sends the first command of list and the pack upstream and records the outcome. It returns "ok", or the reason to
// tell.
func (g *Git) push(r *gitRequest, to *reply, list commandList, pack *upload) string {
	ctx, command, m := r.Context(), list.commands[0], g.remote(r, receivePackService)
	if r.ContentLength > r.limits.PackBytes+r.limits.CommandBytes {
		return tooLarge(r.limits)
	}
	if reason := g.standing(r, m, command); reason != "" {
		return reason
	}
	body, reason, err := g.admitPack(r, pack, command)
	switch {
	case err != nil && pack.tooLarge():
		return tooLarge(r.limits)
	case err != nil:
		r.log.Warn().Err(err).Msg("git push could not be checked")
		return brokeOff
	case reason != "":
		return reason
	}
	defer body.Close()
	if reason := g.begin(r, command); reason != "" {
		return reason
	}
	report := ""
	failed := g.exchanges(ctx, m, body.again, func(token string) error {
		report, err = g.send(r, m, to, upstreamCommands(list.shallow, command, list), body.reader(), token)
		return err
	})
	if failed != nil {
		switch read := pack.stop(); {
		case g.landed(ctx, r.grant, command, m):
			r.log.Warn().Err(failed).Msg("git push landed although upstream's answer was lost")
			return g.record(r, command)
		case errors.Is(read, errUploadTooLarge):
			return tooLarge(r.limits)
		case read != nil && !errors.Is(read, io.EOF):
			r.log.Warn().Err(read).Msg("git push broke off")
			return brokeOff
		}
		r.log.Warn().Err(failed).Msg("git push failed upstream")
		return couldNotPush(failed)
	}
	if report != statusOK {
		return advised(report, command)
	}
	return g.record(r, command)
}

// standing asks upstream at once where the branch is and whether it is guarded. It returns "" when the update may go on,
// else the reason.
func (g *Git) standing(r *gitRequest, m remote, c gitCommand) string {
	var why, tip string
	group, ctx := errgroup.WithContext(r.Context())
	group.Go(func() (err error) {
		if why, err = g.grants.Guarded(ctx, r.grant, !c.creates()); err != nil {
			return &upstreamError{message: "SAM cannot learn at the moment whether this branch is protected, and pushes to none that may be; try again shortly", cause: err}
		}
		return nil
	})
	group.Go(func() (err error) {
		tip, err = g.tip(ctx, r.grant, m)
		return err
	})
	err := group.Wait()
	switch {
	case why != "":
		return why
	case err != nil:
		e := asUpstreamError(err, "")
		r.log.Warn().Err(e).Msg("git push failed upstream")
		return couldNotPush(e)
	case tip != c.Old:
		return fmt.Sprintf("fetch first: the branch is at %.10s upstream, this push was made for %.10s", tip, c.Old)
	}
	return ""
}

func couldNotPush(e *upstreamError) string { return "SAM could not push: " + e.message }

const brokeOff = "SAM could not read this push to its end; try again"

func tooLarge(limits GitLimits) string {
	return fmt.Sprintf("this push is larger than SAM's limit of %d bytes; leave large files out of the history, or ask whoever runs SAM", limits.PackBytes)
}

// send posts one update and its pack. It returns upstream's word on the ref: "ok" or a reason.
func (g *Git) send(r *gitRequest, m remote, to *reply, commands []byte, pack io.ReadCloser, token string) (string, error) {
	body := struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(commands), pack), pack}
	req, err := upstreamRequest(r.Context(), m.url, http.MethodPost, "/"+receivePackService, body, token)
	if err != nil {
		return "", err
	}
	req.ContentLength = -1 // chunked: the list was written anew, and the pack may have come without a length
	req.Header.Set("Content-Type", "application/x-git-receive-pack-request")
	req.Header.Set("Accept", "application/x-git-receive-pack-result")
	resp, err := g.exchange(req, token, "application/x-git-receive-pack-result")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	report, err := relay(resp.Body, to)
	if err != nil {
		return "", err
	}
	for _, s := range report.CommandStatuses {
		if s.ReferenceName.String() == r.grant.Branch && (s.Status != statusOK || report.UnpackStatus == statusOK) {
			return s.Status, nil
		}
	}
	return "", fmt.Errorf("upstream's report does not settle %s (unpack %s)", r.grant.Branch, oneLine(report.UnpackStatus))
}

// landed says whether upstream has the update although it gave no usable answer. It asks even when the client is gone:
// git would find the branch up to date the next time, and the push would never be recorded.
func (g *Git) landed(ctx context.Context, grant Grant, c gitCommand, m remote) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	tip, err := g.tip(ctx, grant, m)
	return err == nil && tip == c.New
}

// begin notes a push that is about to go upstream, "" when it may: should nobody be left who can record what became of it,
// it is known what to look for.
func (g *Git) begin(r *gitRequest, c gitCommand) string {
	err := g.records.BeginPush(r.Context(), r.grant, c.Push)
	if err == nil {
		return ""
	}
	r.log.Warn().Err(err).Msg("git push could not be noted and was not begun")
	var forbidden *GitForbiddenError
	if errors.As(err, &forbidden) {
		return forbidden.Message
	}
	return "SAM could not note this push, so it was not begun; try again"
}

func (g *Git) record(r *gitRequest, c gitCommand) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), settleTime)
	defer cancel()
	err := g.records.RecordPush(ctx, r.grant, c.Push)
	if err == nil {
		return statusOK
	}
	r.log.Error().Err(err).Msg("git push landed upstream but was not recorded")
	var forbidden *GitForbiddenError
	if errors.As(err, &forbidden) {
		return forbidden.Message
	}
	return "SAM could not record this push, which reached the repository: try again, and it is found there"
}
