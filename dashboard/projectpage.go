package dashboard

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"sam/task"
)

const (
	pageEntries = 100 // of a conversation on one page
	homeTasks   = 5   // of each project on the first page
	homeLive    = 12  // projects that the first page follows: those with the newest tasks
)

// homeView is the first page.
type homeView struct {
	page
	Projects []projectView // that were asked for something
	Quiet    []projectView // the others: an installation may have hundreds
	Nodes    []task.Node
}

type projectView struct {
	task.Project
	Tasks []task.Task
}

// newest is when the project was last asked for something, milliseconds.
func (p projectView) newest() int64 {
	if len(p.Tasks) == 0 {
		return 0
	}
	return p.Tasks[0].Created.UnixMilli()
}

func (d *Dashboard) home(w http.ResponseWriter, r *http.Request) {
	v, err := d.homeView(r.Context())
	if err != nil {
		d.fail(w, r, err)
		return
	}
	d.respond(w, r, http.StatusOK, "home", v)
}

func (d *Dashboard) homeView(ctx context.Context) (homeView, error) {
	v := homeView{page: page{Title: "Projects"}}
	projects, err := d.store.Projects(ctx)
	if err != nil {
		return v, err
	}
	positions := vector{}
	for _, p := range projects {
		last, err := convSource{d, p.ID}.last(ctx) // before the tasks: what comes meanwhile comes by the stream
		if err != nil {
			return v, err
		}
		positions[topic{project: p.ID}] = last
		tasks, err := d.store.TasksOf(ctx, p.ID, homeTasks)
		if err != nil {
			return v, err
		}
		v.Projects = append(v.Projects, projectView{p, tasks})
	}
	slices.SortFunc(v.Projects, func(a, b projectView) int {
		return cmp.Or(cmp.Compare(b.newest(), a.newest()), strings.Compare(a.FullName(), b.FullName()))
	})
	var topics []topic
	for _, p := range v.Projects[:min(homeLive, len(v.Projects))] {
		topics = append(topics, topic{project: p.ID})
	}
	v.From = positions.format(topics)
	v.Live = joined(topics)
	quiet := slices.IndexFunc(v.Projects, func(p projectView) bool { return len(p.Tasks) == 0 })
	if quiet >= 0 {
		v.Projects, v.Quiet = v.Projects[:quiet], v.Projects[quiet:]
	}
	v.Nodes, err = d.store.Nodes(ctx)
	return v, err
}

func joined(topics []topic) string {
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.String()
	}
	return strings.Join(names, ",")
}

// conversationView is a project's page.
type conversationView struct {
	page
	task.Project
	GitHub  string
	Threads []threadView
	Tasks   []task.Task
	Before  string // entries before this position are not on the page; "" when all are
	Partial bool   // later entries are not on this page
}

func (d *Dashboard) projectPage(w http.ResponseWriter, r *http.Request) {
	projects, err := d.store.Projects(r.Context())
	if err != nil {
		d.fail(w, r, err)
		return
	}
	wanted := r.PathValue("owner") + "/" + r.PathValue("repo")
	i := slices.IndexFunc(projects, func(p task.Project) bool { return strings.EqualFold(p.FullName(), wanted) })
	if i < 0 {
		d.missing(w, r, "SAM is not installed on a repository of that name, or there is no such page.")
		return
	}
	before := r.URL.Query().Get("before")
	if _, err := parsePosition(before); err != nil {
		before = ""
	}
	v, err := d.conversationView(r.Context(), projects[i], before)
	if err != nil {
		d.fail(w, r, err)
		return
	}
	d.respond(w, r, http.StatusOK, "conversation", v)
}

func (d *Dashboard) conversationView(ctx context.Context, p task.Project, before string) (conversationView, error) {
	v := conversationView{page: page{Title: p.FullName(), Tail: true}, Project: p, GitHub: d.github, Partial: before != ""}
	type placed struct {
		where string
		task.Entry
	}
	var entries []placed
	err := d.store.ReadConversationBack(ctx, p.ID, before, pageEntries, func(where string, e task.Entry) error {
		entries = append(entries, placed{where, e})
		return nil
	})
	if err != nil {
		return v, err
	}
	slices.Reverse(entries)
	if v.Tasks, err = d.store.TasksOf(ctx, p.ID, pageEntries); err != nil {
		return v, err
	}
	titles := map[task.ThreadID]string{}
	for _, t := range v.Tasks {
		if titles[t.Thread] == "" {
			titles[t.Thread] = name(t)
		}
	}
	// Threads stand in the order of their last entries, the newest at the bottom.
	for i, e := range entries {
		at := slices.IndexFunc(v.Threads, func(t threadView) bool { return t.ID == e.Thread })
		var thread threadView
		if at < 0 {
			thread = d.thread(p, e.Entry, titles)
		} else {
			thread = v.Threads[at]
			v.Threads = slices.Delete(v.Threads, at, at+1)
		}
		thread.Entries = append(thread.Entries, d.entry(p, e.where, entries[i].Entry))
		v.Threads = append(v.Threads, thread)
	}
	if len(entries) == pageEntries {
		v.Before = entries[0].where
	}
	if !v.Partial {
		here := topic{project: p.ID}
		from := position{}
		if len(entries) > 0 {
			if from, err = parsePosition(entries[len(entries)-1].where); err != nil {
				return v, err
			}
		}
		v.Live, v.From = here.String(), vector{here: from}.format([]topic{here})
	}
	v.Tasks = v.Tasks[:min(8, len(v.Tasks))]
	return v, nil
}
