package runtime

import (
	"errors"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"

	"vsl/engine"
)

// Hook is told of what runs. Its methods are called by the Lua code itself, which
// waits until they return.
type Hook interface {
	// Loaded gives the lines of a text at which Statement may be called.
	Loaded(file string, lines []int)
	// Statement is called before each statement.
	Statement(l *lua.LState, pos engine.Pos)
	// Failed is called where an error was raised that the recipe does not catch,
	// with every variable still there.
	Failed(l *lua.LState, err error)
}

const (
	// lineHook is the function that compiled statements call; no recipe can name it.
	lineHook = "(line)"
	// evalName is the source of what a debugger evaluates, which is never stopped in.
	evalName = "(debug)"
)

// stoppable puts a call of the line hook before each statement.
func (w *walker) stoppable(list []ast.Stmt) []ast.Stmt {
	out := make([]ast.Stmt, 0, 2*len(list))
	for _, s := range list {
		if line := s.Line(); line > 0 {
			w.lines[line] = true
			out = append(out, stmtOf(lineHook, line))
		}
		out = append(out, s)
	}
	return out
}

func stmtOf(name string, line int) ast.Stmt {
	stmt := &ast.FuncCallStmt{Expr: callOf(name, line)}
	stmt.SetLine(line)
	stmt.SetLastLine(line)
	return stmt
}

func (s *State) statement(l *lua.LState) int {
	if dbg, ok := l.GetStack(1); ok {
		if _, err := l.GetInfo("Sl", dbg, lua.LNil); err == nil {
			s.opts.Hook.Statement(l, engine.Pos{File: dbg.Source, Line: dbg.CurrentLine})
		}
	}
	return 0
}

// postMortem shows an error to the hook, on the stack as it was raised. An error
// that came from another thread was shown there. Without room for calls there is
// nothing to look with.
func (s *State) postMortem(l *lua.LState, obj lua.LValue) {
	if s.opts.Hook == nil || l.Context() != nil && l.Context().Err() != nil {
		return
	}
	if ud, ok := obj.(*lua.LUserData); ok {
		if f, ok := ud.Value.(*Fault); ok {
			if !f.again {
				s.opts.Hook.Failed(l, f.Err)
			}
			return
		}
	}
	if text := s.text(l, obj); !strings.Contains(text, "callstack overflow") {
		if str, ok := obj.(lua.LString); ok {
			text = string(str)
		}
		s.opts.Hook.Failed(l, errors.New(text))
	}
}

// Level is one Lua function that waits or runs on a thread. It is valid until
// that function goes on.
type Level struct {
	Frame
	l   *lua.LState // whose stack it is on; nil before it is called
	dbg *lua.Debug
	fn  *lua.LFunction
	env *lua.LTable // what evaluated code sees
}

// Stdlib says that the function belongs to the standard library.
func (v *Level) Stdlib() bool { return v.stdlib }

// Levels are the functions that run on a thread, the innermost first: those of a
// coroutine before those of who resumed it.
func (s *State) Levels(l *lua.LState) []*Level {
	var out []*Level
	for ; l != nil && len(out) < maxFrames; l = l.Parent {
		out = append(out, s.levels(l)...)
	}
	return out
}

// levels are those of one thread alone.
func (s *State) levels(l *lua.LState) []*Level {
	var out []*Level
	seen := map[*lua.LFunction]int{}
	for n := range maxFrames {
		dbg, ok := l.GetStack(n)
		if !ok {
			break
		}
		fn, err := l.GetInfo("fnSl", dbg, lua.LNil)
		if err != nil || dbg.What == "G" && dbg.CurrentLine <= 0 || dbg.CurrentLine <= 0 {
			continue
		}
		f := fn.(*lua.LFunction)
		if seen[f]++; f.IsG || seen[f] > 100 { // a tail call shows the first function again and again
			continue
		}
		level := &Level{Frame: s.frame(l, dbg), l: l, dbg: dbg, fn: f}
		if last := len(out) - 1; last >= 0 && dbg.What == "main" && out[last].fn == f && out[last].Pos == level.Pos {
			break
		}
		out = append(out, level)
	}
	return out
}

// Entry is the level of a function that is about to be called: it has no locals yet.
func (s *State) Entry(fn *lua.LFunction) *Level {
	v := &Level{fn: fn}
	if !fn.IsG {
		v.Frame = Frame{Pos: engine.Pos{File: fn.Proto.SourceName, Line: fn.Proto.LineDefined}, Name: "begins"}
		if src := s.sources[v.Pos.File]; src != nil {
			v.stdlib = src.stdlib
		}
	}
	return v
}

