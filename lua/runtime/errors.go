package runtime

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
	"vsl/lua/bind"
)

// RuntimeError is an error that Lua code did not catch.
type RuntimeError struct {
	Pos       engine.Pos // the innermost line of the recipe
	Msg       string
	Traceback []Frame // lines of the recipe, innermost first
	Cause     error   // the Go error behind it, or nil
	Excerpt   []Line  // the recipe's text around Pos
}

func (e *RuntimeError) Error() string {
	if p := e.Pos.String(); p != "" {
		return p + ": " + e.Msg
	}
	return e.Msg
}

func (e *RuntimeError) Unwrap() error { return e.Cause }

// Frame is one function that was running.
type Frame struct {
	Pos    engine.Pos
	Name   string // "in function 'x'"
	Text   string // the line itself, once the error has left Lua
	stdlib bool
}

func (f Frame) String() string { return f.Pos.String() + ": " + f.Name }

// Fault is the error object that Lua sees for a Go error. tostring gives its
// message; its fields are message, op, target, hint and where.
type Fault struct {
	Err   error
	Pos   engine.Pos
	trace []Frame
	again bool // raised before, on another thread
}

// Raise raises err as an error object at the recipe's line that called. It
// does not return.
func (s *State) Raise(l *lua.LState, err error) {
	frames := s.frames(l)
	f := &Fault{Err: err, trace: recipeFrames(frames)}
	if len(f.trace) > 0 {
		f.Pos = f.trace[0].Pos
	}
	l.Error(s.faultValue(l, f), 0)
}

// Reraise raises what a Call on another thread failed with: its lines stay the
// innermost of the traceback, and its cause stays what it is. It does not return.
func (s *State) Reraise(l *lua.LState, err error) {
	var re *RuntimeError
	if joined, many := err.(interface{ Unwrap() []error }); many && len(joined.Unwrap()) > 1 || !errors.As(err, &re) {
		s.Raise(l, err)
	}
	f := &Fault{Err: re.Cause, Pos: re.Pos, again: true, trace: append(slices.Clip(re.Traceback), recipeFrames(s.frames(l))...)}
	if f.Err == nil {
		f.Err = errors.New(re.Msg)
	}
	l.Error(s.faultValue(l, f), 0)
}

// Raisef raises a plain mistake with a hint, which may be "".
func (s *State) Raisef(l *lua.LState, hint, format string, args ...any) {
	s.Raise(l, &bind.Error{Msg: fmt.Sprintf(format, args...), Hint: hint})
}

// Pos is the recipe's line that is running on l.
func (s *State) Pos(l *lua.LState) engine.Pos { return posOf(s.frames(l)) }

func (s *State) faultValue(l *lua.LState, f *Fault) lua.LValue {
	ud := l.NewUserData()
	ud.Value = f
	ud.Metatable = s.faults
	return ud
}

// ErrorValue makes the error object that stands for err.
func (s *State) ErrorValue(l *lua.LState, err error) lua.LValue {
	return s.faultValue(l, &Fault{Err: err})
}

// frames are the functions that run on l, the innermost first: those of a coroutine
// before those of who resumed it.
func (s *State) frames(l *lua.LState) []Frame {
	var out []Frame
	for ; l != nil; l = l.Parent {
		for level := 0; level < 200 && len(out) < maxFrames; level++ {
			dbg, ok := l.GetStack(level)
			if !ok {
				break
			}
			if _, err := l.GetInfo("nSl", dbg, lua.LNil); err != nil || dbg.What == "G" || dbg.CurrentLine <= 0 {
				continue
			}
			out = append(out, s.frame(l, dbg))
		}
	}
	return out
}

// maxFrames is how many functions are told of at the most.
const maxFrames = 200

// frame describes a function of l that GetInfo was asked about.
func (s *State) frame(l *lua.LState, dbg *lua.Debug) Frame {
	f := Frame{Pos: engine.Pos{File: dbg.Source, Line: dbg.CurrentLine}, Name: "in a function"}
	switch {
	case dbg.What == "main" && l.Parent != nil:
		f.Name = "in a coroutine"
	case dbg.What == "main":
		f.Name = "in the recipe"
	case dbg.Name != "" && dbg.Name != "?" && !strings.HasPrefix(dbg.Name, "<"):
		f.Name = "in function '" + dbg.Name + "'"
	}
	if src := s.sources[dbg.Source]; src != nil {
		f.stdlib = src.stdlib
	}
	return f
}

func recipeFrames(frames []Frame) []Frame {
	out := []Frame{}
	for _, f := range frames {
		if !f.stdlib && len(out) < 20 {
			out = append(out, f)
		}
	}
	return out
}

// posOf is the innermost line outside the standard library, or the innermost
// of all where there is no other.
func posOf(frames []Frame) engine.Pos {
	for _, f := range frames {
		if !f.stdlib {
			return f.Pos
		}
	}
	if len(frames) > 0 {
		return frames[0].Pos
	}
	return engine.Pos{}
}

var linePrefix = bind.LazyRE(`^([^\n]+?):(\d+): `)

