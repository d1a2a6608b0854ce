package model

import (
	"encoding/json"
	"slices"
	"strings"
)

// toolbox are the tools that a request offers, as far as the scripts have a use for them. Each may be nil.
type toolbox struct {
	shell, read, write, edit, ask *offered
}

// offered is one tool as the client has it.
type offered struct {
	name   string
	schema json.RawMessage
	params map[string]string // what a script means -> what the client calls it
}

// call is a use of a tool.
type call struct {
	tool  *offered
	input map[string]any
}

// kinds are the tools by the names that agents give them, and their parameters likewise. Names are compared without
// case and without - and _.
func kinds(b *toolbox) []struct {
	slot   **offered
	names  []string
	params map[string][]string
} {
	path := []string{"file_path", "filePath", "absolute_path", "path"}
	return []struct {
		slot   **offered
		names  []string
		params map[string][]string
	}{
		{&b.shell, []string{"bash", "shell", "runshellcommand", "shellcommand", "execute", "runcommand"},
			map[string][]string{"command": {"command", "cmd"}}},
		{&b.read, []string{"read", "readfile", "view"}, map[string][]string{"path": path}},
		{&b.write, []string{"write", "writefile", "createfile"}, map[string][]string{"path": path, "content": {"content", "contents"}}},
		{&b.edit, []string{"edit", "replace", "editfile", "strreplace"}, map[string][]string{
			"path": path, "old": {"old_string", "oldString"}, "new": {"new_string", "newString"},
		}},
		{&b.ask, []string{"askuserquestion"}, map[string][]string{"questions": {"questions"}}},
	}
}

// open looks through what a request offers.
func open(r *request) toolbox {
	var box toolbox
	if r.ToolChoice.Type == "none" {
		return box
	}
	table := kinds(&box)
	for _, t := range r.Tools {
		plain := strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(t.Name))
		for _, k := range table {
			if *k.slot != nil || !slices.Contains(k.names, plain) {
				continue
			}
			if params := match(t.Schema, k.params); params != nil {
				*k.slot = &offered{name: t.Name, schema: t.Schema, params: params}
			}
		}
	}
	return box
}

// match finds the client's own names of all the parameters, or returns nil: then the tool is another than it seemed.
func match(schema json.RawMessage, want map[string][]string) map[string]string {
	var object struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if json.Unmarshal(schema, &object) != nil {
		return nil
	}
	params := map[string]string{}
	for meaning, names := range want {
		for _, name := range names {
			if _, has := object.Properties[name]; has && params[meaning] == "" {
				params[meaning] = name
			}
		}
		if params[meaning] == "" {
			return nil
		}
	}
	return params
}

// use makes a call: the input under the client's names, with whatever else its schema requires.
func (o *offered) use(purpose string, input map[string]any) call {
	named := map[string]any{}
	if filled, ok := instance(o.schema, purpose).(map[string]any); ok {
		named = filled
	}
	if _, has := properties(o.schema)["description"]; has {
		named["description"] = purpose
	}
	for meaning, value := range input {
		named[o.params[meaning]] = value
	}
	return call{tool: o, input: named}
}

// run makes a call of the shell, which must be there.
func (b toolbox) run(purpose, command string) call {
	return b.shell.use(purpose, map[string]any{"command": command})
}

// reading makes a call that reads a file.
func (b toolbox) reading(path string) call {
	if b.read == nil {
		return b.run("Read "+base(path), "cat -- "+word(path))
	}
	return b.read.use("Read "+base(path), map[string]any{"path": path})
}

// writing makes a call that creates a file.
func (b toolbox) writing(path, text string) call {
	if b.write == nil {
		return b.run("Write "+base(path), "cat > "+word(path)+" <<'END OF THE FILE'\n"+text+"END OF THE FILE")
	}
	return b.write.use("Write "+base(path), map[string]any{"path": path, "content": text})
}

// editing makes a call that replaces a part of one line, which occurs once, by text of any length.
func (b toolbox) editing(path, old, text string) call {
	if b.edit == nil {
		escape := strings.NewReplacer(`\`, `\\`, "|", `\|`, "&", `\&`, "\n", `\n`, ".", `\.`, "*", `\*`, "[", `\[`)
		pattern := escape.Replace(old)
		text := strings.NewReplacer(`\`, `\\`, "|", `\|`, "&", `\&`, "\n", `\n`).Replace(text)
		return b.run("Edit "+base(path), "sed -i "+word("s|"+pattern+"|"+text+"|")+" "+word(path))
	}
	return b.edit.use("Edit "+base(path), map[string]any{"path": path, "old": old, "new": text})
}

func base(path string) string { return path[strings.LastIndex(path, "/")+1:] }

// word quotes s for a shell.
func word(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
