package task

import (
	"encoding/json"
	"fmt"
)

// EffectKind is what an effect does on GitHub.
type EffectKind string

// The kinds, in the order in which they are delivered when several are due: what a person waits for comes first.
const (
	EffectQuestion EffectKind = "question" // a comment that asks what the agent cannot go on without
	EffectClosing  EffectKind = "closing"  // the one comment that tells how a task ended
	EffectReply    EffectKind = "reply"    // a comment to someone whose words made no task
	EffectReaction EffectKind = "reaction" // on the comment or the issue that asked
	EffectStatus   EffectKind = "status"   // the task's status comment, created or edited in place
	EffectTwins    EffectKind = "twins"    // a look for a comment that was made twice, and the removal of all but the oldest
)

// EffectKinds lists every kind.
func EffectKinds() []EffectKind {
	return []EffectKind{EffectQuestion, EffectClosing, EffectReply, EffectReaction, EffectStatus, EffectTwins}
}

// Urgency orders kinds: lower is delivered first.
func (k EffectKind) Urgency() int {
	switch k {
	case EffectQuestion, EffectClosing, EffectReply:
		return 0
	case EffectReaction:
		return 1
	default:
		return 2
	}
}

// EffectBody is the body of every Effect that SAM owes. What a status or a closing comment says is not in it: that is
// read from the task when it is delivered, so that the newest state is told.
type EffectBody struct {
	Kind     EffectKind `json:"kind"`
	Project  int64      `json:"project"`
	Number   int        `json:"number"`            // of the issue or pull request
	Comment  int64      `json:"comment,omitempty"` // reaction: on this comment; 0: on the issue itself
	Task     ID         `json:"task,omitempty"`
	Reaction string     `json:"reaction,omitempty"` // GitHub's content word: eyes, confused
	Key      string     `json:"key,omitempty"`      // question, reply: names it, so that it is made once; twins: the marker
	Text     string     `json:"text,omitempty"`     // question, reply: Markdown
}

func (b EffectBody) effect(target string) Effect {
	encoded, err := json.Marshal(b)
	if err != nil { // a struct of strings and numbers always encodes
		panic(err)
	}
	return Effect{Target: target, Body: string(encoded)}
}

// ParseEffect reads an effect's body.
func ParseEffect(e Effect) (EffectBody, error) {
	var b EffectBody
	if err := json.Unmarshal([]byte(e.Body), &b); err != nil {
		return b, fmt.Errorf("decode effect %s: %w", e.Target, err)
	}
	return b, nil
}

// StatusEffect owes the task's status comment its newest words.
func StatusEffect(s Spec) Effect {
	return EffectBody{Kind: EffectStatus, Project: s.Project, Number: s.Number, Task: s.ID}.effect("status:" + string(s.ID))
}

// ClosingEffect owes the comment that tells how the task ended.
func ClosingEffect(s Spec) Effect {
	return EffectBody{Kind: EffectClosing, Project: s.Project, Number: s.Number, Task: s.ID}.effect("closing:" + string(s.ID))
}

// QuestionEffect owes a comment with what the agent asks. The key names the question within its task, so that it is asked
// once however often it is owed. It is dropped when the task is over before it could be asked.
func QuestionEffect(s Spec, key, text string) Effect {
	return EffectBody{Kind: EffectQuestion, Project: s.Project, Number: s.Number, Task: s.ID, Key: key, Text: text}.
		effect("question:" + string(s.ID) + ":" + key)
}

// TwinsEffect owes a look for comments of SAM's with the same marker, of which the oldest stays. Several looks at
// different times are several rounds.
func TwinsEffect(b EffectBody, marker string, round int) Effect {
	return EffectBody{Kind: EffectTwins, Project: b.Project, Number: b.Number, Task: b.Task, Key: marker}.
		effect(fmt.Sprintf("twins:%d:%d:%s", round, b.Project, marker))
}

// ReactionEffect owes a reaction on a comment, or with comment 0 on the issue.
func ReactionEffect(project int64, number int, comment int64, reaction string) Effect {
	return EffectBody{Kind: EffectReaction, Project: project, Number: number, Comment: comment, Reaction: reaction}.
		effect(fmt.Sprintf("reaction:%d:%d:%d:%s", project, number, comment, reaction))
}

// ReplyEffect owes a comment. The key names what is answered, so that a repeated delivery answers once.
func ReplyEffect(project int64, number int, key, text string) Effect {
	return EffectBody{Kind: EffectReply, Project: project, Number: number, Key: key, Text: text}.
		effect(fmt.Sprintf("reply:%d:%d:%s", project, number, key))
}
