package agent

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"strings"

	"sam/task"
)

// claudeEnd says how a result ends the attempt.
func claudeEnd(subtype string, r claudeResult) task.End {
	text := strings.TrimSpace(r.Result)
	if !r.IsError && subtype == "success" {
		return task.End{Outcome: task.Done, Headline: headline(text), Summary: text}
	}
	said := cmp.Or(text, strings.Join(r.Errors, "; "), strings.ReplaceAll(cmp.Or(r.Terminal, subtype), "_", " "))
	end := task.End{Outcome: task.Died, Reason: "Claude Code failed: " + said}
	switch {
	case r.APIStatus != nil && isKeyRefusal(*r.APIStatus):
		end = keyRefused(*r.APIStatus)
		end.Reason += " Claude Code's own words: " + said
	case r.Terminal == "api_error":
		end.Reason = "The model did not answer, and Claude Code gave up asking. Ask again later. Its own words: " + said
	}
	return end
}

func isKeyRefusal(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden
}

// keyRefused is no success, though Claude Code calls it one.
func keyRefused(status int) task.End {
	return task.End{Outcome: task.Died, Reason: fmt.Sprintf("The model refused the key (%d). Whoever runs SAM must check the key for the model, and what it may use.", status)}
}

// maxHeadline is how long a headline may be, in bytes: what a list of pull requests shows.
const maxHeadline = 120

// headline is the first sentence or heading of a text, without Markdown's marks.
func headline(text string) string {
	first := ""
	for line := range strings.Lines(text) {
		if first = strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(line), "#>*-_ ")); first != "" {
			break
		}
	}
	first = strings.NewReplacer("**", "", "`", "").Replace(first)
	for _, stop := range []string{". ", "! ", "? ", ": "} {
		if sentence, _, cut := strings.Cut(first, stop); cut {
			first = sentence
		}
	}
	first = strings.TrimRight(first, ".:! ")
	if len(first) <= maxHeadline {
		return first
	}
	cut := keepHead(first, maxHeadline-len("…"))
	if space := strings.LastIndexByte(cut, ' '); space > maxHeadline/2 {
		cut = cut[:space]
	}
	return cut + "…"
}

// claudeTitle is one line that says what a tool is used for, and where.
func claudeTitle(b claudeBlock, cwd string) (title, location string) {
	var in struct {
		Command     string `json:"command"`
		File        string `json:"file_path"`
		Notebook    string `json:"notebook_path"`
		Path        string `json:"path"`
		Pattern     string `json:"pattern"`
		URL         string `json:"url"`
		Query       string `json:"query"`
		Description string `json:"description"`
		Offset      int    `json:"offset"`
	}
	if json.Unmarshal(b.Input, &in) != nil {
		return oneLine(string(b.Input)), ""
	}
	file := inFolder(cwd, cmp.Or(in.File, in.Notebook))
	if location = file; file != "" && in.Offset > 0 {
		location = fmt.Sprintf("%s:%d", file, in.Offset)
	}
	title = cmp.Or(in.Command, file, in.Pattern, in.URL, in.Query, in.Description, in.Path)
	if title == "" && len(b.Input) > len("{}") {
		title = string(b.Input)
	}
	return oneLine(title), location
}

// oneLine is the first line of a text, with a sign where there is more.
func oneLine(text string) string {
	const most = 300 // bytes: what a folded line can show
	first, _, more := strings.Cut(strings.TrimSpace(text), "\n")
	if kept := keepHead(first, most); more || len(kept) < len(first) {
		return strings.TrimSpace(kept) + " …"
	}
	return first
}

// inFolder is a path as seen from the session's folder, or as it is when it lies outside.
func inFolder(cwd, file string) string {
	if inside, ok := strings.CutPrefix(file, cwd); ok && cwd != "" && cwd != "/" {
		return inside
	}
	return file
}

// claudePlan reads a use of its list of things to do.
func claudePlan(b claudeBlock) []task.PlanItem {
	var in struct {
		Todos []struct {
			Content string `json:"content"`
			Status  string `json:"status"`
		} `json:"todos"`
	}
	if b.Name != "TodoWrite" || json.Unmarshal(b.Input, &in) != nil {
		return nil
	}
	status := map[string]string{"in_progress": "active", "completed": "done"}
	var plan []task.PlanItem
	for _, todo := range in.Todos {
		plan = append(plan, task.PlanItem{Text: todo.Content, Status: cmp.Or(status[todo.Status], "pending")})
	}
	return plan
}

