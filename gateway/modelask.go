package gateway

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A workspace has no network, but the model's servers have one. A request may ask them to search the web, to fetch an
// address, to run code, to call somebody's MCP server or to load an image from a URL, and each of these carries words out
// of the workspace. So what a request may ask is an allow-list: text and pictures that are in it, and tools whose calls
// come back to the workspace. What the API gains later is refused until it is looked at.

// ServerTools are the tools of the model's servers that an operator may allow.
func ServerTools() []string { return []string{"web_search", "web_fetch"} }

// modelRules is what requests may ask.
type modelRules struct{ serverTools []string }

// Names that pass. Each list is the API's, without what reaches beyond the conversation: mcp_servers, container (code and
// skills), a file's id, and whatever keeps a state on the other side that another account could read.
var (
	askedFields = []string{
		"model", "max_tokens", "messages", "system", "tools", "tool_choice", "stream", "metadata", "temperature", "top_p", "top_k",
		"stop_sequences", "thinking", "service_tier", "output_config", "output_format", "cache_control", "context_management", "inference_geo",
	}
	messageFields = []string{"role", "content", "output_config"}
	blockTypes    = []string{
		"text", "image", "document", "thinking", "redacted_thinking", "tool_use", "tool_result", "search_result",
		"tool_reference", "tool_addition", "tool_removal", "compaction",
	}
	serverBlockTypes = []string{"server_tool_use", "web_search_tool_result", "web_fetch_tool_result", "web_search_result", "web_fetch_result"}
	sourceTypes      = []string{"base64", "text", "content"}
)

// clientTools are the API's own tools whose calls the workspace carries out. The search among the request's own tools is
// the model's servers', and reaches nothing.
var clientTools = regexp.MustCompile(`^((bash|text_editor|computer|memory)_\d{8}|tool_search_tool_(regex|bm25)(_\d{8})?)$`)

// datedTool is a tool of the model's servers: web_search_20250305.
var datedTool = regexp.MustCompile(`^([a-z_]+)_\d{8}$`)

// maxNesting bounds how deep content may hold content: a document in a tool's result is three.
const maxNesting = 8

// unwantedError is a request for what is not allowed. what is one of a few words, for the metric; subject is the request's own.
type unwantedError struct{ what, subject, why string }

func (e *unwantedError) Error() string {
	name := e.what
	if e.subject != "" {
		name += fmt.Sprintf(" %q", e.subject)
	}
	return "SAM does not pass this request to the model: its " + name + " " + e.why
}

const (
	waysOut   = "would have the model's servers reach beyond this conversation, and a task has no other network than SAM gives it"
	ambiguous = "can be read in two ways"
)

// check looks through the body of a request for messages or a count of tokens. Its errors are *unwantedError.
func (m modelRules) check(body []byte) error {
	object := true
	err := walkJSON(body, func(j jsonText) (err error) {
		object, err = j.fields(func(name string) error {
			if !slices.Contains(askedFields, name) {
				return &unwantedError{"field", name, "is not one that SAM knows to stay within the conversation. Leave it out"}
			}
			switch name {
			case "tools":
				_, err := j.items(func() error { return m.tool(j) })
				return err
			case "messages":
				_, err := j.items(func() error { return m.message(j) })
				return err
			case "system":
				return m.content(j, 0)
			}
			return j.skip()
		})
		return err
	})
	var unwanted *unwantedError
	switch {
	case err == nil && !object:
		return &unwantedError{what: "body", why: "is not a JSON object"}
	case errors.As(err, &unwanted):
		return unwanted
	case errors.Is(err, errNotJSON):
		return &unwantedError{what: "body", why: "is not JSON in UTF-8"}
	case err != nil:
		return &unwantedError{what: "body", why: "has " + err.Error() + ", so it " + ambiguous}
	}
	return nil
}

// tool checks one of the tools that a request offers.
func (m modelRules) tool(j jsonText) error {
	kind := "custom"
	_, err := j.fields(func(name string) error {
		if name != "type" || j.PeekKind() == 'n' { // null is for a custom one
			return j.skip()
		}
		var is bool
		var err error
		if kind, is, err = j.str(); err == nil && !is {
			return &unwantedError{what: "tool", why: "has a type that is no name"}
		}
		return err
	})
	if err != nil || kind == "custom" || clientTools.MatchString(kind) {
		return err
	}
	if named := datedTool.FindStringSubmatch(kind); named != nil && slices.Contains(ServerTools(), named[1]) {
		if slices.Contains(m.serverTools, named[1]) {
			return nil
		}
		return &unwantedError{"tool", kind, waysOut + ". Do without it; whoever runs SAM may allow it with model.server_tools: [" + named[1] + "]"}
	}
	return &unwantedError{"tool", kind, waysOut + ". Do without it"}
}

