package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sam/agent/wire"
)

// claudeAsks has what Claude Code 2.1.330 was seen to send, shortened, and what else it can.
const claudeAsks = `{"model":"claude-opus-5-5","max_tokens":128000,"stream":true,"metadata":{"user_id":"{\"device_id\":\"6a\"}"},
"thinking":{"type":"adaptive","display":"updates"},"context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]},
"output_config":{"effort":"medium"},"system":[{"type":"text","text":"You are","cache_control":{"type":"ephemeral"}}],
"tools":[{"name":"Bash","description":"d","input_schema":{"type":"object","properties":{"source":{"type":"url"}}}},
 {"type":"custom","name":"X","input_schema":{}},{"type":null,"name":"Y","input_schema":{}},{"type":"bash_20250124","name":"bash"},
 {"type":"text_editor_20250728","name":"e"},{"type":"computer_20251124","name":"c"},{"type":"memory_20250818","name":"m"},
 {"type":"tool_search_tool_regex_20251119","name":"t"},{"name":"D","defer_loading":true,"input_schema":{}}],
"messages":[{"role":"user","content":"plain"},
 {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"tool_use","id":"t1","name":"Bash",
  "input":{"tools":[{"type":"web_search_20250305"}],"source":{"type":"url","url":"http://a"},"source":1,"\\":"\"}]","file_id":"f"}}]},
 {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","is_error":false,"content":"out"}]},
 {"role":"user","content":[{"type":"tool_result","tool_use_id":"t2","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aa"}},
  {"type":"tool_reference","tool_name":"D"},{"type":"document","source":{"type":"content","content":[{"type":"text","text":"t"}]}},
  {"type":"search_result","source":"https://example.com/page","title":"t","content":[{"type":"text","text":"t"}]}]}]},
 {"role":"system","output_config":{"effort":"high"},"content":[{"type":"text","text":"Environment"},
  {"type":"tool_addition","tool":{"type":"tool_reference","name":"D"}},
  {"type":"tool_addition","tool":{"type":"tool_definition","definition":{"name":"Z","input_schema":{}}}},
  {"type":"tool_removal","tool":{"type":"tool_reference","name":"D"}}]}]}`

func TestWhatClaudeCodeSendsPasses(t *testing.T) {
	if err := (modelRules{}).check([]byte(claudeAsks)); err != nil {
		t.Error(err)
	}
}

// everywhere puts a block where blocks can be.
func everywhere(block string) map[string]string {
	return map[string]string{
		"in a message":           `{"messages":[{"role":"user","content":[` + block + `]}]}`,
		"in the system's":        `{"system":[` + block + `],"messages":[]}`,
		"in a tool's result":     `{"messages":[{"role":"user","content":[{"type":"tool_result","content":[` + block + `]}]}]}`,
		"alone in a result":      `{"messages":[{"role":"user","content":[{"type":"tool_result","content":` + block + `}]}]}`,
		"in a document":          `{"messages":[{"content":[{"type":"document","source":{"type":"content","content":[` + block + `]}}]}]}`,
		"in a document's result": `{"messages":[{"content":[{"type":"tool_result","content":[{"type":"document","source":{"content":[` + block + `],"type":"content"}}]}]}]}`,
	}
}

