package dap_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-dap"

	"vsl/tests/dapclient"
)

const counting = `local size = 3
guest "web" {
  boot = function(g)
    local total = 0
    local function add(n)
      local sq = n * n
      total = total + sq
      return total
    end
    for i = 1, size do
      add(i)
    end
    print("total", total)
    if total > 100 then
      error("too much")
    end
  end,
}
`

// begin launches, sets breakpoints and gives the first stop.
func (s *session) begin(list ...dap.SourceBreakpoint) dap.StoppedEventBody {
	s.Launch(map[string]any{"program": "r.lua"})
	s.Break(s.file, list...)
	s.Uncaught()
	s.Start()
	return dapclient.Event[*dap.StoppedEvent](s.Client).Body
}

func TestSteps(t *testing.T) {
	s := newSession(t, counting)
	at := s.begin(dap.SourceBreakpoint{Line: 11, Condition: "i == 2"})
	if l := s.line(at.ThreadId); l != 11 || at.Reason != "breakpoint" {
		t.Fatalf("stopped at line %d: %+v", l, at)
	}
	if s.StepIn(at.ThreadId); s.line(at.ThreadId) != 6 {
		t.Errorf("in: line %d", s.line(at.ThreadId))
	}
	stack := s.Stack(at.ThreadId)
	if len(stack) != 2 || stack[0].Name != "add" || stack[1].Line != 11 {
		t.Fatalf("stack %+v", stack)
	}
	if v := s.Variables(s.Scope(stack[1].Id, "Locals")); v["i"].Value != "2" {
		t.Errorf("the caller's locals: %+v", v)
	}
	if r := s.Eval(stack[0].Id, "watch", "total + n").Result; r != "3" {
		t.Errorf("total + n is %s", r)
	}
	s.Next(at.ThreadId)
	if s.StepOut(at.ThreadId); s.line(at.ThreadId) != 11 {
		t.Errorf("out: line %d", s.line(at.ThreadId))
	}
	s.Break(s.file)
	s.Continue(at.ThreadId)
	if code := s.Exit(); code != 0 {
		t.Errorf("exited with %d", code)
	}
	if out := s.Output("stdout"); out != "total\t14\n" {
		t.Errorf("printed %q", out)
	}
	s.Disconnect()
	if err := <-s.served; err != nil {
		t.Error(err)
	}
}

func TestSetAndUnfold(t *testing.T) {
	s := newSession(t, `local up = { 1, 2, 3, name = "n", ["a b"] = true, [true] = 4 }
up.up = up
guest "web" { boot = function(g)
  local a, bad = 1, setmetatable({}, { __tostring = function() error("never") end })
  local long = {}
  for i = 1, 3000 do long[i] = i end
  print(a, up.name, bad ~= nil, #long)
end }
`)
	at := s.begin(dap.SourceBreakpoint{Line: 7})
	frame := s.Stack(at.ThreadId)[0].Id
	locals := s.Variables(s.Scope(frame, "Locals"))
	if !strings.Contains(locals["bad"].Value, "never") || locals["long"].IndexedVariables != 3000 || len([]rune(locals["long"].Value)) > 161 {
		t.Errorf("locals %+v", locals)
	}
	if n := len(s.Variables(locals["long"].VariablesReference)); n != 2000 {
		t.Errorf("%d of 3000 entries are shown at once", n)
	}
	part := &dap.VariablesRequest{}
	part.Arguments = dap.VariablesArguments{VariablesReference: locals["long"].VariablesReference, Filter: "indexed", Start: 2990, Count: 100}
	if v := dapclient.Do[*dap.VariablesResponse](s.Client, part).Body.Variables; len(v) != 10 || v[0].Name != "[2991]" || v[0].EvaluateName != "long[2991]" {
		t.Errorf("the last part: %+v", v)
	}
	up := s.Variables(s.Scope(frame, "Upvalues"))["up"]
	inside := s.Variables(up.VariablesReference)
	if inside["name"].EvaluateName != "up.name" || inside["a b"].EvaluateName != `up["a b"]` || inside["[true]"].Value != "4" || inside["[2]"].Value != "2" {
		t.Errorf("up holds %+v", inside)
	}
	for range 10 { // it holds itself
		inside = s.Variables(inside["up"].VariablesReference)
	}
	set := func(ref int, name, value string) *dap.SetVariableRequest {
		r := &dap.SetVariableRequest{}
		r.Arguments = dap.SetVariableArguments{VariablesReference: ref, Name: name, Value: value}
		return r
	}
	dapclient.Do[*dap.SetVariableResponse](s.Client, set(s.Scope(frame, "Locals"), "a", "a + 41"))
	dapclient.Do[*dap.SetVariableResponse](s.Client, set(up.VariablesReference, "name", `"changed"`))
	for _, c := range []struct{ ref, name, value, want string }{
		{"locals", "nosuch", "1", "no variable"}, {"locals", "a", "1 +", "syntax error"}, {"locals", "a", "nosuch.x", "undefined global"},
		{"up", "nosuch", "1", "no entry"}, {"gone", "a", "1", "gone on"},
	} {
		ref := map[string]int{"locals": s.Scope(frame, "Locals"), "up": up.VariablesReference, "gone": 999999}[c.ref]
		if msg := s.Fails(set(ref, c.name, c.value)); !strings.Contains(msg, c.want) {
			t.Errorf("set %s to %s: %s", c.name, c.value, msg)
		}
	}
	if v := s.Variables(s.Scope(frame, "Globals")); v["guest"].Type != "function" || v["math"].NamedVariables == 0 || v["(line)"].Name != "" {
		t.Errorf("globals: %+v", v["guest"])
	}
	s.Continue(at.ThreadId)
	s.Exit()
	if out := s.Output("stdout"); out != "42\tchanged\ttrue\t3000\n" {
		t.Errorf("printed %q", out)
	}
}

