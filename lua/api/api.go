// Package api is the recipe language: the globals and objects that recipes,
// flows and sessions use. It only translates between Lua and the engine.
package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
	"vsl/lua/bind"
	"vsl/lua/runtime"
	"vsl/lua/std"
)

// Engine makes and finds guests. A nil engine is enough for reading.
type Engine interface {
	// New gives a handle for a guest by its spec; nothing is made yet.
	New(spec *engine.Spec) (engine.Guest, error)
	// Lookup gives a handle for a guest that exists.
	Lookup(name string) (engine.Guest, error)
}

// Options say what a recipe may reach and what it is given.
type Options struct {
	Engine Engine
	// Remove removes a guest that a session made; nil is no session, in which nothing is taken back.
	Remove    func(ctx context.Context, name string) error
	Sleep     func(ctx context.Context, d time.Duration) error // how flows wait; nil is real time
	Dir       string                                           // the recipe's folder: relative paths begin here
	Params    map[string]string                                // values given on the command line
	More      map[string]bind.Given                            // values given elsewhere, such as in a file; Params win
	LookupEnv func(name string) (string, bool)                 // where values come from at last; may be nil
	Optional  bool                                             // no parameter has to be given: to see which there are
	AllowHost bool                                             // host paths outside the recipe's folder
	Log       io.Writer                                        // of log.info and its kin; nil is os.Stderr
	Debugger  Debugger                                         // nil is none
}

// Decl is one guest as declared, with its own flows in Lua.
type Decl struct {
	Spec  *engine.Spec
	Flows bind.Flows
}

// API is the language on one state, and what was declared with it.
type API struct {
	S         *runtime.State
	o         Options
	Guests    []*Decl
	Templates []*engine.Template
	Builds    map[string]*lua.LFunction // build flows by template name
	Params    []*bind.Param
	Pools     []*engine.Pool

	handles  map[string]*lua.LUserData
	types    map[string]*lua.LTable // metatables by LuaType
	pending  []*pending
	methods  []method
	building map[string]engine.Pos // templates by name, for duplicates

	// HandedOut says that a stand-in for a wrong value was given, from which
	// further errors may follow.
	HandedOut bool

	// Acts says that something acted since it was last set to false.
	Acts bool

	keeps  atomic.Bool // some flow asked for g.data
	passed sync.Once   // a breakpoint without a debugger was told

	usedMu sync.Mutex
	used   map[string]engine.Guest // guests that something acted on
	undos  []Undo                  // of a session's acts, the last one last
}

// pending is `guest "name"` before its table.
type pending struct {
	kind, name string
	pos        engine.Pos
}

