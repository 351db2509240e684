package runtime

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"vsl/lua/bind"
)

// refused are the globals of plain Lua that recipes do not get, and what to do instead.
var refused = map[string]string{
	"io":             `recipes do not reach the host's files; g:read and g:write act inside a guest`,
	"dofile":         `use require`,
	"loadfile":       `use require`,
	"load":           `recipes do not compile text`,
	"loadstring":     `recipes do not compile text`,
	"debug":          `the debug library is not part of recipes`,
	"package":        `require looks in the recipe's folder, in the user's, and in vsl.*`,
	"module":         `return a table from the file instead`,
	"getfenv":        `environments are not part of recipes`,
	"setfenv":        `environments are not part of recipes`,
	"newproxy":       `use a table`,
	"collectgarbage": `memory is Go's business`,
	"utf8":           `Lua here is 5.1; require "vsl.std" has utf8`,
	"bit32":          `Lua here is 5.1`,
}

// openLibs gives the state its libraries: what gopher-lua has and is sound,
// and our own versions of the rest.
func (s *State) openLibs() {
	l := s.l
	all := l.NewTable() // base functions land here first
	keep := strings.Fields("getmetatable ipairs next pairs rawequal rawget rawset select setmetatable tostring type")
	lua.OpenBase(l)
	g := l.G.Global
	g.ForEach(func(k, v lua.LValue) { all.RawSet(k, v) })
	all.ForEach(func(k, _ lua.LValue) { g.RawSet(k, lua.LNil) })
	for _, name := range keep {
		g.RawSetString(name, all.RawGetString(name))
	}
	g.RawSetString("_G", g)
	g.RawSetString("_VERSION", lua.LString("Lua 5.1"))
	s.openFaults()
	for name, fn := range map[string]lua.LGFunction{
		"pcall": s.pcall, "xpcall": s.xpcall, "error": s.luaError, "assert": s.assert, "print": s.print, "require": s.require,
		"tonumber": tonumber, "unpack": s.unpack,
	} {
		g.RawSetString(name, l.NewFunction(fn))
	}
	g.RawSetString(tableFunc, l.NewFunction(s.markTable))
	s.openTable(g)
	s.openString(g)
	s.openRest(g)
	s.openBounds(g)
	s.openDates(g)
	s.openCoroutines(g)
	s.strictGlobals(g)
}

// SetGlobal defines a global. It may be used before anything runs.
func (s *State) SetGlobal(name string, v lua.LValue) { s.l.G.Global.RawSetString(name, v) }

// GetGlobal gives a global, or nil.
func (s *State) GetGlobal(name string) lua.LValue { return s.l.G.Global.RawGetString(name) }

// Globals lists the names that a recipe may use.
func (s *State) Globals() []string {
	names := []string{}
	s.l.G.Global.ForEach(func(k, _ lua.LValue) {
		if n, ok := k.(lua.LString); ok && !strings.HasPrefix(string(n), "(") {
			names = append(names, string(n))
		}
	})
	return names
}

func (s *State) openTable(g *lua.LTable) {
	l := s.l
	lua.OpenTable(l)
	t := g.RawGetString("table").(*lua.LTable)
	t.RawSetString("concat", s.Func("table.concat", s.concat))
	t.RawSetString("maxn", s.Func("table.maxn", func(l *lua.LState) int { // gopher-lua's sees whole numbers only
		most := lua.LNumber(0)
		l.CheckTable(1).ForEach(func(k, _ lua.LValue) {
			if n, ok := k.(lua.LNumber); ok {
				most = max(most, n)
			}
		})
		l.Push(most)
		return 1
	}))
	t.RawSetString("unpack", g.RawGetString("unpack"))
	t.RawSetString("pack", s.Func("table.pack", func(l *lua.LState) int {
		n := l.GetTop()
		out := l.CreateTable(n, 1)
		for i := 1; i <= n; i++ {
			out.RawSetInt(i, l.Get(i))
		}
		out.RawSetString("n", lua.LNumber(n))
		l.Push(out)
		return 1
	}))
	s.Strict("table", t)
}

// openRest opens math, coroutine and the harmless part of os.
func (s *State) openRest(g *lua.LTable) {
	l := s.l
	lua.OpenMath(l)
	lua.OpenCoroutine(l)
	lua.OpenOs(l)
	stock := g.RawGetString("os").(*lua.LTable)
	os := l.NewTable()
	for _, name := range []string{"clock", "date", "difftime", "time"} {
		os.RawSetString(name, stock.RawGetString(name))
	}
	g.RawSetString("os", os)
	s.Strict("os", os)
	s.spelt(g.RawGetString("math").(*lua.LTable))
	s.Strict("math", g.RawGetString("math").(*lua.LTable))
	s.Strict("coroutine", g.RawGetString("coroutine").(*lua.LTable))
}