func TestEvaluate(t *testing.T) {
	s := newSession(t, counting)
	if msg := s.EvalFails(0, "repl", "1"); !strings.Contains(msg, "nothing is stopped") {
		t.Error(msg)
	}
	at := s.begin(dap.SourceBreakpoint{Line: 13})
	for _, c := range []struct{ context, text, want string }{
		{"hover", "total", "14"}, {"hover", "g.name", `"web"`}, {"watch", "add(1)", "15"}, {"repl", "total = 100", ""},
		{"repl", "total, size", "100\t3"}, {"repl", "for i = 1, 2 do print(i) end", ""}, {"clipboard", "{ total }", "{ 100 }"},
	} {
		if got := s.Eval(0, c.context, c.text).Result; got != c.want {
			t.Errorf("%s %s: %q, want %q", c.context, c.text, got, c.want)
		}
	}
	for _, c := range []struct{ context, text, want string }{
		{"hover", "add(1)", "only names"}, {"hover", "total = 1", "only names"}, {"watch", "nosuch", "undefined global"},
		{"repl", "error('mine')", "mine"}, {"repl", "x x", "syntax error: "},
	} {
		if got := s.EvalFails(0, c.context, c.text); !strings.Contains(got, c.want) {
			t.Errorf("%s %s: %q", c.context, c.text, got)
		}
	}
	if msg := s.EvalFails(4711, "watch", "1"); !strings.Contains(msg, "no frame 4711") {
		t.Error(msg)
	}
	s.Break(s.file)
	dapclient.Event[*dap.InvalidatedEvent](s.Client)
	s.Continue(at.ThreadId)
	s.Exit()
	if out := s.Output("stdout"); out != "1\n2\ntotal\t100\n" {
		t.Errorf("printed %q", out)
	}
}

// An endless evaluation does not keep the session from ending.
func TestEvaluateForever(t *testing.T) {
	s := newSession(t, counting)
	s.begin(dap.SourceBreakpoint{Line: 13})
	r := &dap.EvaluateRequest{}
	r.Arguments = dap.EvaluateArguments{Expression: "(function() while true do end end)()", Context: "repl"}
	s.Send(r)
	s.Disconnect()
}

