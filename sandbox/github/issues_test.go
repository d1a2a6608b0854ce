package github_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	gogithub "github.com/google/go-github/v62/github"

	"sam/sandbox/github"
)

func TestIssuesAreOpenedEditedClosedAndReopened(t *testing.T) {
	w := newWorld(t)
	ctx, robin := t.Context(), w.asUser("robin")

	is, res, err := robin.Issues.Create(ctx, "octo", "hello", &gogithub.IssueRequest{Title: ptr("Slow"), Body: ptr("It is slow."), Labels: &[]string{"bug", "fresh"}})
	w.check(err)
	if res.StatusCode != 201 || is.GetNumber() != 1 || is.GetUser().GetLogin() != "robin" || is.GetAuthorAssociation() != "COLLABORATOR" || len(is.Labels) != 2 {
		t.Errorf("created %v", is)
	}
	is, _, err = robin.Issues.Edit(ctx, "octo", "hello", 1, &gogithub.IssueRequest{Title: ptr("Slower"), State: ptr("closed"), StateReason: ptr("not_planned")})
	w.check(err)
	if is.GetTitle() != "Slower" || is.GetState() != "closed" || is.GetStateReason() != "not_planned" || is.GetClosedBy().GetLogin() != "robin" || is.ClosedAt == nil {
		t.Errorf("closed %v", is)
	}
	is, _, err = robin.Issues.Edit(ctx, "octo", "hello", 1, &gogithub.IssueRequest{State: ptr("open")})
	w.check(err)
	if is.GetState() != "open" || is.ClosedAt != nil {
		t.Errorf("reopened %v", is)
	}
	if _, res, err := robin.Issues.Get(ctx, "octo", "hello", 2); err == nil || res.StatusCode != 404 {
		t.Errorf("an issue that is not there: %v", err)
	}
	_, res, err = w.asUser("stranger").Issues.Edit(ctx, "octo", "hello", 1, &gogithub.IssueRequest{State: ptr("closed")})
	if err == nil || res.StatusCode != 403 {
		t.Errorf("a stranger closing: %v", err)
	}
}

func TestAnAppActsAsItsBot(t *testing.T) {
	w := newWorld(t)
	ctx, bot := t.Context(), w.asBot()
	_, err := w.hub.CreateIssue("robin", "octo", "hello", "Slow", "")
	w.check(err)
	c, _, err := bot.Issues.CreateComment(ctx, "octo", "hello", 1, &gogithub.IssueComment{Body: ptr("On it.")})
	w.check(err)
	if c.GetUser().GetLogin() != "helper-app[bot]" || c.GetUser().GetType() != "Bot" || c.GetAuthorAssociation() != "NONE" {
		t.Errorf("comment by %v", c.GetUser())
	}
	raw := w.ask(http.MethodGet, w.api(fmt.Sprintf("/repos/octo/hello/issues/comments/%d", c.GetID())), "")
	if !strings.Contains(string(raw.body), `"performed_via_github_app":{`) || !strings.Contains(string(raw.body), `"slug":"helper-app"`) {
		t.Errorf("comment: %s", raw.body)
	}
	list, err := w.hub.Comments("octo", "hello", 1)
	w.check(err)
	if len(list) != 1 || list[0].App != "helper-app" || list[0].Author.Type != "Bot" {
		t.Errorf("comments: %+v", list)
	}
}