// runtimeError makes the Go error of what PCall gave.
func (s *State) runtimeError(l *lua.LState, err error, trace []Frame) error {
	out := &RuntimeError{Msg: err.Error(), Traceback: recipeFrames(trace), Pos: posOf(trace)}
	defer s.illustrate(out)
	var api *lua.ApiError
	if !errors.As(err, &api) || api.Object == nil {
		return out
	}
	switch obj := api.Object.(type) {
	case *lua.LUserData:
		if f, ok := obj.Value.(*Fault); ok {
			out.fault(f)
		}
	case lua.LString:
		out.Msg = string(obj)
		if out.Msg == "lua callstack overflow" { // no room was left to ask where
			out.Msg = "stack overflow: the calls nest too deep"
			if pos := s.posIn(api.StackTrace); pos.File != "" { // there is none of a coroutine
				out.Pos = pos
			}
		}
		if m := linePrefix().FindStringSubmatch(out.Msg); m != nil && s.sources[m[1]] != nil {
			out.Msg = out.Msg[len(m[0]):]
			if !s.sources[m[1]].stdlib {
				line, _ := strconv.Atoi(m[2]) // digits by the pattern
				out.Pos = engine.Pos{File: m[1], Line: line}
			}
		}
	default:
		out.Msg = s.text(l, obj)
	}
	if ctx := l.Context(); ctx != nil && ctx.Err() != nil && (out.Msg == ctx.Err().Error() || errors.Is(out.Cause, ctx.Err())) {
		out.Cause = context.Cause(ctx)
		out.Msg = out.Cause.Error()
	}
	return out
}

var traceLine = bind.LazyRE(`(?m)^\t(.+?):(\d+): in `)

// posIn finds the innermost line of the recipe in gopher-lua's own traceback.
func (s *State) posIn(trace string) engine.Pos {
	for _, m := range traceLine().FindAllStringSubmatch(trace, -1) {
		if src := s.sources[m[1]]; src != nil && !src.stdlib {
			line, _ := strconv.Atoi(m[2]) // digits by the pattern
			return engine.Pos{File: m[1], Line: line}
		}
	}
	return engine.Pos{}
}

func (e *RuntimeError) fault(f *Fault) {
	e.Cause, e.Msg = f.Err, f.Err.Error()
	switch {
	case len(f.trace) > 0:
		e.Pos, e.Traceback = f.Pos, slices.Clone(f.trace)
	case len(e.Traceback) > 0:
		e.Pos = e.Traceback[0].Pos
	default: // a line of the default flows would tell nothing: the error names the step
		e.Pos = engine.Pos{}
	}
	if b, ok := f.Err.(*bind.Error); ok && b.Pos.File != "" {
		e.Pos = b.Pos
		e.Msg = (&bind.Error{Msg: b.Msg, Hint: b.Hint}).Error()
	}
}

// text is what a thrown value says: __tostring, or a message field.
func (s *State) text(l *lua.LState, v lua.LValue) string {
	if t, ok := v.(*lua.LTable); ok && l.GetMetaField(t, "__tostring") == lua.LNil {
		for _, k := range []string{"message", "msg"} {
			if m, ok := t.RawGetString(k).(lua.LString); ok {
				return string(m)
			}
		}
		return "error with a table as its value"
	}
	if v == lua.LNil {
		return "error without a value"
	}
	out := "error with a " + v.Type().String() + " as its value"
	// __tostring is the recipe's own code and may fail.
	_ = s.protectGo(l, func() { out = l.ToStringMeta(v).String() })
	return out
}

// protectGo runs f and turns a Lua error in it into a Go error.
func (s *State) protectGo(l *lua.LState, f func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	f()
	return nil
}

// Func makes a Lua function of a Go function. A panic in it becomes an error
// that names the function and carries the Go stack, instead of a bare message.
func (s *State) Func(name string, fn lua.LGFunction) *lua.LFunction {
	return s.l.NewFunction(func(l *lua.LState) int {
		defer func() {
			r := recover()
			if r == nil {
				return
			}
			if api, ok := r.(*lua.ApiError); ok {
				panic(api)
			}
			s.Raise(l, fmt.Errorf("vsl bug in %s: %v\n%s", name, r, debug.Stack()))
		}()
		return fn(l)
	})
}

// openFaults makes the metatable of error objects.
func (s *State) openFaults() {
	mt := s.l.NewTable()
	s.faults = mt
	mt.RawSetString("__metatable", lua.LFalse)
	mt.RawSetString("__tostring", s.Func("tostring", func(l *lua.LState) int {
		l.Push(lua.LString(l.CheckUserData(1).Value.(*Fault).Err.Error()))
		return 1
	}))
	mt.RawSetString("__concat", s.Func("..", func(l *lua.LState) int {
		l.Push(lua.LString(l.ToStringMeta(l.Get(1)).String() + l.ToStringMeta(l.Get(2)).String()))
		return 1
	}))
	mt.RawSetString("__index", s.Func("error", s.faultField))
}

func (s *State) faultField(l *lua.LState) int {
	f, name := l.CheckUserData(1).Value.(*Fault), l.CheckString(2)
	var op *engine.OpError
	var bad *bind.Error
	var spec *engine.SpecError
	errors.As(f.Err, &op)
	text := ""
	switch name {
	case "message":
		text = f.Err.Error()
	case "where":
		text = f.Pos.String()
		var run *RuntimeError
		switch { // what was not raised by a line that is running knows its line itself
		case text == "" && errors.As(f.Err, &run):
			text = run.Pos.String()
		case text == "" && errors.As(f.Err, &bad):
			text = bad.Pos.String()
		case text == "" && errors.As(f.Err, &spec):
			text = spec.Pos.String()
		}
	case "op", "target", "hint":
		switch {
		case op != nil:
			text = map[string]string{"op": op.Op, "target": op.Target, "hint": op.Hint}[name]
		case name == "hint" && errors.As(f.Err, &bad):
			text = bad.Hint
		case name == "hint" && errors.As(f.Err, &spec):
			text = spec.Hint
		}
	default:
		s.Raisef(l, bind.DidYouMean(name, []string{"message", "where", "op", "target", "hint"}), "an error has no field %q", name)
	}
	if text == "" {
		l.Push(lua.LNil)
	} else {
		l.Push(lua.LString(text))
	}
	return 1
}
