package dap_test

import (
	"testing"

	"github.com/google/go-dap"
)

// The stack of a coroutine is its own, and below it that of who resumed it.
func TestCoroutine(t *testing.T) {
	s := newSession(t, `guest "web" { boot = function(g)
  local co = coroutine.wrap(function(a)
    local b = a + 1
    coroutine.yield(b)
  end)
  local x = co(1)
  print(x)
end }
`)
	at := s.begin(dap.SourceBreakpoint{Line: 6})
	s.StepIn(at.ThreadId)
	s.Next(at.ThreadId)
	stack := s.Stack(at.ThreadId)
	if len(stack) != 2 || stack[0].Line != 4 || stack[0].Name != "a coroutine" || stack[1].Line != 6 {
		t.Fatalf("stack %+v", stack)
	}
	if v := s.Variables(s.Scope(stack[0].Id, "Locals")); v["b"].Value != "2" || v["x"].Name != "" {
		t.Errorf("the coroutine's locals: %+v", v)
	}
	if v := s.Variables(s.Scope(stack[1].Id, "Locals")); v["co"].Type != "function" || v["b"].Name != "" {
		t.Errorf("the resumer's locals: %+v", v)
	}
	if r := s.Eval(stack[1].Id, "watch", "g.name").Result; r != `"web"` {
		t.Errorf("g.name is %s", r)
	}
	if s.StepOut(at.ThreadId); s.line(at.ThreadId) != 7 {
		t.Errorf("out: line %d", s.line(at.ThreadId))
	}
	s.Continue(at.ThreadId)
	if code := s.Exit(); code != 0 {
		t.Errorf("exited with %d", code)
	}
}
