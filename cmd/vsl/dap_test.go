package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-dap"

	"vsl/tests/dapclient"
	"vsl/tests/fixture"
)

const dapCounts = `local size = param.int("size", { default = 2 })
guest "counts" { command = { "/bin/sleep", "1000" }, run = function(g)
  local total, seen = 0, { 7, name = "x" }
  seen.self = seen
  for i = 1, size do
    total = total + i
  end
  print("total", total)
  g:write("/total", total .. "\n")
end }
`

// A guest comes up under an editor: breakpoint, stack, variables, one set, steps.
func TestGuestDap(t *testing.T) {
	e := newEditor(t, map[string]string{"counts.lua": dapCounts})
	e.Launch(map[string]any{"program": "counts.lua", "params": map[string]any{"size": 3}})
	got := e.Break(e.path("counts.lua"), dap.SourceBreakpoint{Line: 7})
	if len(got) != 1 || got[0].Verified {
		t.Fatalf("before the file is read: %+v", got)
	}
	e.Uncaught()
	e.Start()
	if b := dapclient.Event[*dap.BreakpointEvent](e.Client).Body.Breakpoint; !b.Verified || b.Line != 8 || b.Id != got[0].Id {
		t.Errorf("placed at %+v", b)
	}
	stop := dapclient.Event[*dap.StoppedEvent](e.Client).Body
	if stop.Reason != "breakpoint" || len(stop.HitBreakpointIds) != 1 || stop.HitBreakpointIds[0] != got[0].Id {
		t.Errorf("stopped for %+v", stop)
	}
	threads := dapclient.Do[*dap.ThreadsResponse](e.Client, &dap.ThreadsRequest{}).Body.Threads
	if len(threads) != 1 || threads[0].Name != "counts: run" || threads[0].Id != stop.ThreadId {
		t.Errorf("threads %+v", threads)
	}
	stack := e.Stack(stop.ThreadId)
	if len(stack) == 0 || stack[0].Line != 8 || stack[0].Source.Path != e.path("counts.lua") {
		t.Fatalf("stack %+v", stack)
	}
	locals := e.Variables(e.Scope(stack[0].Id, "Locals"))
	if locals["total"].Value != "6" || locals["seen"].IndexedVariables != 1 || locals["seen"].NamedVariables != 2 {
		t.Errorf("locals %+v", locals)
	}
	seen := e.Variables(locals["seen"].VariablesReference)
	if seen["name"].Value != `"x"` || seen["[1]"].Value != "7" || e.Variables(seen["self"].VariablesReference)["name"].Value != `"x"` {
		t.Errorf("seen %+v", seen)
	}
	if g := e.Variables(locals["g"].VariablesReference); g["state"].Value != `"running"` || g["name"].Value != `"counts"` {
		t.Errorf("g %+v", g)
	}
	if up := e.Variables(e.Scope(stack[0].Id, "Upvalues")); up["size"].Value != "3" {
		t.Errorf("upvalues %+v", up)
	}
	set := &dap.SetVariableRequest{}
	set.Arguments = dap.SetVariableArguments{VariablesReference: e.Scope(stack[0].Id, "Locals"), Name: "total", Value: "total * 7"}
	if v := dapclient.Do[*dap.SetVariableResponse](e.Client, set).Body.Value; v != "42" {
		t.Errorf("set to %s", v)
	}
	if at := e.Next(stop.ThreadId).Body; at.Reason != "step" || e.Stack(stop.ThreadId)[0].Line != 9 {
		t.Errorf("stepped to %+v", e.Stack(stop.ThreadId))
	}
	if r := e.Eval(0, "repl", `g:sh("echo inside").stdout`).Result; r != `"inside\n"` {
		t.Errorf("evaluated to %s", r)
	}
	e.Continue(stop.ThreadId)
	if code := e.Exit(); code != 0 {
		t.Errorf("exited with %d", code)
	}
	if out := e.Output("stderr"); out != "total\t42\n" {
		t.Errorf("printed %q", out)
	}
	if out := e.Output("stdout"); !strings.HasPrefix(out, "+  counts  created, up") {
		t.Errorf("reported %q", out)
	}
	e.Disconnect()
	e.ends(t)
	if out := e.vsl(t, "exec", "counts", "cat", "/total"); out != "42\n" {
		t.Errorf("the guest has %q", out)
	}
}