// Strict makes reading an unknown field of t, and setting any, an error.
func (s *State) Strict(name string, t *lua.LTable) {
	mt := s.l.NewTable()
	mt.RawSetString("__metatable", lua.LFalse)
	mt.RawSetString("__index", s.Func(name, func(l *lua.LState) int {
		key := l.Get(2).String()
		names := []string{}
		t.ForEach(func(k, _ lua.LValue) { names = append(names, k.String()) })
		hint := bind.DidYouMean(key, names)
		if name == "os" && hint == "" {
			hint = "recipes do not reach the host; g:exec runs a command inside a guest, param takes a value from outside"
		}
		return s.mistake(l, &bind.Error{Msg: fmt.Sprintf("%s has no %q", name, key), Hint: hint})
	}))
	mt.RawSetString("__newindex", s.Func(name, func(l *lua.LState) int {
		s.Raisef(l, "", "%s cannot be changed", name)
		return 0
	}))
	t.Metatable = mt
}

// strictGlobals makes undefined globals errors; the static check of a recipe
// finds most of them earlier.
func (s *State) strictGlobals(g *lua.LTable) {
	mt := s.l.NewTable()
	mt.RawSetString("__metatable", lua.LFalse)
	mt.RawSetString("__index", s.Func("global", func(l *lua.LState) int {
		return s.mistake(l, s.undefined(l.Get(2).String()))
	}))
	mt.RawSetString("__newindex", s.Func("global", func(l *lua.LState) int {
		if s.reading {
			s.mistake(l, Assigned(l.Get(2).String()))
		}
		if s.opts.Session || s.reading {
			l.RawSet(l.CheckTable(1), l.Get(2), l.Get(3))
			return 0
		}
		s.Raise(l, Assigned(l.Get(2).String()))
		return 0
	}))
	g.Metatable = mt
}

func (s *State) undefined(name string) *bind.Error { return Undefined(name, s.Globals()) }

// Undefined is the mistake of using a global that is none of known.
func Undefined(name string, known []string) *bind.Error {
	hint := refused[name]
	if hint == "" {
		hint = bind.DidYouMean(name, known)
	}
	return &bind.Error{Msg: fmt.Sprintf("undefined global %q", name), Hint: hint}
}

// Assigned is the mistake of assigning to a global.
func Assigned(name string) *bind.Error {
	return &bind.Error{Msg: fmt.Sprintf("assignment to the global %q", name), Hint: "write local " + name}
}

// luaError is error(message, level). gopher-lua's own is one level off.
func (s *State) luaError(l *lua.LState) int {
	obj, level := l.Get(1), l.OptInt(2, 1)
	if text, ok := obj.(lua.LString); ok && level > 0 {
		if where := l.Where(level); where != "" && where != "[G]:" {
			obj = lua.LString(where + " " + string(text))
		}
	}
	l.Error(obj, 0)
	return 0
}

// assert keeps error objects as they are, unlike gopher-lua's.
func (s *State) assert(l *lua.LState) int {
	if l.GetTop() == 0 {
		l.ArgError(1, "value expected")
	}
	if lua.LVAsBool(l.Get(1)) {
		return l.GetTop()
	}
	if msg := l.Get(2); msg != lua.LNil {
		l.Error(msg, 0)
	}
	s.Raisef(l, "", "assertion failed!")
	return 0
}

func (s *State) print(l *lua.LState) int {
	parts := make([]string, l.GetTop())
	for i := range parts {
		parts[i] = l.ToStringMeta(l.Get(i + 1)).String()
	}
	if _, err := fmt.Fprintln(s.opts.Stdout, strings.Join(parts, "\t")); err != nil {
		s.Raise(l, err)
	}
	return 0
}

// concat is table.concat without the stock one's use of a stack slot per item.
func (s *State) concat(l *lua.LState) int {
	t, sep := l.CheckTable(1), ""
	if l.Get(2) != lua.LNil {
		sep = l.CheckString(2)
	}
	first, last := optInt(l, 3, 1), optInt(l, 4, t.Len())
	var b strings.Builder
	for i := first; i <= last; i++ {
		v := t.RawGetInt(i)
		if v.Type() != lua.LTString && v.Type() != lua.LTNumber {
			s.Raisef(l, "", "table.concat: item %d is a %s, not a string", i, v.Type())
		}
		if i > first {
			b.WriteString(sep)
		}
		b.WriteString(v.String())
		if b.Len() > maxString {
			s.Raisef(l, "", "table.concat: the result is longer than %d MB", maxString>>20)
		}
	}
	l.Push(lua.LString(b.String()))
	return 1
}

// maxUnpack bounds the values of one unpack; the stack has room for more.
const maxUnpack = 1 << 19

func (s *State) unpack(l *lua.LState) int {
	t := l.CheckTable(1)
	first, last := optInt(l, 2, 1), optInt(l, 3, t.Len())
	if first > last {
		return 0
	}
	if uint(last)-uint(first) >= maxUnpack {
		s.Raisef(l, "", "unpack: more than %d values", maxUnpack)
	}
	n := last - first + 1
	for i := range n {
		l.Push(t.RawGetInt(first + i))
	}
	return n
}

// mistake handles what can only be a slip of the pen. While a recipe is read it
// is noted and a stand-in is given, so that the other mistakes are found too;
// otherwise it is raised.
func (s *State) mistake(l *lua.LState, e *bind.Error) int {
	if !s.reading || s.StandIn == nil {
		s.Raise(l, e)
	}
	e.Pos = s.Pos(l)
	s.Report(e)
	l.Push(s.StandIn(l))
	return 1
}

// Refused lists the globals of plain Lua that recipes do not get.
func Refused() []string { return slices.Sorted(maps.Keys(refused)) }
