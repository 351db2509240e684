package debug_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vsl/engine"
	"vsl/engine/enginetest"
	"vsl/lua"
	"vsl/lua/debug"
	"vsl/lua/repl"
)

// session loads a recipe under the debugger, types the lines at its prompts and
// boots the first guest. It gives what the console printed and the flow's error.
func session(t *testing.T, recipe, input string, prepare func(*debug.Console)) (string, []string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "r.lua")
	if err := os.WriteFile(path, []byte(recipe), 0o644); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	c := &debug.Console{Out: &out, File: path}
	c.C = debug.New(c)
	c.Open = func() repl.Reader {
		return repl.NewReader(strings.NewReader(input), &out, false, func(string) bool { return true }, nil)
	}
	c.C.OnFailure = true
	if prepare != nil {
		prepare(c)
	}
	c.Begin()
	e := enginetest.NewEngine()
	r, err := lua.Load(context.Background(), path, nil, lua.Options{Engine: e, Stdout: &out, Stderr: &out, Debugger: c.C, DebugAll: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	g, err := e.New(r.Guests[0].Spec)
	if err != nil {
		t.Fatal(err)
	}
	err = r.Guests[0].Flows.Boot(context.Background(), g)
	return strings.ReplaceAll(out.String(), filepath.Dir(path)+"/", ""), e.Calls(), err
}

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

const inCoroutine = `guest "web" {
  boot = function(g)
    local co = coroutine.wrap(function(a)
      local b = a + 1
      local got = coroutine.yield(b)
      return got + b
    end)
    local x = co(1)
    local y = co(10)
    print(x, y)
  end,
}
`

func TestConsole(t *testing.T) {
	for _, c := range []struct {
		name, recipe, input string
		want                []string // in this order
		err                 string
	}{
		{"break at a line, look, set, go on", counting, ".break 13\n.cont\n.locals\ntotal = total + 1\ntotal\n.cont\n",
			[]string{"breakpoint 1: r.lua:13, once", "stopped in web: boot: breakpoint 1, at r.lua:13", ">   13      print(", "g = guest web", "total = 14", "size = 3  (of a function around)", "\n15\n", "total\t15"}, ""},
		{"an upvalue", counting, ".break 7\n.cont\ntotal = 100\n.finish\n.delete\n.cont\n", []string{"at r.lua:7", "total\t114"}, "boot: r.lua:15: too much"},
		{"a condition", counting, ".break 6 if n == 3\n.cont\nn\n.cont\n", []string{"at r.lua:6", "\n3\n", "total\t14"}, ""},
		{"a condition that fails stops", counting, ".break 6 if n.x.y\n.cont\n.delete 1\n.cont\n", []string{"breakpoint 1, whose condition failed: attempt to index", "at r.lua:6", "total\t14"}, ""},
		{"moved to the next statement", counting, ".break 9\n.break\n.cont\n.break\n.cont\n", []string{"stopped in web: boot: breakpoint 1, at r.lua:10", "r.lua:9, moved to line 10"}, ""},
		{"step into, over, out", counting, ".break 11 if i == 2\n.cont\n.step\n.bt\n.next\n.up\n.locals\n.finish\n.next\n.delete\n.cont\n",
			[]string{"at r.lua:11", "step, at r.lua:6", "> r.lua:6: in function 'add'\n  r.lua:11:", "step, at r.lua:7", "r.lua:11:", "i = 2", "step, at r.lua:11", "step, at r.lua:13"}, ""},
		{"next stays in its function, and an empty line repeats it", counting, ".break 10\n.cont\n.next\n\n\n.cont\n", []string{"at r.lua:10", "at r.lua:11", "at r.lua:11", "at r.lua:11", "total\t14"}, ""},
		{"watch", counting, ".watch total\n.watch nosuch\n.break 13\n.cont\n.cont\n", []string{"total = 14\nnosuch = error: undefined global"}, ""},
		{"phase", counting, ".break phase boot\n.cont\n.locals\nsize + 1\n.next\n.cont\n", []string{"stopped in web: boot: phase boot, at r.lua:3", "size = 3", "\n4\n", "step, at r.lua:4", "total\t14"}, ""},
		{"post-mortem", "guest \"web\" { boot = function(g)\n  local t = { 1 }\n  local x = t.a.b\nend }\n", ".cont\n.locals\n.bt\n.cont\n", []string{"attempt to index", "at r.lua:3", "t = { 1 }"}, "r.lua:3: attempt to index"},
		{"a caught error is none", "guest \"web\" { boot = function(g)\n  pcall(error, 'x')\n  print(pcall(function() local y = nil + 1 end))\nend }\n", ".cont\n", []string{"false\t"}, ""},
		{"an error in another thread is shown once", "guest \"web\" { boot = function(g)\n  timeout('1m', function()\n    error('deep')\n  end)\nend }\n", ".cont\n.bt\n.cont\n", []string{"at r.lua:3", "r.lua:3:"}, "r.lua:3: deep"},
		{"stack overflow has no prompt", "guest \"web\" { boot = function(g)\n  local function f() return 1 + f() end f()\nend }\n", ".cont\n", nil, "nest too deep"},
		{"quit is abort", counting, ".break 13\n.cont\n.quit\n", []string{"at r.lua:13"}, "ended at the debugger's prompt"},
		{"abort", counting, ".break 13\n.cont\n.abort\n", []string{"at r.lua:13"}, "ended at the debugger's prompt"},
		{"on a primitive of the default flow", "guest \"web\" { limit = { memory = '1M' } }\n", ".break on:limit\n.cont\ng.name\nspec.limit.memory\n.cont\n", []string{"web: set limits memory=1048576", "\"web\"\n1048576"}, ""},
		{"steps in a default flow go from primitive to primitive", "guest \"web\" { limit = { memory = '1M' } }\n", ".break phase boot\n.cont\n.next\n.step\n.next\n.cont\n", []string{"stopped in web: boot: phase boot", "stopped in web: boot: web: create", "stopped in web: boot: web: clone", "stopped in web: boot: web: set limits"}, ""},
		{"next goes over a default flow that the recipe calls", "guest \"web\" { boot = function(g)\n  require 'vsl.flows'.boot(g)\n  print 'booted'\nend }\n", ".break 2\n.cont\n.next\n.cont\n", []string{"at r.lua:2", "step, at r.lua:3", "booted"}, ""},
		{"step goes into it, finish out of it", "guest \"web\" { boot = function(g)\n  require 'vsl.flows'.boot(g)\n  print 'booted'\nend }\n", ".break 2\n.cont\n.step\n.finish\n.cont\n", []string{"at r.lua:2", "stopped in web: boot: web: create guest web, create cgroup web, at r.lua:2", "step, at r.lua:3", "booted"}, ""},
		{"a line that is not there", counting, ".break 99\n.break\n.cont\n", []string{"breakpoint 1: r.lua:99, once", "breakpoint 1: r.lua:99: no statement stands there or after it", "total\t14"}, ""},
		{"breakpoint in a coroutine", "guest \"web\" { boot = function(g)\n  local co = coroutine.wrap(function(a) local b = a + 1 breakpoint() coroutine.yield(b) end)\n  print('got', co(1))\nend }\n", ".cont\n.locals\nb = 7\n.cont\n", []string{"breakpoint(), at r.lua:2", "a = 1\nb = 2", "got\t7"}, ""},
		{"into a coroutine, over a yield, and in again", inCoroutine, ".break 8\n.cont\n.step\n.bt\n.locals\n.next\n.locals\n.up\n.locals\n.next\n.bt\n.step\n.locals\n.finish\n.cont\n",
			[]string{"breakpoint 1, at r.lua:8", "step, at r.lua:4", "> r.lua:4: in a coroutine\n  r.lua:8: ", "a = 1\n", "step, at r.lua:5", "a = 1\nb = 2\n", "r.lua:8: ", "co = function", "step, at r.lua:9", "> r.lua:9: in the recipe\n", "step, at r.lua:6", "b = 2\ngot = 10\n", "step, at r.lua:10", "2\t12\n"}, ""},
		{"next does not go into a coroutine", inCoroutine, ".break 8\n.cont\n.next\n.next\n.cont\n", []string{"at r.lua:8", "step, at r.lua:9", "step, at r.lua:10", "2\t12\n"}, ""},
		{"out of a coroutine", inCoroutine, ".break 4\n.cont\nb, a = 5, 7\na\n.finish\n.cont\n", []string{"breakpoint 1, at r.lua:4", "\n7\n", "step, at r.lua:9", "8\t18\n"}, ""},
		{"into create and resume", "guest \"web\" { boot = function(g)\n  local co = coroutine.create(function(a)\n    local b = a\n    coroutine.yield(b)\n  end)\n  print(coroutine.resume(co, 3))\nend }\n", ".break 6\n.cont\n.step\n.step\n.bt\n.locals\n.finish\n.cont\n",
			[]string{"at r.lua:6", "step, at r.lua:3", "step, at r.lua:4", "> r.lua:4: in a coroutine\n  r.lua:6: in the recipe\n", "a = 3\nb = 3\n", "true\t3\n"}, ""},
		{"breakpoint in parallel", "guest \"web\" { boot = function(g)\n  print(parallel {\n    function() local a = 1 breakpoint() return a end,\n    function() local b = 2 breakpoint() return b end })\nend }\n", ".cont\n.locals\n.cont\n.locals\n.cont\n", []string{"breakpoint()", "breakpoint()", "1\t2"}, ""},
		{"tail calls", "guest \"web\" { boot = function(g)\n  local function f(n) if n == 0 then breakpoint() return 1 end return f(n - 1) end\n  return f(50)\nend }\n", ".cont\n.bt\nn\n.cont\n", []string{"breakpoint(), at r.lua:2", "\n0\n"}, ""},
		{"a chunk of several lines, and mistakes", counting, ".break 13\n.cont\nfor i = 1, 2 do\n  print(\"line\", i)\nend\n1 +\n2\nx x\n.nosuch\n.cont\n", []string{"line\t1\nline\t2", "\n3\n", "error: ", "unknown command .nosuch", "total\t14"}, ""},
		{"a primitive at the prompt", counting, ".break 13\n.cont\nlimit { g, pids = 5 }\n.cont\n", []string{"total\t14"}, ""},
		{"the input ends", counting, ".break 11\n.cont\n", []string{"at r.lua:11", "total\t14"}, ""},
		{"nothing runs yet", counting, ".bt\n.locals\nx = 1\n.help\n.cont\n", []string{".bt: nothing runs yet", "nothing runs yet", ".cont .c"}, ""},
		{"wrong places", counting, ".break phase bot\n.break on:bindip\n.break 0\n.break x\n.delete 7\n.cont\n", []string{`"bot" is no phase`, `"bindip" is no primitive`, "0 is no line", `"x" is no place`, "no breakpoint 7"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, calls, err := session(t, c.recipe, c.input, nil)
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains("boot: "+strings.ReplaceAll(err.Error(), "/", ""), strings.TrimPrefix(c.err, "boot: ")) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			rest := out
			for _, w := range c.want {
				_, after, ok := strings.Cut(rest, w)
				if !ok {
					t.Fatalf("no %q in the rest of\n%s", w, out)
				}
				rest = after
			}
			if c.name == "an error in another thread is shown once" && strings.Count(out, "stopped in") != 1 {
				t.Errorf("shown more than once:\n%s", out)
			}
			if c.name == "a primitive at the prompt" && !strings.Contains(strings.Join(calls, "\n"), "limit web pids=5") {
				t.Errorf("not done: %q", calls)
			}
		})
	}
}

// Each asks before each primitive and does what is said.
func TestEach(t *testing.T) {
	const recipe = "guest \"web\" { limit = { pids = 5 } }\n"
	each := func(c *debug.Console) { c.C.Each = true }
	for _, c := range []struct{ input, last, err string }{
		{".cont\ny\nyes\n\ny\ny\ny\n", "boot web", ""},
		{".cont\ny\nno\n", "context web", "ended at the debugger's prompt"},
		{".cont\ny\nall\n", "boot web", ""},
		{".cont\nlook\n.locals\n.cont\n", "context web", "ended at the debugger's prompt"}, // the input ends
	} {
		out, calls, err := session(t, recipe, c.input, each)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: error %v, want %q\n%s", c.input, err, c.err, out)
		}
		if len(calls) == 0 || calls[len(calls)-1] != c.last {
			t.Errorf("%q: did %q\n%s", c.input, calls, out)
		}
	}
}