// Open defines the language's globals on s.
func Open(s *runtime.State, o Options) *API {
	if o.Log == nil {
		o.Log = os.Stderr
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	a := &API{S: s, o: o, Builds: map[string]*lua.LFunction{}, handles: map[string]*lua.LUserData{},
		types: map[string]*lua.LTable{}, building: map[string]engine.Pos{}, used: map[string]engine.Guest{}}
	a.openTypes()
	a.openDeclarations()
	a.openProbe()
	a.openParam()
	a.openSecret()
	a.openPool()
	a.openSubnet()
	a.openLog()
	a.openPrimitives()
	a.openWords()
	a.openBreakpoint()
	std.Register(s)
	return a
}

// Finish reports what is wrong once a recipe was read to its end.
func (a *API) Finish() {
	for _, p := range a.pending {
		a.S.Report(&bind.Error{Pos: p.pos, Msg: fmt.Sprintf("%s %q has no table", p.kind, p.name), Hint: fmt.Sprintf("write %s %q { … }", p.kind, p.name)})
	}
	a.pending = nil
	a.finishParams()
	a.finishPools()
}

func (a *API) decoder(l *lua.LState) *bind.Decoder {
	return &bind.Decoder{Where: a.S.TablePos, Pos: a.S.Pos(l), Dir: a.o.Dir, Matches: a.S.Matches}
}

// settle handles a declaration's mistakes: while a recipe is read they are
// collected and ok is false, in a flow or a session they are raised.
func (a *API) settle(l *lua.LState, d *bind.Decoder) (ok bool) {
	if len(d.Errs) == 0 {
		return true
	}
	if a.S.Reading() {
		a.S.Report(d.Errs...)
		return false
	}
	a.raise(l, d.Errs)
	return false
}

// raise raises mistakes at the line that runs; they need not say it too.
func (a *API) raise(l *lua.LState, errs []error) {
	for _, e := range errs {
		if m, ok := e.(*bind.Error); ok {
			m.Pos = engine.Pos{}
		}
	}
	if len(errs) == 1 {
		a.S.Raise(l, errs[0])
	}
	a.S.Raise(l, errors.Join(errs...))
}

// acting raises an error unless a flow or a session runs.
func (a *API) acting(l *lua.LState, what string) {
	if a.S.Reading() {
		a.S.Raisef(l, "a recipe only declares while it is read", "%s can only be called inside a flow or at the REPL", what)
	}
	a.Acts = true
}

// NewType makes the metatable of one kind of object.
func (a *API) NewType(name string, index lua.LGFunction, tostring func(l *lua.LState, v any) string) {
	mt := a.S.L().NewTable()
	mt.RawSetString("__metatable", lua.LFalse)
	mt.RawSetString("__index", a.S.Func(name, index))
	mt.RawSetString("__newindex", a.S.Func(name, func(l *lua.LState) int {
		a.S.Raisef(l, "", "a %s has no fields to set", name)
		return 0
	}))
	mt.RawSetString("__tostring", a.S.Func("tostring", func(l *lua.LState) int {
		l.Push(lua.LString(tostring(l, l.CheckUserData(1).Value)))
		return 1
	}))
	mt.RawSetString("__concat", a.S.Func("..", func(l *lua.LState) int {
		l.Push(lua.LString(l.ToStringMeta(l.Get(1)).String() + l.ToStringMeta(l.Get(2)).String()))
		return 1
	}))
	a.types[name] = mt
}

// Object makes a userdata of a kind.
func (a *API) Object(l *lua.LState, kind string, v any) *lua.LUserData {
	ud := l.NewUserData()
	ud.Value = v
	ud.Metatable = a.types[kind]
	return ud
}

// bad is the value of an expression with a mistake that was reported.
func (a *API) bad(l *lua.LState) lua.LValue {
	a.HandedOut = true
	return a.Object(l, "mistake", bind.Bad{})
}

// noField is the __index of objects without any.
func (a *API) noField(kind string, fields map[string]func(v any) lua.LValue) lua.LGFunction {
	return func(l *lua.LState) int {
		name := l.Get(2).String()
		if f := fields[name]; f != nil {
			l.Push(f(l.CheckUserData(1).Value))
			return 1
		}
		a.S.Raisef(l, bind.DidYouMean(name, slices.Sorted(maps.Keys(fields))), "a %s has no %q", kind, name)
		return 0
	}
}

func (a *API) openTypes() {
	a.NewType("mistake", func(l *lua.LState) int { l.Push(l.Get(1)); return 1 }, func(*lua.LState, any) string { return "mistake" })
	itself := a.S.Func("mistake", func(l *lua.LState) int { l.Push(a.bad(l)); return 1 })
	for _, op := range []string{"index", "call", "concat", "add", "sub", "mul", "div", "mod", "pow", "unm"} {
		a.types["mistake"].RawSetString("__"+op, itself)
	}
	a.S.StandIn = a.bad
	a.NewType("template", a.noField("template", map[string]func(any) lua.LValue{
		"name": func(v any) lua.LValue { return lua.LString(v.(*engine.Template).Name) },
	}), func(_ *lua.LState, v any) string { return "template " + v.(*engine.Template).Name })
	a.NewType("source", a.noField("source", nil), func(_ *lua.LState, v any) string { return "source " + v.(*engine.Source).Kind })
	a.NewType("probe", a.noField("probe", nil), func(_ *lua.LState, v any) string { return "probe " + v.(*engine.Probe).Kind })
	a.methods = handleMethods()
	a.NewType("guest", a.handleIndex, func(l *lua.LState, v any) string { return a.handleText(l, v.(*Handle)) })
}

// fingerprintObject words the objects that a build flow may use.
func (a *API) fingerprintObject(v any) string {
	switch v := v.(type) {
	case *engine.Template:
		return fmt.Sprintf("template %s %+v %s", v.Name, v.From, v.Build)
	case *engine.Source:
		return fmt.Sprintf("source %+v", *v)
	case *engine.Probe:
		return fmt.Sprintf("probe %+v", *v)
	case *Handle:
		return "guest " + v.name
	case fmt.Stringer:
		return v.String()
	}
	return fmt.Sprintf("%T", v)
}
