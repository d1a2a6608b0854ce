package dashboard

import (
	"context"

	"sam/task"
)

// Store is all that the dashboard reads.
type Store interface {
	Tasks
	Events
	Conversations
	Fleet
}

// Tasks reads tasks. Task and FollowTask return task.ErrNotFound for one that is not there.
type Tasks interface {
	Task(ctx context.Context, id task.ID) (task.Task, error)
	// TasksOf reads up to limit of a project's tasks, the newest request first.
	TasksOf(ctx context.Context, project int64, limit int) ([]task.Task, error)
	// FollowTask hands over a task now and whenever it has changed, until it was final, ctx ends (nil) or handle fails.
	FollowTask(ctx context.Context, id task.ID, handle func(task.Task) error) error
}

// Events reads a task's events. Their numbers have no gaps.
type Events interface {
	Events(ctx context.Context, id task.ID, after, limit int64) ([]task.Numbered, error)
	// EventsLeft is the number of the first and of the last event there is, zeros when there is none.
	EventsLeft(ctx context.Context, id task.ID) (first, last int64, err error)
	// FollowEvents hands over the events after a number, until ctx ends (nil) or handle fails.
	FollowEvents(ctx context.Context, id task.ID, after int64, handle func(task.Numbered) error) error
}

// Conversations reads projects' conversations. A position is "<milliseconds>-<n>".
type Conversations interface {
	// ConversationLeft is the position of the first and of the last entry there is, "" when there is none.
	ConversationLeft(ctx context.Context, project int64) (first, last string, err error)
	ReadConversation(ctx context.Context, project int64, after string, limit int64, handle func(string, task.Entry) error) error
	// ReadConversationBack hands over up to limit entries before a position ("" for the end), the newest first.
	ReadConversationBack(ctx context.Context, project int64, before string, limit int64, handle func(string, task.Entry) error) error
	// FollowConversationAfter hands over the entries after a position, until ctx ends (nil) or handle fails.
	FollowConversationAfter(ctx context.Context, project int64, after string, handle func(string, task.Entry) error) error
}

// Fleet reads what is installed and what runs. Project returns task.ErrNotFound for one that is not there.
type Fleet interface {
	Project(ctx context.Context, project int64) (task.Project, error)
	Projects(ctx context.Context) ([]task.Project, error)
	Nodes(ctx context.Context) ([]task.Node, error)
}
