package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"

	"vsl/engine"
	"vsl/lua/bind"
	"vsl/lua/modules"
	"vsl/lua/syntax"
)

// ErrIncomplete says that a text ends in the middle of a statement.
var ErrIncomplete = errors.New("the text ends too early")

// SyntaxError is a mistake in the grammar. errors.Is(err, ErrIncomplete) holds
// when more lines could make the text right.
type SyntaxError struct {
	mistake    bind.Error
	incomplete bool
}

func (e *SyntaxError) Error() string { return e.mistake.Error() }

func (e *SyntaxError) Is(target error) bool { return target == ErrIncomplete && e.incomplete }

func (e *SyntaxError) Unwrap() error { return &e.mistake }

// Compile makes a function of a text. It checks the globals the text uses:
// the second result holds those mistakes, and the function exists all the same.
func (s *State) Compile(name string, text []byte) (*lua.LFunction, []error, error) {
	return s.compile(name, text, false)
}

func (s *State) compile(name string, text []byte, stdlib bool) (fn *lua.LFunction, mistakes []error, err error) {
	if len(text) > modules.MaxSize {
		return nil, nil, fmt.Errorf("%s: larger than %d MB", name, modules.MaxSize>>20)
	}
	src := &source{text: text, stdlib: stdlib}
	s.sources[name] = src
	defer func() {
		if r := recover(); r != nil { // the compiler panics on what it cannot express
			err = &bind.Error{Pos: engine.Pos{File: name, Line: 1}, Msg: fmt.Sprintf("cannot be compiled: %v", r)}
		}
	}()
	chunk, err := parse.Parse(strings.NewReader(syntax.Blank(string(text))), name)
	if err != nil {
		return nil, nil, syntaxError(name, text, err)
	}
	w := &walker{limits: limits{file: name}, state: s, file: name, session: s.opts.Session, mark: !stdlib && (s.reading || !s.opts.Session), tables: len(s.tables)}
	if s.opts.Hook != nil && !stdlib && name != evalName && (s.opts.HookAll || bytes.Contains(text, []byte("breakpoint"))) {
		w.lines = map[int]bool{}
	}
	src.walked = *w
	chunk = w.chunk(chunk)
	if w.refused != nil {
		return nil, nil, w.refused
	}
	proto, err := lua.Compile(chunk, name)
	if err != nil {
		var ce *lua.CompileError
		if errors.As(err, &ce) {
			return nil, nil, &bind.Error{Pos: engine.Pos{File: name, Line: ce.Line}, Msg: ce.Message}
		}
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	src.proto = proto
	if w.lines != nil {
		n := s.numberedOf(name)
		n.mendScopes(n.chunk)
		s.opts.Hook.Loaded(name, slices.Sorted(maps.Keys(w.lines)))
	}
	return s.l.NewFunctionFromProto(proto), w.mistakes, nil
}

// syntaxError words what is wrong with a text by the parser that knows what was
// expected; the interpreter's own only says what it did not expect.
func syntaxError(name string, text []byte, err error) error {
	var pe *parse.Error
	if !errors.As(err, &pe) {
		return fmt.Errorf("%s: %w", name, err)
	}
	e := &SyntaxError{}
	e.mistake.Pos = engine.Pos{File: name, Line: pe.Pos.Line}
	e.mistake.Msg = strings.TrimSpace(pe.Message)
	if pe.Pos.Line == parse.EOF {
		// An unterminated string ends at the line's end: more lines do not help.
		e.incomplete = !strings.Contains(pe.Message, "unterminated string")
		e.mistake.Pos.Line, e.mistake.Msg = bytes.Count(bytes.TrimRight(text, "\n"), []byte("\n"))+1, "syntax error at the end of the file"
	}
	if f := syntax.Parse(string(text)); len(f.Errors) > 0 {
		first := f.Errors[0]
		e.mistake.Pos.Line, _ = f.Lines.At(first.From)
		e.mistake.Msg, e.mistake.Hint = "syntax error: "+first.Msg, first.Hint
	}
	return e
}

var moduleName = bind.LazyRE(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

// require reads a module from the recipe's own folder or the user's, or vsl.* from
// the embedded library. Nothing else is looked at.
func (s *State) require(l *lua.LState) int {
	name := l.CheckString(1)
	if v, ok := s.modules[name]; ok {
		if v == nil {
			s.Raisef(l, "", "module %q requires itself", name)
		}
		l.Push(v)
		return 1
	}
	if !moduleName().MatchString(name) {
		s.Raisef(l, `write require "name" for name.lua beside the recipe`, "%q is not a module name", name)
	}
	file, text, stdlib, err := s.module(name)
	if err != nil {
		s.Raise(l, err)
	}
	fn, mistakes, err := s.compile(file, text, stdlib)
	if err != nil {
		s.Raise(l, err)
	}
	s.Report(mistakes...)
	s.modules[name] = nil
	defer func() {
		if s.modules[name] == nil {
			delete(s.modules, name)
		}
	}()
	l.Push(fn)
	l.Push(lua.LString(name))
	l.Call(1, 1)
	v := l.Get(-1)
	if v == lua.LNil {
		v = lua.LTrue
	}
	if t, ok := v.(*lua.LTable); ok && s.extend[name] != nil {
		s.extend[name](l, t)
	}
	s.modules[name] = v
	l.Push(v)
	return 1
}

// Module gives the value of a module of the embedded library.
func (s *State) Module(ctx context.Context, name string) (lua.LValue, error) {
	var out lua.LValue
	err := s.Do(ctx, func(l *lua.LState) error {
		got, err := s.Call(l, l.NewFunction(s.require), lua.LString(name))
		if err == nil {
			out = got[0]
		}
		return err
	})
	return out, err
}

func (s *State) module(name string) (file string, text []byte, stdlib bool, err error) {
	rel := strings.ReplaceAll(name, ".", "/")
	if strings.HasPrefix(name, "vsl.") {
		if s.opts.Stdlib == nil {
			return "", nil, true, &bind.Error{Msg: fmt.Sprintf("module %q: no standard library", name)}
		}
		text, err := fs.ReadFile(s.opts.Stdlib, rel+".lua")
		if err != nil {
			return "", nil, true, &bind.Error{Msg: fmt.Sprintf("no module %q in the standard library", name), Hint: bind.DidYouMean(name, s.stdlibModules())}
		}
		return rel + ".lua", text, true, nil
	}
	m, err := s.folders.Find(name)
	if err != nil {
		return "", nil, false, err
	}
	s.files = append(s.files, *m)
	return m.Path, m.Text, false, nil
}

func (s *State) stdlibModules() []string {
	names := []string{}
	entries, err := fs.ReadDir(s.opts.Stdlib, "vsl")
	if err != nil {
		return names
	}
	for _, e := range entries {
		names = append(names, "vsl."+strings.TrimSuffix(e.Name(), ".lua"))
	}
	return names
}

// tableFunc is what compiled table constructors call; no recipe can name it.
const tableFunc = "(table)"

// markTable is called around every table constructor of a recipe and notes
// where the table was written.
func (s *State) markTable(l *lua.LState) int {
	t := l.Get(2)
	if s.reading {
		s.origins[t.(*lua.LTable)] = s.tables[int(l.Get(1).(lua.LNumber))]
	}
	l.Push(t)
	return 1
}