func (m modelRules) message(j jsonText) error {
	_, err := j.fields(func(name string) error {
		if !slices.Contains(messageFields, name) {
			return &unwantedError{"message's field", name, "is not one that SAM knows to stay within the conversation. Leave it out"}
		}
		if name == "content" {
			return m.content(j, 0)
		}
		return j.skip()
	})
	return err
}

// content is a text, a list of blocks, or, in results, one block.
func (m modelRules) content(j jsonText, depth int) error {
	switch {
	case depth > maxNesting:
		return &unwantedError{what: "content", why: "is nested too deep"}
	case j.PeekKind() == '[':
		_, err := j.items(func() error { return m.block(j, depth) })
		return err
	case j.PeekKind() == '{':
		return m.block(j, depth)
	}
	return j.skip()
}

func (m modelRules) block(j jsonText, depth int) error {
	kind := ""
	is, err := j.fields(func(name string) (err error) {
		switch name {
		case "type":
			kind, _, err = j.str()
		case "content":
			return m.content(j, depth+1)
		case "source":
			if j.PeekKind() == '{' { // a search result's is a text, which nobody opens
				return m.source(j, depth)
			}
			return j.skip()
		case "file_id":
			return &unwantedError{"content", "file_id", waysOut + ". Put what is in the file into the request"}
		case "tool":
			return m.changed(j)
		default:
			err = j.skip()
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case !is:
		return nil // the API refuses it
	case slices.Contains(blockTypes, kind), len(m.serverTools) > 0 && slices.Contains(serverBlockTypes, kind):
		return nil
	}
	return &unwantedError{"content", kind, "is not of a kind that SAM knows to stay within the conversation. Leave it out"}
}

// source is where a picture or document is: in the request, or nowhere.
func (m modelRules) source(j jsonText, depth int) error {
	kind := ""
	_, err := j.fields(func(name string) (err error) {
		switch name {
		case "type":
			kind, _, err = j.str()
		case "content":
			return m.content(j, depth+1)
		default:
			err = j.skip()
		}
		return err
	})
	if err == nil && !slices.Contains(sourceTypes, kind) {
		err = &unwantedError{"source", kind, waysOut + ". Put the picture or document itself into the request, as base64 or text"}
	}
	return err
}

// changed is the tool of a block by which tools come and go in the middle of a conversation: a reference, or a definition.
func (m modelRules) changed(j jsonText) error {
	kind := ""
	_, err := j.fields(func(name string) (err error) {
		switch name {
		case "type":
			kind, _, err = j.str()
		case "definition":
			return m.tool(j)
		default:
			err = j.skip()
		}
		return err
	})
	if err == nil && kind != "tool_reference" && kind != "tool_definition" {
		err = &unwantedError{"tool change", kind, "is not of a kind that SAM knows to stay within the conversation. Leave it out"}
	}
	return err
}

// betas are the features in trial that a request may name in Anthropic-Beta, without their dates: those of the conversation
// itself. Files, skills, MCP, code, memory and threads on the other side are none of them.
var betas = []string{
	"claude-code", "interleaved-thinking", "context-management", "per-turn-control", "mid-conversation-tool-changes", "inline-tools",
	"mid-conversation-system", "mid-conversation-system-clear-at", "thinking-token-count", "thinking-display-updates",
	"thinking-binding-controls", "thinking-resumption", "redact-thinking", "advanced-tool-use", "tool-search-tool", "effort",
	"context-1m", "extended-cache-ttl", "prompt-caching", "prompt-caching-scope", "prompt-caching-evict", "token-counting",
	"token-efficient-tools", "fine-grained-tool-streaming", "output-128k", "structured-outputs", "computer-use", "task-budgets",
	"claude-code-side-query", "auto-mode-classifier", "timing",
}

var betaDate = regexp.MustCompile(`-(20\d{6}|20\d\d-\d\d-\d\d)$`)

// betas returns which of the values of Anthropic-Beta pass, as one value, and how many do not.
func (m modelRules) betas(values []string) (passed string, dropped int) {
	var kept []string
	for _, beta := range strings.Split(strings.Join(values, ","), ",") {
		beta = strings.TrimSpace(beta)
		name := betaDate.ReplaceAllString(beta, "")
		switch {
		case beta == "":
		case slices.Contains(betas, name), slices.ContainsFunc(m.serverTools, func(tool string) bool {
			return strings.HasPrefix(name, strings.ReplaceAll(tool, "_", "-"))
		}):
			kept = append(kept, beta)
		default:
			dropped++
		}
	}
	return strings.Join(kept, ","), dropped
}
