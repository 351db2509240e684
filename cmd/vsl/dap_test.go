package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-dap"

	"vsl/tests/dapclient"
)

// editor is a session with the built vsl, on a state root of its own.
type editor struct {
	*dapclient.Client
	dir, root string
	cmd       *exec.Cmd
	stderr    strings.Builder
	hangUp    func() // closes what the adapter reads
}

// newEditor starts vsl dap in a folder with files.
func newEditor(t *testing.T, files map[string]string) *editor {
	t.Helper()
	if os.Geteuid() != 0 || os.Getenv("VSL_TEST_ROOT") != "1" {
		if os.Getenv("VSL_TEST_REQUIRE") != "" {
			t.Fatal("needs root and VSL_TEST_ROOT=1: make test-guest sets it")
		}
		t.Skip("needs root and VSL_TEST_ROOT=1")
	}
	bin := os.Getenv("VSL_BIN")
	if bin == "" {
		t.Fatal("VSL_BIN names the vsl to test: make test-guest sets it")
	}
	e := &editor{dir: t.TempDir()}
	e.root = filepath.Join(e.dir, "r")
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(e.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e.cmd = exec.Command(bin, "--root", e.root, "dap")
	e.cmd.Dir, e.cmd.Stderr = e.dir, &e.stderr
	in, err := e.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e.hangUp = func() { in.Close() }
	e.Client = dapclient.New(t, out, in)
	t.Cleanup(func() {
		in.Close()
		if e.cmd.ProcessState == nil {
			_ = e.cmd.Wait() // its input has ended: it undoes what it did, and goes
		}
		if out, err := exec.Command(bin, "--root", e.root, "rm", "-f", "--all").CombinedOutput(); err != nil {
			t.Errorf("clean up: %v\n%s", err, out)
		}
	})
	return e
}

// ends waits for the process, which has nothing to say outside of the protocol.
func (e *editor) ends(t *testing.T) {
	t.Helper()
	if err := e.cmd.Wait(); err != nil || e.stderr.Len() > 0 {
		t.Errorf("vsl dap ended with %v and said %q", err, e.stderr.String())
	}
}

// vsl runs another command on the same root.
func (e *editor) vsl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(os.Getenv("VSL_BIN"), append([]string{"--root", e.root}, args...)...).CombinedOutput()
	if err != nil {
		return err.Error() + ": " + string(out)
	}
	return string(out)
}

func (e *editor) path(name string) string { return filepath.Join(e.dir, name) }

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
