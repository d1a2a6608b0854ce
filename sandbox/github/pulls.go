package github

import (
	"fmt"
	"net/http"
	"strings"
)

// pullSpec is what one asks for when opening a pull request.
type pullSpec struct {
	title, body, head, base string
	draft                   bool
}

// openPull is called with mu held.
func (s *Server) openPull(by actor, r *repository, spec pullSpec) (*thread, error) {
	if err := checkTitle("PullRequest", spec.title); err != nil {
		return nil, err
	}
	if err := checkBody("PullRequest", spec.body); err != nil {
		return nil, err
	}
	branch := spec.head
	if owner, rest, qualified := strings.Cut(spec.head, ":"); qualified {
		if fold(owner) != fold(r.owner.login) {
			return nil, invalid(FieldError{Resource: "PullRequest", Field: "head", Code: "invalid"})
		}
		branch = rest
	}
	base := branchSHA(r.dir, spec.base)
	if base == "" {
		return nil, invalid(FieldError{Resource: "PullRequest", Field: "base", Code: "invalid"})
	}
	head := branchSHA(r.dir, branch)
	if head == "" {
		return nil, invalid(FieldError{Resource: "PullRequest", Field: "head", Code: "invalid"})
	}
	if r.openPull(branch, spec.base) != nil {
		return nil, invalid(FieldError{Resource: "PullRequest", Code: "custom",
			Message: fmt.Sprintf("A pull request already exists for %s:%s.", r.owner.login, branch)})
	}
	ahead, err := countCommits(r.dir, base+".."+head)
	if err != nil {
		return nil, fmt.Errorf("compare %s with %s: %w", spec.base, branch, err)
	}
	if ahead == 0 {
		return nil, invalid(FieldError{Resource: "PullRequest", Code: "custom",
			Message: fmt.Sprintf("No commits between %s and %s", spec.base, branch)})
	}
	if _, err := said(r.dir, "merge-base", base, head); err != nil {
		return nil, invalid(FieldError{Resource: "PullRequest", Code: "custom",
			Message: fmt.Sprintf("The %s branch has no history in common with %s", branch, spec.base)})
	}
	th := s.newThread(by, r, spec.title, spec.body)
	th.pull = &pull{
		id: s.newID(pullID), head: Ref{Branch: branch, SHA: head}, base: Ref{Branch: spec.base, SHA: base}, draft: spec.draft,
	}
	if err := s.refresh(th); err != nil {
		r.threads = r.threads[:len(r.threads)-1] // as if never asked for
		return nil, err
	}
	s.announceThread("opened", th, by, nil)
	return th, nil
}

// openPull finds the open pull request from one branch into another.
func (r *repository) openPull(head, base string) *thread {
	for _, th := range r.threads {
		if th.pull != nil && th.state == "open" && th.pull.head.Branch == head && th.pull.base.Branch == base {
			return th
		}
	}
	return nil
}

// refresh brings what is derived from git up to date with both SHAs: the ref
// refs/pull/N/head, the numbers, and whether it merges. With mu held.
func (s *Server) refresh(th *thread) error {
	p, dir := th.pull, th.repo.dir
	if _, err := runGit(dir, "update-ref", fmt.Sprintf("refs/pull/%d/head", th.number), p.head.SHA); err != nil {
		return fmt.Errorf("keep the head of pull request %d: %w", th.number, err)
	}
	count, err := countCommits(dir, p.base.SHA+".."+p.head.SHA)
	if err != nil {
		return fmt.Errorf("count the commits of pull request %d: %w", th.number, err)
	}
	files, err := pullFiles(dir, p.base.SHA, p.head.SHA)
	if err != nil {
		return fmt.Errorf("compare the branches of pull request %d: %w", th.number, err)
	}
	p.stats = pullStats{commits: count, files: len(files)}
	for _, f := range files {
		p.stats.additions += f.additions
		p.stats.deletions += f.removed
	}
	_, p.mergeable = mergeTree(dir, p.base.SHA, p.head.SHA)
	return nil
}

// pullFiles compares the head with where it left the base.
func pullFiles(dir, base, head string) ([]gitFile, error) {
	from, err := said(dir, "merge-base", base, head)
	if err != nil {
		return nil, err
	}
	return changedFiles(dir, from, head)
}

// mayReopen refuses to open a pull request again that has nowhere to go, and
// catches up with its branch otherwise. With mu held.
func (s *Server) mayReopen(th *thread) error {
	p, r := th.pull, th.repo
	cannot := func(why string) error {
		return invalid(FieldError{Resource: "PullRequest", Field: "state", Code: "invalid", Message: "state cannot be changed. " + why})
	}
	if p.merged {
		return cannot("The pull request is merged.")
	}
	head, base := branchSHA(r.dir, p.head.Branch), branchSHA(r.dir, p.base.Branch)
	switch {
	case head == "":
		return cannot(fmt.Sprintf("The %s branch has been deleted.", p.head.Branch))
	case base == "":
		return cannot(fmt.Sprintf("The %s branch has been deleted.", p.base.Branch))
	case r.openPull(p.head.Branch, p.base.Branch) != nil:
		return cannot(fmt.Sprintf("There is already an open pull request from %s:%s to %s:%s.",
			r.owner.login, p.head.Branch, r.owner.login, p.base.Branch))
	}
	p.head.SHA, p.base.SHA = head, base
	return s.refresh(th)
}