func TestCommentsAreEditedAndDeletedByTheirAuthorsAndWriters(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	_, err := w.hub.CreateIssue("stranger", "octo", "hello", "Slow", "")
	w.check(err)
	mine, _, err := w.asUser("stranger").Issues.CreateComment(ctx, "octo", "hello", 1, &gogithub.IssueComment{Body: ptr("one")})
	w.check(err)
	theirs, _, err := w.asUser("robin").Issues.CreateComment(ctx, "octo", "hello", 1, &gogithub.IssueComment{Body: ptr("two")})
	w.check(err)

	all, _, err := w.asBot().Issues.ListComments(ctx, "octo", "hello", 0, &gogithub.IssueListCommentsOptions{Direction: ptr("desc")})
	w.check(err)
	if len(all) != 2 || all[0].GetBody() != "two" {
		t.Errorf("all of the repository: %v", all)
	}
	w.clock.advance(time.Minute)
	late := w.clock.now()
	if list, _, err := w.asBot().Issues.ListComments(ctx, "octo", "hello", 1, &gogithub.IssueListCommentsOptions{Since: &late}); err != nil || len(list) != 0 {
		t.Errorf("since now: %v %v", list, err)
	}
	edit := &gogithub.IssueComment{Body: ptr("edited")}
	stranger := w.asUser("stranger")
	if got, _, err := stranger.Issues.EditComment(ctx, "octo", "hello", mine.GetID(), edit); err != nil || got.GetBody() != "edited" {
		t.Errorf("one's own: %v", err)
	}
	if _, res, err := stranger.Issues.EditComment(ctx, "octo", "hello", theirs.GetID(), edit); err == nil || res.StatusCode != 403 {
		t.Errorf("another's: %v", err)
	}
	if res, err := w.asUser("robin").Issues.DeleteComment(ctx, "octo", "hello", mine.GetID()); err != nil || res.StatusCode != 204 {
		t.Errorf("a writer deleting: %v", err)
	}
	if _, res, err := stranger.Issues.GetComment(ctx, "octo", "hello", mine.GetID()); err == nil || res.StatusCode != 404 {
		t.Errorf("the deleted one: %v", err)
	}
}

func TestABodyHasABound(t *testing.T) {
	w := newWorld(t)
	_, err := w.hub.CreateIssue("robin", "octo", "hello", "Slow", "")
	w.check(err)
	robin := w.asUser("robin")
	full := strings.Repeat("é", 65536)
	if _, _, err := robin.Issues.CreateComment(t.Context(), "octo", "hello", 1, &gogithub.IssueComment{Body: ptr(full)}); err != nil {
		t.Errorf("65,536 characters: %v", err)
	}
	_, res, err := robin.Issues.CreateComment(t.Context(), "octo", "hello", 1, &gogithub.IssueComment{Body: ptr(full + "x")})
	if err == nil || res.StatusCode != 422 || !strings.Contains(err.Error(), "body is too long (maximum is 65536 characters)") {
		t.Errorf("one more: %v", err)
	}
	_, err = w.hub.CreateComment("robin", "octo", "hello", 1, full+"x")
	var refusal *github.Error
	if !errors.As(err, &refusal) || refusal.Status != 422 || refusal.Fields[0].Code != "custom" {
		t.Errorf("by Go: %v", err)
	}
}

func TestReactionsAreThereOnce(t *testing.T) {
	w := newWorld(t)
	ctx, bot := t.Context(), w.asBot()
	_, err := w.hub.CreateIssue("robin", "octo", "hello", "Slow", "")
	w.check(err)
	c, err := w.hub.CreateComment("robin", "octo", "hello", 1, "/sam fix it")
	w.check(err)

	first, res, err := bot.Reactions.CreateIssueCommentReaction(ctx, "octo", "hello", c.ID, "eyes")
	w.check(err)
	if res.StatusCode != 201 {
		t.Errorf("the first: %d", res.StatusCode)
	}
	again, res, err := bot.Reactions.CreateIssueCommentReaction(ctx, "octo", "hello", c.ID, "eyes")
	w.check(err)
	if res.StatusCode != 200 || again.GetID() != first.GetID() {
		t.Errorf("the second: %d", res.StatusCode)
	}
	if _, _, err := w.asUser("robin").Reactions.CreateIssueCommentReaction(ctx, "octo", "hello", c.ID, "eyes"); err != nil {
		t.Errorf("another's: %v", err)
	}
	if list, err := w.hub.Comments("octo", "hello", 1); err != nil || list[0].Reactions["eyes"] != 2 {
		t.Errorf("counted: %v %v", list, err)
	}
	if res, err := w.asUser("robin").Reactions.DeleteIssueCommentReaction(ctx, "octo", "hello", c.ID, first.GetID()); err == nil {
		t.Errorf("deleting another's: %d", res.StatusCode)
	}
	_, err = bot.Reactions.DeleteIssueCommentReaction(ctx, "octo", "hello", c.ID, first.GetID())
	w.check(err)
	if _, res, err = bot.Reactions.CreateIssueReaction(ctx, "octo", "hello", 1, "+1"); err != nil || res.StatusCode != 201 {
		t.Errorf("on an issue: %v", err)
	}
	got := w.ask(http.MethodPost, w.loose+"/api/v3/repos/octo/hello/issues/1/reactions", `{"content":"thumbs"}`, "Authorization: token "+w.token(nil))
	if got.status != 422 {
		t.Errorf("an unknown content: %d %s", got.status, got.body)
	}
}