func TestKindsOfBreakpoints(t *testing.T) {
	s := newSession(t, counting)
	s.Launch(map[string]any{"program": "r.lua"})
	got := s.Break(s.file, dap.SourceBreakpoint{Line: 6, LogMessage: "n is {n}, {nosuch}"}, dap.SourceBreakpoint{Line: 7, HitCondition: ">= 3"},
		dap.SourceBreakpoint{Line: 9}, dap.SourceBreakpoint{Line: 500}, dap.SourceBreakpoint{Line: 7, Condition: "x x"}, dap.SourceBreakpoint{Line: 7, HitCondition: "often"})
	if !strings.Contains(got[4].Message, "no expression") || !strings.Contains(got[5].Message, "no number of hits") {
		t.Errorf("mistakes: %+v", got)
	}
	f := &dap.SetFunctionBreakpointsRequest{}
	f.Arguments.Breakpoints = []dap.FunctionBreakpoint{{Name: "phase boot"}, {Name: "on:bind_ip"}, {Name: "on:nosuch"}, {Name: "r.lua:3"}}
	fn := dapclient.Do[*dap.SetFunctionBreakpointsResponse](s.Client, f).Body.Breakpoints
	if !fn[0].Verified || !fn[1].Verified || fn[2].Verified || fn[3].Verified || !strings.Contains(fn[3].Message, "phase boot or on:bind_ip") {
		t.Errorf("function breakpoints: %+v", fn)
	}
	bad := &dap.SetExceptionBreakpointsRequest{}
	bad.Arguments.Filters = []string{"all"}
	if msg := s.Fails(bad); !strings.Contains(msg, "no filter") {
		t.Error(msg)
	}
	s.Start()
	placed := map[int]dap.Breakpoint{}
	for range 4 {
		b := dapclient.Event[*dap.BreakpointEvent](s.Client).Body.Breakpoint
		placed[b.Id] = b
	}
	if b := placed[got[2].Id]; !b.Verified || b.Line != 10 {
		t.Errorf("moved to %+v", b)
	}
	if b := placed[got[3].Id]; b.Verified || b.Message != "r.lua has no statement at line 500 or below" {
		t.Errorf("beyond the end: %+v", b)
	}
	at := dapclient.Event[*dap.StoppedEvent](s.Client).Body
	if at.Reason != "function breakpoint" || at.Text != "phase boot" || s.line(at.ThreadId) != 3 {
		t.Errorf("first %+v", at)
	}
	s.Continue(at.ThreadId)
	at = dapclient.Event[*dap.StoppedEvent](s.Client).Body // the loop, at the line it moved to
	if s.line(at.ThreadId) != 10 {
		t.Errorf("then line %d", s.line(at.ThreadId))
	}
	s.Continue(at.ThreadId)
	at = dapclient.Event[*dap.StoppedEvent](s.Client).Body
	if s.line(at.ThreadId) != 7 || s.Eval(0, "watch", "n").Result != "3" {
		t.Errorf("then line %d with n = %s", s.line(at.ThreadId), s.Eval(0, "watch", "n").Result)
	}
	s.Continue(at.ThreadId)
	s.Exit()
	if out := s.Output("console"); strings.Count(out, "n is ") != 3 || !strings.HasPrefix(out, "n is 1, {error: ") {
		t.Errorf("logged %q", out)
	}
}

// A default flow stops at its primitives, in a text that only vsl has.
func TestPrimitiveAndSource(t *testing.T) {
	s := newSession(t, `guest "web" { limit = { memory = "1M" } }`)
	s.Launch(map[string]any{"program": "r.lua"})
	f := &dap.SetFunctionBreakpointsRequest{}
	f.Arguments.Breakpoints = []dap.FunctionBreakpoint{{Name: "on:limit", Condition: "g.name == 'web'"}}
	dapclient.Do[*dap.SetFunctionBreakpointsResponse](s.Client, f)
	s.Start()
	at := dapclient.Event[*dap.StoppedEvent](s.Client).Body
	if at.Text != "web: set limits memory=1048576" {
		t.Errorf("stopped at %+v", at)
	}
	top := s.Stack(at.ThreadId)[0]
	if top.Source.Name != "vsl/flows.lua" || top.Source.SourceReference == 0 || top.PresentationHint != "subtle" {
		t.Fatalf("frame %+v", top)
	}
	src := &dap.SourceRequest{}
	src.Arguments.SourceReference = top.Source.SourceReference
	text := dapclient.Do[*dap.SourceResponse](s.Client, src).Body.Content
	if lines := strings.Split(text, "\n"); !strings.Contains(lines[top.Line-1], "limit") {
		t.Errorf("line %d is %q", top.Line, lines[top.Line-1])
	}
	src.Arguments.SourceReference = 99
	if msg := s.Fails(src); !strings.Contains(msg, "no source 99") {
		t.Error(msg)
	}
	s.Disconnect()
	if slices.Contains(s.e.Calls(), "boot web") {
		t.Errorf("went on after it was left: %q", s.e.Calls())
	}
}

// Flows at the same time are threads; while one is stopped the others can be
// looked at, and one that is told to step stops itself.
func TestThreads(t *testing.T) {
	s := newSession(t, `for i = 1, 2 do
  guest("web" .. i) { boot = function(g)
    local mine = i
    sleep(i == 1 and "200ms" or "1s")
    print(mine)
    print(mine)
  end }
end
`)
	at := s.begin(dap.SourceBreakpoint{Line: 5, Condition: "mine == 1"})
	threads := dapclient.Do[*dap.ThreadsResponse](s.Client, &dap.ThreadsRequest{}).Body.Threads
	if len(threads) != 2 {
		t.Fatalf("threads %+v", threads)
	}
	other := threads[0].Id
	if other == at.ThreadId {
		other = threads[1].Id
	}
	stack := s.Stack(other)
	if len(stack) != 1 || stack[0].Line != 4 && stack[0].Line != 5 {
		t.Fatalf("the other's stack: %+v", stack)
	}
	if v := s.Eval(stack[0].Id, "watch", "mine").Result; v != "2" {
		t.Errorf("the other's variable is %s", v)
	}
	if v := s.Variables(s.Scope(stack[0].Id, "Locals")); v["mine"].Value != "2" {
		t.Errorf("the other's locals: %+v", v)
	}
	if next := s.Next(other); next.Body.ThreadId != other || next.Body.Reason != "step" {
		t.Errorf("stepped the other: %+v", next.Body)
	}
	if msg := s.Fails(nextOf(77)); !strings.Contains(msg, "no thread 77") {
		t.Error(msg)
	}
	s.Continue(other)
	if code := s.Exit(); code != 0 {
		t.Errorf("exited with %d", code)
	}
}