// rebase makes another branch the base of a pull request. With mu held.
func (s *Server) rebase(by actor, th *thread, base string) error {
	p, was := th.pull, th.pull.base
	sha := branchSHA(th.repo.dir, base)
	switch {
	case base == was.Branch:
		return nil
	case sha == "" || base == p.head.Branch:
		return invalid(FieldError{Resource: "PullRequest", Field: "base", Code: "invalid"})
	case th.state != "open":
		return invalid(FieldError{Resource: "PullRequest", Field: "base", Code: "invalid", Message: "Cannot change the base branch of a closed pull request."})
	case th.repo.openPull(p.head.Branch, base) != nil:
		return invalid(FieldError{Resource: "PullRequest", Field: "base", Code: "invalid", Message: fmt.Sprintf(
			"A pull request already exists for base branch '%s' and head branch '%s'", base, p.head.Branch)})
	}
	p.base = Ref{Branch: base, SHA: sha}
	if err := s.refresh(th); err != nil {
		p.base = was
		return err
	}
	th.updated = s.moment()
	s.announceThread("edited", th, by, object{"changes": object{
		"base": object{"ref": object{"from": was.Branch}, "sha": object{"from": was.SHA}},
	}})
	return nil
}

// mergeSpec is what one asks for when merging. Empty fields are GitHub's choice.
type mergeSpec struct{ title, message, sha, method string }

// merge makes a merge commit on the base branch. With mu and the repository's
// writing held.
func (s *Server) merge(by actor, th *thread, spec mergeSpec) error {
	p, r := th.pull, th.repo
	switch {
	case spec.sha != "" && spec.sha != p.head.SHA:
		return refuse(http.StatusConflict, "Head branch was modified. Review and try the merge again.")
	case th.state != "open" || p.draft || !p.mergeable:
		return refuse(http.StatusMethodNotAllowed, "Pull Request is not mergeable")
	case spec.method != "" && spec.method != "merge":
		return refuse(http.StatusMethodNotAllowed, strings.ToUpper(spec.method[:1])+spec.method[1:]+" merges are not allowed on this repository.")
	}
	tree, clean := mergeTree(r.dir, p.base.SHA, p.head.SHA)
	if !clean {
		return refuse(http.StatusMethodNotAllowed, "Pull Request is not mergeable")
	}
	if spec.title == "" {
		spec.title = fmt.Sprintf("Merge pull request #%d from %s/%s", th.number, r.owner.login, p.head.Branch)
	}
	if spec.message == "" {
		spec.message = th.title
	}
	env := []string{
		"GIT_AUTHOR_NAME=" + by.account.login, "GIT_AUTHOR_EMAIL=" + by.account.email(),
		"GIT_COMMITTER_NAME=GitHub", "GIT_COMMITTER_EMAIL=noreply@github.com",
		fmt.Sprintf("GIT_AUTHOR_DATE=%d +0000", s.moment().Unix()), fmt.Sprintf("GIT_COMMITTER_DATE=%d +0000", s.moment().Unix()),
	}
	out, err := runGitWith(r.dir, env, []byte(spec.title+"\n\n"+spec.message+"\n"),
		"commit-tree", "-p", p.base.SHA, "-p", p.head.SHA, tree)
	if err != nil {
		return fmt.Errorf("merge pull request %d: %w", th.number, err)
	}
	sha := strings.TrimSpace(string(out))
	before := p.base.SHA
	if _, err := runGit(r.dir, "update-ref", "refs/heads/"+p.base.Branch, sha, before); err != nil {
		return refuse(http.StatusConflict, "Base branch was modified. Review and try the merge again.")
	}
	s.merged(by, th, sha)
	return s.moved(by, r, []refUpdate{{ref: "refs/heads/" + p.base.Branch, before: before, after: sha}})
}

// merged closes a pull request as merged, and the issues that it closes when it
// went into the default branch. With mu held.
func (s *Server) merged(by actor, th *thread, sha string) {
	p := th.pull
	p.merged, p.mergedAt, p.mergedBy, p.mergeSHA, p.mergeable = true, s.moment(), by.account, sha, false
	th.repo.contributors[th.author.id] = true
	s.closeThread(by, th, "")
	s.announceThread("closed", th, by, nil)
	if p.base.Branch == th.repo.defaultBranch {
		s.closeMentioned(by, th.repo, th.body)
	}
}
