package debug

import (
	"fmt"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"vsl/lua/api"
	"vsl/lua/runtime"
)

// Stop is a flow that waits for what the front end says.
type Stop struct {
	Reason Reason
	Text   string // in words: "breakpoint 2", the error, the primitive's step
	Flow   Flow
	Levels []*runtime.Level // innermost first
	Err    error            // of a failure
	Breaks []int            // numbers of the breakpoints it is at

	c *Controller
	l *lua.LState
}

func (s *Stop) state() *runtime.State { return s.c.state(s.l) }

// Variables are those of a level.
func (s *Stop) Variables(v *runtime.Level) []runtime.Variable { return s.state().Variables(s.l, v) }

// Set gives a variable of a level the value of an expression.
func (s *Stop) Set(v *runtime.Level, name, text string) (lua.LValue, error) {
	got, err := s.state().EvalAt(s.l, v, text)
	if err != nil {
		return lua.LNil, err
	}
	value := lua.LValue(lua.LNil)
	if len(got) > 0 {
		value = got[0]
	}
	if !s.state().SetVariable(s.l, v, name, value) {
		return lua.LNil, fmt.Errorf("there is no variable %q here", name)
	}
	return value, nil
}

// Eval runs a text at a level.
func (s *Stop) Eval(v *runtime.Level, text string) ([]lua.LValue, error) {
	return s.state().EvalAt(s.l, v, text)
}

// Value prints a value. What a __tostring of the recipe's fails with is printed
// in its place.
func (s *Stop) Value(v lua.LValue) string {
	text := ""
	if err := s.state().Try(s.l, func(l *lua.LState) { text = runtime.Pretty(l, v) }); err != nil {
		return "{error: " + err.Error() + "}"
	}
	return text
}

// Globals is the table of what every function sees.
func (s *Stop) Globals() *lua.LTable { return s.l.G.Global }

// Item is something inside a value.
type Item struct {
	Key, Value lua.LValue
	Err        error // why there is no value
}

// Name is how an item is written after the value that it is in.
func (e Item) Name() string {
	switch k := e.Key.(type) {
	case lua.LString:
		return string(k)
	default:
		return "[" + k.String() + "]"
	}
}

// Size says how many entries a value has: those of a list, and those with names.
func (s *Stop) Size(v lua.LValue) (listed, named int) {
	t, ok := v.(*lua.LTable)
	if !ok {
		return 0, len(api.FieldsOf(v))
	}
	listed = t.Len()
	t.ForEach(func(k, _ lua.LValue) {
		if !isListed(k, listed) && !hidden(k) {
			named++
		}
	})
	return listed, named
}

// Listed are entries of a list, count of them after the first start.
func (s *Stop) Listed(v lua.LValue, start, count int) (out []Item) {
	t, ok := v.(*lua.LTable)
	if !ok {
		return nil
	}
	for i := start + 1; i <= t.Len() && len(out) < count; i++ {
		out = append(out, Item{Key: lua.LNumber(i), Value: t.RawGetInt(i)})
	}
	return out
}

// Named are the other entries, in the order of their names.
func (s *Stop) Named(v lua.LValue) (out []Item) {
	t, ok := v.(*lua.LTable)
	if !ok {
		for _, name := range api.FieldsOf(v) {
			e := Item{Key: lua.LString(name), Value: lua.LNil}
			e.Err = s.state().Try(s.l, func(l *lua.LState) { e.Value = l.GetField(v, name) })
			out = append(out, e)
		}
		return out
	}
	n := t.Len()
	t.ForEach(func(k, v lua.LValue) {
		if !isListed(k, n) && !hidden(k) {
			out = append(out, Item{Key: k, Value: v})
		}
	})
	slices.SortStableFunc(out, func(a, b Item) int { return strings.Compare(a.Name(), b.Name()) })
	return out
}

func isListed(k lua.LValue, n int) bool {
	i, ok := k.(lua.LNumber)
	return ok && i >= 1 && int(i) <= n && lua.LNumber(int(i)) == i
}

// hidden are the globals that only compiled code can name.
func hidden(k lua.LValue) bool {
	name, ok := k.(lua.LString)
	return ok && strings.HasPrefix(string(name), "(")
}

// SetEntry gives an entry of a table that is there the value of an expression.
func (s *Stop) SetEntry(at *runtime.Level, v lua.LValue, name, text string) (lua.LValue, error) {
	t, ok := v.(*lua.LTable)
	if !ok {
		return lua.LNil, fmt.Errorf("only variables and entries of tables can be set, and %s is neither", name)
	}
	var key lua.LValue
	t.ForEach(func(k, _ lua.LValue) {
		if (Item{Key: k}).Name() == name {
			key = k
		}
	})
	if key == nil {
		return lua.LNil, fmt.Errorf("the table has no entry %s", name)
	}
	got, err := s.Eval(at, text)
	if err != nil {
		return lua.LNil, err
	}
	value := lua.LValue(lua.LNil)
	if len(got) > 0 {
		value = got[0]
	}
	t.RawSet(key, value)
	return value, nil
}

// Source gives the lines of a text that was read, nil of one that was not.
func (s *Stop) Source(file string) []string { return s.state().Source(file) }