const dapFails = `guest "bad" { command = { "/bin/sleep", "1000" }, run = function(g)
  local why = "it was so"
  local t = {}
  print(t.x.y)
end }
`

// An error stops where it was raised, with the guest still there; then it is undone.
func TestGuestDapPostMortem(t *testing.T) {
	e := newEditor(t, map[string]string{"fails.lua": dapFails})
	e.Launch(map[string]any{"program": e.path("fails.lua")})
	e.Uncaught()
	e.Start()
	stop := dapclient.Event[*dap.StoppedEvent](e.Client).Body
	if stop.Reason != "exception" || !strings.Contains(stop.Text, "attempt to index") {
		t.Errorf("stopped for %+v", stop)
	}
	info := &dap.ExceptionInfoRequest{}
	info.Arguments.ThreadId = stop.ThreadId
	if b := dapclient.Do[*dap.ExceptionInfoResponse](e.Client, info).Body; !strings.Contains(b.Details.StackTrace, "fails.lua:4") {
		t.Errorf("exception %+v", b)
	}
	if why := e.Eval(e.Stack(stop.ThreadId)[0].Id, "watch", "why").Result; why != `"it was so"` {
		t.Errorf("why is %s", why)
	}
	if out := e.vsl(t, "status", "bad"); !strings.Contains(out, "running") {
		t.Errorf("while it is looked at: %s", out)
	}
	e.Continue(stop.ThreadId)
	if code := e.Exit(); code != 1 {
		t.Errorf("exited with %d", code)
	}
	if out := e.Output("stderr"); !strings.Contains(out, "vsl: bad: run: "+e.path("fails.lua")+":4: attempt to index") {
		t.Errorf("said %q", out)
	}
	e.Disconnect()
	e.ends(t)
	if out := e.vsl(t, "status", "bad"); !strings.Contains(out, "no such guest") {
		t.Errorf("it is still there: %s", out)
	}
}

// Whoever leaves a stopped flow, by which way ever, leaves nothing behind.
func TestGuestDapLeave(t *testing.T) {
	for name, leave := range map[string]func(e *editor){
		"disconnect": func(e *editor) { e.Disconnect() },
		"terminate": func(e *editor) {
			dapclient.Do[*dap.TerminateResponse](e.Client, &dap.TerminateRequest{})
			e.Exit()
			e.Disconnect()
		},
		"hang up": func(e *editor) { e.hangUp(); e.Wait() },
		"vanish":  func(e *editor) { e.vanish() },
		"signal":  func(e *editor) { _ = e.cmd.Process.Signal(os.Interrupt); e.Wait() },
	} {
		t.Run(name, func(t *testing.T) {
			e := newEditor(t, map[string]string{"counts.lua": dapCounts})
			e.Launch(map[string]any{"program": "counts.lua"})
			e.Break(e.path("counts.lua"), dap.SourceBreakpoint{Line: 8})
			e.Start()
			dapclient.Event[*dap.StoppedEvent](e.Client)
			if out := e.vsl(t, "status", "counts"); !strings.Contains(out, "running") {
				t.Errorf("before: %s", out)
			}
			leave(e)
			e.ends(t)
			if out := e.vsl(t, "status", "counts"); !strings.Contains(out, "no such guest") {
				t.Errorf("after: %s", out)
			}
		})
	}
}