func TestWhatReachesBeyondTheConversationIsRefused(t *testing.T) {
	bodies := map[string]string{}
	for _, tool := range []string{
		"web_search_20250305", "web_search_20260209", "web_fetch_20250910", "code_execution_20250825", "mcp_toolset", "advisor_20260301",
		"bash_20250124x", "xbash_20250124", "web_search", "", "Custom", "bash_20250124\u0000",
	} {
		tool := fmt.Sprintf(`{"name":"t","type":%q}`, tool)
		bodies["the tool "+tool] = `{"tools":[{"name":"ok","input_schema":{}},` + tool + `]}`
		for where, body := range everywhere(`{"type":"tool_addition","tool":{"type":"tool_definition","definition":` + tool + `}}`) {
			bodies["the tool "+tool+" added "+where] = body
		}
	}
	for _, block := range []string{
		`{"type":"image","source":{"type":"url","url":"https://collector.example/?secret"}}`,
		`{"type":"document","source":{"type":"url","url":"https://collector.example/"}}`,
		`{"type":"image","source":{"type":"file","file_id":"file_1"}}`,
		`{"type":"document","source":{"url":"https://collector.example/"}}`,
		`{"type":"container_upload","file_id":"file_1"}`, `{"type":"text","file_id":"file_1"}`,
		`{"type":"mcp_tool_use","server_name":"s"}`, `{"type":"server_tool_use","name":"web_fetch"}`, `{"type":"never_heard_of"}`, `{}`,
		`{"type":"image","\u0073ource":{"\u0074ype":"\u0075rl","url":"https://collector.example/"}}`,
		`{"type":"tool_addition","tool":{"type":"mcp_server","url":"https://collector.example/"}}`,
	} {
		for where, body := range everywhere(block) {
			bodies[block+" "+where] = body
		}
	}
	for name, body := range map[string]string{
		"MCP servers":                      `{"mcp_servers":[{"type":"url","url":"https://collector.example/","name":"s"}]}`,
		"a container":                      `{"container":"c_1"}`,
		"a container with skills":          `{"container":{"skills":[{"type":"custom","skill_id":"s"}]}}`,
		"a field nobody knows":             `{"fetch":"https://collector.example/"}`,
		"betas in the body":                `{"anthropic_beta":["files-api-2025-04-14"]}`,
		"a message's field":                `{"messages":[{"role":"user","container":"c"}]}`,
		"tools twice":                      `{"tools":[],"tools":[{"type":"web_search_20250305"}]}`,
		"tools twice, spelled differently": `{"tools":[],"\u0074ools":[{"type":"web_search_20250305"}]}`,
		"tools in capitals":                `{"TOOLS":[{"type":"web_search_20250305"}]}`,
		"a type twice":                     `{"tools":[{"type":"custom","type":"web_search_20250305"}]}`,
		"a type that is no name":           `{"tools":[{"type":["web_search_20250305"]}]}`,
		"no object":                        `[1]`,
		"no JSON":                          `{"tools":[`,
		"two texts":                        `{}{"mcp_servers":[]}`,
		"nothing":                          ``,
		"too many fields":                  `{"messages":[{` + strings.Repeat(`"role":"u",`, 1) + manyFields() + `}]}`,
		"nested without end":               `{"messages":[{"content":` + strings.Repeat(`[{"type":"tool_result","content":`, 50) + `""` + strings.Repeat(`}]`, 50) + `}]}`,
	} {
		bodies[name] = body
	}
	for name, body := range bodies {
		err := modelRules{}.check([]byte(body))
		var unwanted *unwantedError
		if !errors.As(err, &unwanted) || !strings.HasPrefix(err.Error(), "SAM does not pass this request to the model: its ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func manyFields() string {
	var all []string
	for i := range 2 * maxWalkedFields {
		all = append(all, fmt.Sprintf(`"f%d":1`, i))
	}
	return strings.Join(all, ",")
}

func TestAnAllowedServerToolAndItsResultsPassAndNoOther(t *testing.T) {
	rules := modelRules{[]string{"web_search"}}
	const searched = `{"messages":[{"role":"assistant","content":[{"type":"server_tool_use","name":"web_search","input":{}},
		{"type":"web_search_tool_result","content":[{"type":"web_search_result","url":"https://example.com"}]}]}],"tools":[{"type":"web_search_20250305","name":"web_search"}]}`
	if err := rules.check([]byte(searched)); err != nil {
		t.Error(err)
	}
	if err := rules.check([]byte(`{"tools":[{"type":"web_fetch_20250910"}]}`)); err == nil || !strings.Contains(err.Error(), "model.server_tools: [web_fetch]") {
		t.Errorf("fetching is refused with %v", err)
	}
	if got, dropped := rules.betas([]string{"web-search-2025-03-05", "web-fetch-2025-09-10,effort-2025-11-24"}); got != "web-search-2025-03-05,effort-2025-11-24" || dropped != 1 {
		t.Errorf("passed %q, dropped %d", got, dropped)
	}
	if _, err := NewModel(ModelOptions{BaseURL: "https://example.com", Key: "k", ServerTools: []string{"code_execution"}, HTTP: &http.Client{}}); err == nil {
		t.Error("a tool that cannot be allowed is")
	}
}

// toldOf is what an answer says of a refusal.
func toldOf(res *http.Response) wire.Refused {
	for _, header := range []http.Header{res.Header, res.Trailer} {
		if r, ok := wire.ParseRefused(header.Get(wire.RefusedHeader)); ok {
			return r
		}
	}
	return wire.Refused{}
}

func TestARefusedRequestReachesNoModelAndIsToldAndCounted(t *testing.T) {
	reached := make(chan string, 10)
	w := newModelWorld(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { reached <- r.URL.Path }))
	for _, path := range []string{"v1/messages?beta=true", "v1/messages/count_tokens"} {
		response, body, err := w.answer(w.request(http.MethodPost, path, `{"tools":[{"type":"web_search_20250305"}]}`))
		if err != nil || toldOf(response).Code != "model_refused" || toldOf(response).Subject != "tool" || response.Header.Get("X-Should-Retry") != "false" {
			t.Errorf("%v %v, %v", response.Header, body, err)
		}
		w.refused(w.request(http.MethodPost, path, `{"tools":[{"type":"web_search_20250305"}]}`), 400, "invalid_request_error", "model.server_tools: [web_search]")
	}
	if len(reached) > 0 {
		t.Errorf("%s reached the model", <-reached)
	}
	if !strings.Contains(w.log.String(), "request to the model refused") {
		t.Errorf("the log says %s", w.log)
	}
}

func TestRefusalsAreCountedByWhatWasWrong(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := newBroker(t, "http://127.0.0.1:1")
	m.register(registry)
	w := newModelWorldWith(t, m)
	w.refused(w.request(http.MethodPost, "v1/messages", `{"mcp_servers":[]}`), 400, "invalid_request_error", "mcp_servers")
	found, err := registry.Gather()
	if err != nil || len(found) != 1 || found[0].GetName() != "sam_model_refused_total" ||
		found[0].GetMetric()[0].GetLabel()[0].GetValue() != "field" || found[0].GetMetric()[0].GetCounter().GetValue() != 1 {
		t.Errorf("%v, %v", found, err)
	}
}

// A model begins to answer when it has a request whole; what the broker adds to that is the time it takes to look through it.
func TestLookingThroughARequestTakesNoTime(t *testing.T) {
	body := typical()
	best := time.Hour
	for range 20 {
		began := time.Now()
		if err := (modelRules{}).check(body); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(began))
	}
	t.Logf("%d bytes in %s", len(body), best)
	if best > 20*time.Millisecond { // the race detector's share is nine tenths of it
		t.Errorf("it took %s", best)
	}
}

// typical is a request of Claude Code's size.
func typical() []byte {
	text := strings.Repeat(`words and \"words\" and \\n`, 2000)
	return []byte(`{"model":"m","system":[{"type":"text","text":"` + text + `"}],"messages":[{"role":"user","content":[{"type":"text","text":"` + text + `"}]}]}`)
}

func BenchmarkLookingThroughARequest(b *testing.B) {
	body := typical()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if err := (modelRules{}).check(body); err != nil {
			b.Fatal(err)
		}
	}
}

// Whatever is sent, it is read to its end or refused, and a way out that stands in plain sight does not pass.
func FuzzNothingThatIsAskedBreaksTheReader(f *testing.F) {
	f.Add([]byte(claudeAsks))
	f.Add(typical())
	for _, body := range everywhere(`{"type":"image","source":{"type":"url"}}`) {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if err := (modelRules{}).check(body); err == nil && bytes.HasPrefix(body, []byte(`{"mcp_servers"`)) {
			t.Errorf("%q passes", body)
		}
	})
}