// Flows of two recipes, each in a state of its own, stop one after the other.
func TestTwoRecipes(t *testing.T) {
	const recipe = "guest 'web' { boot = function(g)\n  local sum = 0\n  for i = 1, 20 do\n    breakpoint()\n    sum = sum + i\n  end\nend }"
	stops, inside := 0, 0
	c := debug.New(front(func(s *debug.Stop) debug.Command {
		if inside++; inside != 1 {
			t.Error("two flows are stopped at once")
		}
		if got, err := s.Eval(s.Levels[0], "i"); err != nil || len(got) != 1 {
			t.Errorf("i is %v, %v", got, err)
		}
		stops++
		inside--
		return debug.Continue
	}))
	done := make(chan error)
	for range 2 {
		e := enginetest.NewEngine()
		r, err := lua.Load(context.Background(), "r.lua", []byte(recipe), lua.Options{Engine: e, Dir: t.TempDir(), Debugger: c, DebugAll: true})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		g, err := e.New(r.Guests[0].Spec)
		if err != nil {
			t.Fatal(err)
		}
		go func() { done <- r.Guests[0].Flows.Boot(context.Background(), g) }()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if stops != 40 {
		t.Errorf("%d stops", stops)
	}
}

type front func(s *debug.Stop) debug.Command

func (f front) Stopped(s *debug.Stop) debug.Command { return f(s) }

// Without a debugger nothing is compiled in, and breakpoint() only warns.
func TestPassed(t *testing.T) {
	e := enginetest.NewEngine()
	var out strings.Builder
	r, err := lua.Load(context.Background(), "r.lua", []byte("guest \"web\" { boot = function(g) breakpoint() breakpoint() print 'on' end }"),
		lua.Options{Engine: e, Stdout: &out, Stderr: &out, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	g, err := e.New(&engine.Spec{Name: "web"})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Guests[0].Flows.Boot(context.Background(), g); err != nil {
		t.Fatal(err)
	}
	if want := "warning: breakpoint() at r.lua:1 passed: there is no terminal to stop at\non\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

func FuzzParseBreak(f *testing.F) {
	for _, s := range []string{"a.lua:1", "12 if x == 1", "phase boot", "on:kill", ":", "x:99999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if b, err := debug.ParseBreak(s, "r.lua"); err == nil && b.Line < 1 && b.Phase == "" && b.Primitive == "" {
			t.Errorf("%q is %+v", s, b)
		}
	})
}
