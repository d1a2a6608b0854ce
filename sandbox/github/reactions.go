package github

import (
	"fmt"
	"slices"
	"strings"
)

// reactionContents are the reactions that GitHub knows.
func reactionContents() []string {
	return []string{"+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"}
}

// react adds a reaction, or finds the one that this account left
// before. on is nil where the list is the thread's own. With mu held.
func (s *Server) react(by actor, th *thread, on *comment, content string) (r *reaction, fresh bool, err error) {
	list := &th.reactions
	if on != nil {
		list = &on.reactions
	}
	if content == "" {
		return nil, false, missing("content")
	}
	if !slices.Contains(reactionContents(), content) {
		return nil, false, invalid(FieldError{Resource: "Reaction", Field: "content", Code: "invalid",
			Message: fmt.Sprintf("%s is not one of %s", content, strings.Join(reactionContents(), ", "))})
	}
	for _, one := range *list {
		if one.user == by.account && one.content == content {
			return one, false, nil
		}
	}
	r = &reaction{id: s.newID(reactionID), content: content, user: by.account, thread: th, comment: on, created: s.moment()}
	*list = append(*list, r)
	s.past.reactions = append(s.past.reactions, r)
	return r, true, nil
}