func TestLabelsComeAndGoAndAreMadeWhenNew(t *testing.T) {
	w := newWorld(t)
	ctx, robin := t.Context(), w.asUser("robin")
	_, err := w.hub.CreateIssue("robin", "octo", "hello", "Slow", "")
	w.check(err)
	labels, _, err := robin.Issues.AddLabelsToIssue(ctx, "octo", "hello", 1, []string{"BUG", "sam"})
	w.check(err)
	if len(labels) != 2 || labels[0].GetName() != "bug" || labels[1].GetColor() != "ededed" {
		t.Errorf("labels: %v", labels)
	}
	if _, err := robin.Issues.RemoveLabelForIssue(ctx, "octo", "hello", 1, "sam"); err != nil {
		t.Errorf("removing: %v", err)
	}
	if res, err := robin.Issues.RemoveLabelForIssue(ctx, "octo", "hello", 1, "sam"); err == nil || res.StatusCode != 404 {
		t.Errorf("removing twice: %v", err)
	}
	if err := w.hub.AddLabel("stranger", "octo", "hello", 1, "sam"); err == nil {
		t.Error("a stranger may not label")
	}
	if _, res, err := w.asUser("stranger").Issues.AddLabelsToIssue(ctx, "octo", "hello", 1, []string{"sam"}); err == nil || res.StatusCode != 403 {
		t.Errorf("a stranger labelling: %v", err)
	}
	known, err := w.hub.Labels("octo", "hello")
	w.check(err)
	if !slices.ContainsFunc(known, func(l github.Label) bool { return l.Name == "sam" }) {
		t.Errorf("the repository's labels: %v", known)
	}
}

func TestALabelThatIsRefusedChangesNothing(t *testing.T) {
	w := newWorld(t)
	ctx, robin := t.Context(), w.asUser("robin")
	if _, res, err := robin.Issues.Create(ctx, "octo", "hello", &gogithub.IssueRequest{Title: ptr("x"), Labels: &[]string{"bug", " "}}); err == nil || res.StatusCode != 422 {
		t.Errorf("opened with a label of blanks: %v", err)
	}
	if list, err := w.hub.Issues("octo", "hello"); err != nil || len(list) != 0 {
		t.Errorf("there are %d issues, %v", len(list), err)
	}
	is := must(w.hub.CreateIssue("robin", "octo", "hello", "x", ""))
	w.check(w.hub.AddLabel("robin", "octo", "hello", is.Number, "bug"))
	if _, res, err := robin.Issues.ReplaceLabelsForIssue(ctx, "octo", "hello", is.Number, []string{strings.Repeat("long", 13)}); err == nil || res.StatusCode != 422 {
		t.Errorf("a label of 52 characters: %v", err)
	}
	if got := must(w.hub.Issue("octo", "hello", is.Number)); len(got.Labels) != 1 || got.Labels[0].Name != "bug" {
		t.Errorf("its labels are %v", got.Labels)
	}
}