// claudeDetail is what Claude Code tells of a tool's result beside what it tells the model.
type claudeDetail struct {
	Type        string `json:"type"` // of Write: create, update
	FilePath    string `json:"filePath"`
	Content     string `json:"content"`      // of Write
	Original    string `json:"originalFile"` // before a change
	OldString   string `json:"oldString"`    // of Edit
	NewString   string `json:"newString"`
	ReplaceAll  bool   `json:"replaceAll"`
	Interrupted bool   `json:"interrupted"` // of Bash
	Background  string `json:"backgroundTaskId"`
	Patch       []struct {
		OldStart int      `json:"oldStart"`
		OldLines int      `json:"oldLines"`
		NewStart int      `json:"newStart"`
		NewLines int      `json:"newLines"`
		Lines    []string `json:"lines"`
	} `json:"structuredPatch"`
}

// UnmarshalJSON takes what is no object, or has a content of another kind, for a detail that says nothing.
func (d *claudeDetail) UnmarshalJSON(data []byte) error {
	type plain claudeDetail
	if !bytes.HasPrefix(data, []byte("{")) || json.Unmarshal(data, (*plain)(d)) != nil {
		*d = claudeDetail{}
	}
	return nil
}

// line is where in the file the change is, 0 when that is not told.
func (d *claudeDetail) line() int {
	if len(d.Patch) == 0 || d.FilePath == "" {
		return 0
	}
	first := d.Patch[0]
	for i, line := range first.Lines {
		if !strings.HasPrefix(line, " ") {
			return first.NewStart + i
		}
	}
	return first.NewStart
}

// diff is the change as a unified diff, "" when the tool changed no file.
func (d *claudeDetail) diff(cwd string) string {
	name := strings.TrimPrefix(path.Clean(inFolder(cwd, d.FilePath)), "/")
	var out strings.Builder
	switch {
	case d.FilePath == "":
		return ""
	case d.Type == "create" && len(d.Patch) == 0 && d.Content != "": // a new file has an empty patch
		lines := strings.Split(strings.TrimSuffix(d.Content, "\n"), "\n")
		fmt.Fprintf(&out, "--- /dev/null\n+++ b/%s\n@@ -0,0 +1,%d @@\n+%s\n", name, len(lines), strings.Join(lines, "\n+"))
	case len(d.Patch) > 0:
		fmt.Fprintf(&out, "--- a/%s\n+++ b/%s\n", name, name)
		before, after := d.files()
		for _, h := range d.Patch {
			fmt.Fprintf(&out, "@@ -%d,%d +%d,%d @@\n", h.OldStart, h.OldLines, h.NewStart, h.NewLines)
			was, is := h.OldStart-1, h.NewStart-1
			for _, line := range h.Lines {
				switch {
				case strings.HasPrefix(line, "-"):
					line = "-" + indented(line[1:], before, was)
					was++
				case strings.HasPrefix(line, "+"):
					line = "+" + indented(line[1:], after, is)
					is++
				case strings.HasPrefix(line, " "):
					line = " " + indented(line[1:], after, is)
					was, is = was+1, is+1
				}
				out.WriteString(line + "\n")
			}
		}
	}
	return out.String()
}

// files are the file's lines before and after, nil where that is not known.
func (d *claudeDetail) files() (before, after []string) {
	if d.Original == "" {
		return nil, nil
	}
	changed := d.Content
	if d.OldString != "" {
		times := 1
		if d.ReplaceAll {
			times = -1
		}
		changed = strings.Replace(d.Original, d.OldString, d.NewString, times)
	}
	return strings.Split(d.Original, "\n"), strings.Split(changed, "\n")
}

// indented gives a patch's line the tabs back that Claude Code shows as spaces, when the file's own line is that one.
func indented(line string, file []string, at int) string {
	if at >= 0 && at < len(file) && strings.Join(strings.Fields(file[at]), " ") == strings.Join(strings.Fields(line), " ") {
		return strings.TrimSuffix(file[at], "\r")
	}
	return line
}
