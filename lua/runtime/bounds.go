package runtime

import (
	"context"
	"slices"
	"sort"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

const (
	// maxList is how long a list may be: gopher-lua gives it room for every item
	// below the largest, so that one assignment could take a gigabyte.
	maxList = 1 << 22
	// concatFunc is what compiled .. calls; no recipe can name it.
	concatFunc = "(concat)"
)

func init() { lua.MaxArrayIndex = maxList }

// openBounds puts bounds on what gopher-lua does without looking at the context.
func (s *State) openBounds(g *lua.LTable) {
	s.SetGlobal(concatFunc, s.Func("..", s.join))
	g.RawGetString("table").(*lua.LTable).RawSetString("sort", s.Func("table.sort", s.sort))
}

// join is the operator .. on all its operands at once: from the right, as Lua does.
func (s *State) join(l *lua.LState) int {
	n := l.GetTop()
	out := l.Get(n)
	for i := n - 1; i >= 1; {
		if !lua.LVCanConvToString(out) || !lua.LVCanConvToString(l.Get(i)) {
			out = s.joinObjects(l, i, out)
			i--
			continue
		}
		parts, size := []string{out.String()}, len(out.String())
		for ; i >= 1 && lua.LVCanConvToString(l.Get(i)); i-- {
			parts = append(parts, l.Get(i).String())
			if size += len(parts[len(parts)-1]); size > maxString {
				s.Raisef(l, "", "..: the result is longer than %d MB", maxString>>20)
			}
		}
		slices.Reverse(parts)
		out = lua.LString(strings.Join(parts, ""))
	}
	l.Push(out)
	return 1
}

// joinObjects asks the metatable of either operand: the one of that number, and what
// those behind it gave.
func (s *State) joinObjects(l *lua.LState, no int, b lua.LValue) lua.LValue {
	a := l.Get(no)
	op := l.GetMetaField(a, "__concat")
	if op == lua.LNil {
		op = l.GetMetaField(b, "__concat")
	}
	if op == lua.LNil {
		wrong := a
		if lua.LVCanConvToString(a) {
			wrong, no = b, no+1
		}
		// A plain text, as all errors of operators are.
		l.RaiseError("%s", sentence("concatenate", s.argument(l, no), wrong.Type().String()))
	}
	for _, v := range []lua.LValue{op, a, b} {
		l.Push(v)
	}
	l.Call(2, 1)
	out := l.Get(-1)
	l.Pop(1)
	return out
}

// sort is table.sort that ends when the context does.
func (s *State) sort(l *lua.LState) int {
	t := l.CheckTable(1)
	var less *lua.LFunction
	if l.Get(2) != lua.LNil {
		less = l.CheckFunction(2)
	}
	items := make([]lua.LValue, t.Len())
	for i := range items {
		items[i] = t.RawGetInt(i + 1)
	}
	ctx := l.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	n := 0
	sort.Slice(items, func(i, j int) bool {
		if n++; n&0xfff == 0 && ctx.Err() != nil {
			s.Raise(l, context.Cause(ctx))
		}
		return before(l, less, items[i], items[j])
	})
	for i, v := range items {
		t.RawSetInt(i+1, v)
	}
	return 0
}

func before(l *lua.LState, less *lua.LFunction, a, b lua.LValue) bool {
	if less == nil {
		return l.LessThan(a, b)
	}
	l.Push(less)
	l.Push(a)
	l.Push(b)
	l.Call(2, 1)
	out := lua.LVAsBool(l.Get(-1))
	l.Pop(1)
	return out
}