// The same by VS Code's own test client, where npm can be had.
func TestGuestDapNode(t *testing.T) {
	needGuests(t)
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("needs npm, for a client of other make than the tests' own")
	}
	top, err := fixture.RepoRoot()
	if err != nil {
		t.Fatal(err)
	}
	tool := filepath.Join(top, ".cache", "dap")
	for _, name := range []string{"package.json", "package-lock.json", "session.js"} {
		text, err := os.ReadFile(filepath.Join("testdata/dap", name))
		if err == nil {
			err = os.MkdirAll(tool, 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(tool, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(tool, "node_modules/@vscode/debugadapter-testsupport")); err != nil {
		npm := exec.Command("npm", "ci", "--no-audit", "--no-fund")
		npm.Dir = tool
		if out, err := npm.CombinedOutput(); err != nil {
			t.Skipf("npm cannot install the client: %v\n%s", err, out)
		}
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"counts.lua": dapCounts, "fails.lua": dapFails} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bin := os.Getenv("VSL_BIN")
	defer func() {
		if out, err := exec.Command(bin, "--root", filepath.Join(dir, "r"), "rm", "-f", "--all").CombinedOutput(); err != nil {
			t.Errorf("clean up: %v\n%s", err, out)
		}
	}()
	node := exec.Command("node", filepath.Join(tool, "session.js"), bin, dir)
	if out, err := node.CombinedOutput(); err != nil || !strings.Contains(string(out), "as it should be") {
		t.Errorf("%v\n%s", err, out)
	}
}

// Secrets that vsl has read are not shown, however they are asked for.
func TestGuestDapSecrets(t *testing.T) {
	const secret = "open \"sesame\" <&>\nsecond line of it"
	e := newEditor(t, map[string]string{"password": secret, "long": strings.Repeat("0123456789abcdef", 20), "s.lua": `guest "s" { command = { "/bin/sleep", "1000" }, secrets = { password = secret.file("password"), long = secret.file("long") },
  run = function(g)
    local word = g:read("/run/secrets/password")
    local inside, long = { [word] = { word } }, g:read("/run/secrets/long")
    print(word)
    error(word)
  end }
`})
	e.Launch(map[string]any{"program": "s.lua"})
	e.Break(e.path("s.lua"), dap.SourceBreakpoint{Line: 5}, dap.SourceBreakpoint{Line: 5, LogMessage: "it is {word}"})
	e.Uncaught()
	e.Start()
	stop := dapclient.Event[*dap.StoppedEvent](e.Client).Body
	shown := []string{e.Output("console")}
	locals := e.Variables(e.Scope(e.Stack(stop.ThreadId)[0].Id, "Locals"))
	for name, v := range locals {
		shown = append(shown, name, v.Value)
	}
	for name, v := range e.Variables(locals["inside"].VariablesReference) {
		shown = append(shown, name, v.Value, v.EvaluateName)
	}
	shown = append(shown, e.Eval(0, "repl", "word").Result, e.Eval(0, "hover", "inside").Result, e.EvalFails(0, "repl", "error(word)"))
	e.Continue(stop.ThreadId)
	stop = dapclient.Event[*dap.StoppedEvent](e.Client).Body
	shown = append(shown, stop.Text, stop.Description)
	e.Continue(stop.ThreadId)
	e.Exit()
	shown = append(shown, e.Output("console"), e.Output("stderr"), e.Output("stdout"))
	all := strings.Join(shown, "\n")
	for _, part := range []string{"sesame", "second line", "456789ab"} {
		if strings.Contains(all, part) {
			t.Errorf("shown: %q", all)
		}
	}
	if !strings.Contains(locals["word"].Value, "[secret password]") {
		t.Errorf("the variable is shown as %q", locals["word"].Value)
	}
	e.Disconnect()
	e.ends(t)
}

// An embedded recipe is stopped in where only vsl has its text, and guests that come
// up at the same time are threads.
func TestGuestDapEmbedded(t *testing.T) {
	e := newEditor(t, nil)
	e.Launch(map[string]any{"program": "hello", "stopOnEntry": true})
	e.Start()
	stop := dapclient.Event[*dap.StoppedEvent](e.Client).Body
	top := e.Stack(stop.ThreadId)[0]
	if stop.Reason != "entry" || top.Source.Path != "hello/recipe.lua" || top.Source.SourceReference == 0 {
		t.Errorf("stopped for %+v at %+v, %+v", stop, top, top.Source)
	}
	f := &dap.SetFunctionBreakpointsRequest{}
	f.Arguments.Breakpoints = []dap.FunctionBreakpoint{{Name: "on:boot"}}
	dapclient.Do[*dap.SetFunctionBreakpointsResponse](e.Client, f)
	e.Continue(stop.ThreadId)
	stop = dapclient.Event[*dap.StoppedEvent](e.Client).Body
	if !strings.HasPrefix(stop.Text, "hello: ") {
		t.Errorf("then for %+v", stop)
	}
	e.Continue(stop.ThreadId)
	if code := e.Exit(); code != 0 {
		t.Errorf("exited with %d: %s", code, e.Output("stderr"))
	}
	e.Disconnect()
	e.ends(t)
}

func TestGuestDapParallel(t *testing.T) {
	e := newEditor(t, map[string]string{"two.lua": `for i = 1, 2 do
  guest("two" .. i) { command = { "/bin/sleep", "1000" }, run = function(g)
    local mine = i
    sleep(i == 1 and "300ms" or "2s")
    print("mine", mine)
  end }
end
`})
	e.Launch(map[string]any{"program": "two.lua", "parallel": 2})
	e.Break(e.path("two.lua"), dap.SourceBreakpoint{Line: 5})
	e.Start()
	for _, want := range []string{"1", "2"} {
		stop := dapclient.Event[*dap.StoppedEvent](e.Client).Body
		threads := dapclient.Do[*dap.ThreadsResponse](e.Client, &dap.ThreadsRequest{}).Body.Threads
		if want == "1" && len(threads) != 2 {
			t.Errorf("threads %+v", threads)
		}
		if v := e.Eval(0, "watch", "mine").Result; v != want {
			t.Errorf("stopped in %s, want %s", v, want)
		}
		e.Continue(stop.ThreadId)
	}
	if code := e.Exit(); code != 0 {
		t.Errorf("exited with %d: %s", code, e.Output("stderr"))
	}
	e.Disconnect()
	e.ends(t)
}

// What cannot be launched is told where it was launched; what is wrong in a recipe
// is shown as vsl check shows it. Reading alone can be debugged, too.
func TestGuestDapMistakes(t *testing.T) {
	e := newEditor(t, map[string]string{"wrong.lua": "local n = 1\nguest \"w\" { limt = {} }\n"})
	for _, c := range []struct{ launch, want string }{
		{`{"program": "wrnog"}`, "launch: no recipe \"wrnog\""}, {`{"program": "./none.lua"}`, "no such recipe file"},
		{`{"program": "wrong.lua", "verb": "fly"}`, "up, plan"}, {`{"program": "wrong.lua", "params": [1]}`, "must be one JSON object"},
		{`{"program": "wrong.lua", "cwd": "/nowhere"}`, "cwd"}, {`{"program": "wrong.lua", "paramsFile": "none.json"}`, "none.json"},
	} {
		if msg := e.Fails(&dap.LaunchRequest{Arguments: []byte(c.launch)}); !strings.Contains(msg, c.want) {
			t.Errorf("%s: %q", c.launch, msg)
		}
	}
	e.Launch(map[string]any{"program": "wrong.lua", "verb": "plan"})
	e.Break(e.path("wrong.lua"), dap.SourceBreakpoint{Line: 2})
	e.Start()
	stop := dapclient.Event[*dap.StoppedEvent](e.Client).Body
	if v := e.Eval(0, "watch", "n").Result; v != "1" {
		t.Errorf("n is %s", v)
	}
	e.Continue(stop.ThreadId)
	if code := e.Exit(); code != 2 || !strings.Contains(e.Output("stderr"), "unknown key \"limt\"") {
		t.Errorf("exited with %d: %s", code, e.Output("stderr"))
	}
	e.Disconnect()
	e.ends(t)
}

const dapEnds = `guest "ends" { command = { "/bin/sleep", "1000" }, stop = { timeout = "1s" }, shutdown = function(g)
  local words = "so long"
  print(words)
  kill { g, graceful = true }
end }
`

// A guest goes down, and another is restarted, under an editor that has the recipe
// open: breakpoints in it are those of the copy kept from the boot.
func TestGuestDapEnds(t *testing.T) {
	for verb, report := range map[string]string{"down": "-  ends  down", "restart": ">  ends  up"} {
		t.Run(verb, func(t *testing.T) {
			e := newEditor(t, map[string]string{"ends.lua": dapEnds})
			e.vsl(t, "up", e.path("ends.lua"))
			e.Launch(map[string]any{"program": "ends.lua", "verb": verb, "names": []string{"ends"}})
			e.Break(e.path("ends.lua"), dap.SourceBreakpoint{Line: 3})
			e.Start()
			stop := dapclient.Event[*dap.StoppedEvent](e.Client).Body
			top := e.Stack(stop.ThreadId)[0]
			if top.Line != 3 || top.Source.Path != e.path("ends.lua") {
				t.Errorf("stopped at %+v", top)
			}
			e.Eval(top.Id, "repl", `words = "farewell"`)
			e.Continue(stop.ThreadId)
			if code := e.Exit(); code != 0 {
				t.Errorf("exited with %d", code)
			}
			if out := e.Output("stderr"); out != "farewell\n" {
				t.Errorf("printed %q", out)
			}
			if out := e.Output("stdout"); !strings.HasPrefix(out, report) {
				t.Errorf("reported %q", out)
			}
			e.Disconnect()
			e.ends(t)
		})
	}
}