// Variable is a local variable or an upvalue of a function.
type Variable struct {
	Name  string
	Value lua.LValue
	Up    bool // an upvalue
	no    int
}

// Variables are those that the function sees at its line, locals before upvalues.
// What an inner block hides is left out.
func (s *State) Variables(l *lua.LState, v *Level) []Variable {
	var out []Variable
	add := func(x Variable) {
		if x.Name == "" || strings.HasPrefix(x.Name, "(") {
			return
		}
		if i := slices.IndexFunc(out, func(o Variable) bool { return o.Name == x.Name }); i >= 0 {
			if !x.Up {
				out[i] = x
			}
			return
		}
		out = append(out, x)
	}
	for n := 1; v.dbg != nil; n++ {
		name, value := v.l.GetLocal(v.dbg, n)
		if name == "" || name == "(*temporary)" {
			break
		}
		add(Variable{Name: name, Value: value, no: n})
	}
	for n := range v.fn.Upvalues {
		name, value := l.GetUpvalue(v.fn, n+1)
		add(Variable{Name: name, Value: value, Up: true, no: n + 1})
	}
	return out
}

// SetVariable changes one, and says whether there is one of that name.
func (s *State) SetVariable(l *lua.LState, v *Level, name string, value lua.LValue) bool {
	for _, x := range s.Variables(l, v) {
		switch {
		case x.Name != name:
			continue
		case x.Up:
			l.SetUpvalue(v.fn, x.no, value)
		default:
			v.l.SetLocal(v.dbg, x.no, value)
		}
		return true
	}
	return false
}

// EvalAt runs a text as if it stood at the function's line: an expression gives
// its values. New names live as long as the level does.
func (s *State) EvalAt(l *lua.LState, v *Level, text string) ([]lua.LValue, error) {
	fn, _, err := s.compile(evalName, []byte("return "+text), false)
	if err != nil {
		var err2 error
		if fn, _, err2 = s.compile(evalName, []byte(text), false); err2 != nil {
			if errors.Is(err, ErrIncomplete) && !errors.Is(err2, ErrIncomplete) {
				err2 = err
			}
			var wrong *SyntaxError
			if errors.As(err2, &wrong) {
				wrong.mistake.Pos = engine.Pos{} // there is one line, and who typed it sees it
			}
			return nil, err2
		}
	}
	if v.env == nil {
		v.env = s.environment(l, v)
	}
	fn.Env = v.env
	top := l.GetTop()
	l.Push(fn)
	if err := s.protect(l, 0, nil); err != nil {
		err := s.runtimeError(l, err, nil)
		if re, ok := err.(*RuntimeError); ok && re.Pos.File == evalName {
			re.Pos = engine.Pos{}
		}
		return nil, err
	}
	var out []lua.LValue
	for i := top + 1; i <= l.GetTop(); i++ {
		out = append(out, l.Get(i))
	}
	l.SetTop(top)
	return out, nil
}

// Try runs f, and gives what was raised in it.
func (s *State) Try(l *lua.LState, f func(l *lua.LState)) error {
	top := l.GetTop()
	l.Push(l.NewFunction(func(l *lua.LState) int {
		f(l)
		return 0
	}))
	err := s.protect(l, 0, nil)
	if err != nil {
		err = s.runtimeError(l, err, nil)
	}
	l.SetTop(top)
	return err
}

// environment is a table of globals in which a level's variables are found first.
func (s *State) environment(l *lua.LState, v *Level) *lua.LTable {
	env, mt := l.NewTable(), l.NewTable()
	mt.RawSetString("__index", s.Func("variable", func(l *lua.LState) int {
		name := l.Get(2).String()
		for _, x := range s.Variables(l, v) {
			if x.Name == name {
				l.Push(x.Value)
				return 1
			}
		}
		l.Push(l.GetField(l.G.Global, name))
		return 1
	}))
	mt.RawSetString("__newindex", s.Func("variable", func(l *lua.LState) int {
		if name := l.Get(2).String(); !s.SetVariable(l, v, name, l.Get(3)) {
			env.RawSetString(name, l.Get(3))
		}
		return 0
	}))
	env.Metatable = mt
	return env
}

// Source gives the lines of a text that was read.
func (s *State) Source(file string) []string {
	src := s.sources[file]
	if src == nil {
		return nil
	}
	return src.lines()
}
