package api

import (
	"fmt"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
	"vsl/lua/runtime"
)

// Debugger is told of what flows do, and may keep them waiting.
type Debugger interface {
	runtime.Hook
	Attach(s *runtime.State)
	// Phase is called before fn, the function of a flow, on its thread. The flow fails
	// with the error.
	Phase(l *lua.LState, fn *lua.LFunction, guest, phase string) error
	// Ended is called once that flow and what it deferred have run, on any goroutine.
	Ended(guest, phase string)
	// Primitive is called before each of the six; an error is raised instead.
	Primitive(l *lua.LState, name, words string) error
	// Breakpoint is what breakpoint() does.
	Breakpoint(l *lua.LState) error
}

// openBreakpoint defines breakpoint(), which stops a flow where somebody can look.
func (a *API) openBreakpoint() {
	if a.o.Debugger != nil {
		a.o.Debugger.Attach(a.S)
	}
	a.S.SetGlobal("breakpoint", a.S.Func("breakpoint", func(l *lua.LState) int {
		if a.o.Debugger == nil {
			a.passed.Do(func() {
				fmt.Fprintf(a.o.Log, "warning: breakpoint() at %s passed: there is no terminal to stop at\n", a.S.Pos(l))
			})
			return 0
		}
		if err := a.o.Debugger.Breakpoint(l); err != nil {
			a.S.Raise(l, err)
		}
		return 0
	}))
}

// announce tells the debugger of a primitive.
func (a *API) announce(l *lua.LState, name string, g engine.Guest, args any) {
	if a.o.Debugger == nil {
		return
	}
	var words []string
	for _, s := range engine.PrimitiveSteps(g.Name(), args) {
		words = append(words, s.String())
	}
	if err := a.o.Debugger.Primitive(l, name, g.Name()+": "+strings.Join(words, ", ")); err != nil {
		a.S.Raise(l, err)
	}
}

// FieldsOf names the fields of an object of the language, for those who show it
// unfolded.
func FieldsOf(v lua.LValue) []string {
	ud, ok := v.(*lua.LUserData)
	if !ok {
		return nil
	}
	switch ud.Value.(type) {
	case *Handle:
		var names []string
		for _, f := range Fields() {
			names = append(names, f.Name)
		}
		return names
	case *runtime.Fault:
		return []string{"message", "op", "target", "hint", "where"}
	}
	return nil
}