func nextOf(thread int) *dap.NextRequest {
	r := &dap.NextRequest{}
	r.Arguments.ThreadId = thread
	return r
}

func TestPauseAndEntry(t *testing.T) {
	s := newSession(t, "local n = 0\nguest \"web\" { boot = function(g)\n  while n == 0 do\n    sleep('1ms')\n  end\nend }\n")
	s.Launch(map[string]any{"program": "r.lua", "stopOnEntry": true})
	s.Start()
	at := dapclient.Event[*dap.StoppedEvent](s.Client).Body
	if at.Reason != "entry" || s.line(at.ThreadId) != 1 {
		t.Errorf("entered at %+v", at)
	}
	if s.Next(at.ThreadId); s.line(at.ThreadId) != 2 {
		t.Errorf("stepped to line %d", s.line(at.ThreadId))
	}
	at = s.Next(at.ThreadId).Body // reading ends, and a flow begins
	if s.line(at.ThreadId) != 3 || at.ThreadId == 1 {
		t.Errorf("stepped to line %d of thread %d", s.line(at.ThreadId), at.ThreadId)
	}
	s.Continue(at.ThreadId)
	r := &dap.PauseRequest{}
	r.Arguments.ThreadId = at.ThreadId
	dapclient.Do[*dap.PauseResponse](s.Client, r)
	if paused := dapclient.Event[*dap.StoppedEvent](s.Client).Body; paused.Reason != "pause" || paused.ThreadId != at.ThreadId {
		t.Errorf("paused at %+v", paused)
	}
	s.Eval(0, "repl", "n = 1")
	s.Continue(at.ThreadId)
	if code := s.Exit(); code != 0 {
		t.Errorf("exited with %d", code)
	}
}

func TestNoDebug(t *testing.T) {
	s := newSession(t, counting)
	s.Launch(map[string]any{"program": "r.lua", "noDebug": true})
	s.Break(s.file, dap.SourceBreakpoint{Line: 13})
	s.Start()
	if code := s.Exit(); code != 0 || s.Output("stdout") != "total\t14\n" {
		t.Errorf("exited with %d, printed %q", code, s.Output("stdout"))
	}
	s.Disconnect()
}

func TestRefused(t *testing.T) {
	s := newSession(t, counting)
	for _, c := range []struct {
		request dap.RequestMessage
		want    string
	}{
		{&dap.LaunchRequest{Arguments: json.RawMessage(`{}`)}, `no "program"`},
		{&dap.LaunchRequest{Arguments: json.RawMessage(`{"program": 5}`)}, "launch: "},
		{&dap.LaunchRequest{Arguments: json.RawMessage(`{"program": "x", "verb": "fly"}`)}, "no verb fly"},
		{&dap.AttachRequest{Arguments: json.RawMessage(`{}`)}, "use launch"},
		{&dap.ReadMemoryRequest{}, "does not know readMemory"},
		{&dap.SetBreakpointsRequest{}, "of which file"},
		{nextOf(1), "nothing is stopped"},
		{&dap.LaunchRequest{Request: dap.Request{Command: "fly"}}, "fly"},
	} {
		if msg := s.Fails(c.request); !strings.Contains(msg, c.want) {
			t.Errorf("%T: %q, want %q", c.request, msg, c.want)
		}
	}
	s.Launch(map[string]any{"program": "r.lua"})
	if msg := s.Fails(&dap.LaunchRequest{Arguments: json.RawMessage(`{"program": "r.lua"}`)}); !strings.Contains(msg, "launched already") {
		t.Error(msg)
	}
	s.Disconnect() // before anything ran
	if len(s.e.Calls()) > 0 {
		t.Errorf("did %q", s.e.Calls())
	}
}

// What is no protocol ends the session with an error, after what ran is undone.
func TestGarbage(t *testing.T) {
	s := newSession(t, counting)
	s.begin(dap.SourceBreakpoint{Line: 13})
	fmt.Fprint(s.raw, "Content-Length: 3\r\n\r\n{}}")
	fmt.Fprint(s.raw, "GET / HTTP/1.1\r\n")
	err := <-s.served
	if err == nil || !strings.Contains(err.Error(), "no header of a frame") {
		t.Errorf("ended with %v", err)
	}
	if out := s.Output("console"); !strings.Contains(out, "no request") {
		t.Errorf("said %q", out)
	}
}