func TestTheCollaboratorPermissionIsWhatGitHubSays(t *testing.T) {
	w := newWorld(t)
	_, err := w.hub.CreateUser("tria")
	w.check(err)
	_, err = w.hub.CreateUser("mainta")
	w.check(err)
	w.check(w.hub.SetCollaborator("octo", "hello", "tria", "triage"))
	w.check(w.hub.SetCollaborator("octo", "hello", "mainta", "maintain"))
	for _, tc := range []struct{ repo, login, permission, role string }{
		{"hello", "octo", "admin", "admin"},
		{"hello", "mainta", "write", "maintain"},
		{"hello", "robin", "write", "write"},
		{"hello", "tria", "read", "triage"},
		{"hello", "stranger", "read", "read"},
		{"secret", "stranger", "none", "none"},
		{"secret", "robin", "none", "none"},
	} {
		t.Run(tc.repo+"/"+tc.login, func(t *testing.T) {
			got, _, err := w.asBot().Repositories.GetPermissionLevel(t.Context(), "octo", tc.repo, tc.login)
			if err != nil {
				t.Fatal(err)
			}
			if got.GetPermission() != tc.permission || got.GetUser().GetRoleName() != tc.role || got.GetUser().GetLogin() != tc.login {
				t.Errorf("got %v", got)
			}
		})
	}
	if _, res, err := w.asBot().Repositories.GetPermissionLevel(t.Context(), "octo", "hello", "nobody"); err == nil || res.StatusCode != 404 {
		t.Errorf("an unknown user: %v", err)
	}
}

func TestAuthorAssociationIsPublicKnowledgeOnly(t *testing.T) {
	w := newWorld(t)
	_, err := w.hub.CreateOrganization("guild", "octo")
	w.check(err)
	w.check(w.hub.AddMember("guild", "robin"))
	w.repository(github.RepositorySpec{Owner: "guild", Name: "tools", Files: map[string][]byte{"a": []byte("a")}})
	for _, tc := range []struct{ owner, repo, login, want string }{
		{"octo", "hello", "octo", "OWNER"}, {"octo", "hello", "robin", "COLLABORATOR"}, {"octo", "hello", "stranger", "NONE"},
		{"guild", "tools", "robin", "NONE"}, {"guild", "tools", "octo", "CONTRIBUTOR"}, {"guild", "tools", "stranger", "NONE"},
	} {
		is, _, err := w.asUser(tc.login).Issues.Create(t.Context(), tc.owner, tc.repo, &gogithub.IssueRequest{Title: ptr("x")})
		w.check(err)
		if is.GetAuthorAssociation() != tc.want {
			t.Errorf("%s in %s/%s: %s, want %s", tc.login, tc.owner, tc.repo, is.GetAuthorAssociation(), tc.want)
		}
	}
}

func TestListsArePagedByLinks(t *testing.T) {
	w := newWorld(t)
	ctx, robin := t.Context(), w.asUser("robin")
	for i := range 7 {
		_, err := w.hub.CreateIssue("robin", "octo", "hello", fmt.Sprintf("Issue %d", i+1), "")
		w.check(err)
	}
	var seen []int
	opts := &gogithub.IssueListByRepoOptions{Direction: "asc", ListOptions: gogithub.ListOptions{PerPage: 3}}
	for {
		list, res, err := robin.Issues.ListByRepo(ctx, "octo", "hello", opts)
		w.check(err)
		for _, is := range list {
			seen = append(seen, is.GetNumber())
		}
		if res.NextPage == 0 {
			break
		}
		if res.LastPage != 3 {
			t.Errorf("last page: %d", res.LastPage)
		}
		opts.Page = res.NextPage
	}
	if !slices.Equal(seen, []int{1, 2, 3, 4, 5, 6, 7}) {
		t.Errorf("saw %v", seen)
	}
	got := w.ask(http.MethodGet, w.api("/repos/octo/hello/issues?per_page=3&page=2"), "")
	link := got.header.Get("Link")
	for _, rel := range []string{"prev", "next", "last", "first"} {
		if !strings.Contains(link, `rel="`+rel+`"`) {
			t.Errorf("no %s in %s", rel, link)
		}
	}
	if !strings.Contains(link, "<"+w.url+"/api/v3/repos/octo/hello/issues?page=3&per_page=3>") {
		t.Errorf("link: %s", link)
	}
	past := w.ask(http.MethodGet, w.api("/repos/octo/hello/issues?per_page=3&page=9"), "")
	if strings.TrimSpace(string(past.body)) != "[]" {
		t.Errorf("past the end: %s", past.body)
	}
}
