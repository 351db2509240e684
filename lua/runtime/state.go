// Package runtime is the Lua state that recipes run in: chosen libraries,
// strict globals, modules from known places only, one lock that is released
// while Go waits, cancellation, and errors that keep their Go cause.
package runtime

import (
	"context"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"

	"vsl/engine"
	"vsl/lua/modules"
)

// Options say what a state may reach.
type Options struct {
	Dir     string        // folder of the recipe: where require looks; "" is none
	UserDir string        // where it looks then; "" is none
	Trust   modules.Check // of each module in Dir; nil trusts them
	Stdlib  fs.FS         // holds vsl/*.lua
	Stdout  io.Writer     // of print; nil is os.Stdout
	Session bool          // a session: assigning a new global declares it

	// Hook is a debugger's; nil costs nothing. It is told of each statement of the
	// texts that call breakpoint, or with HookAll of all but the standard library.
	Hook    Hook
	HookAll bool
}

// State is one Lua world. Its methods may be called from many goroutines: each
// call runs on a Lua thread of its own, one at a time, and others run while one
// waits in Block.
type State struct {
	mu      sync.Mutex
	l       *lua.LState
	opts    Options
	reading bool
	origins map[*lua.LTable]origin // where tables were written; only while reading
	tables  []origin
	sources map[string]*source
	modules map[string]lua.LValue
	folders modules.Folders
	files   []modules.File
	errs    []error
	guard   guard
	faults  *lua.LTable         // metatable of error objects
	loops   map[*lua.LState]int // of the coroutines that run, how many of the interpreter's loops each is in
	extend  map[string]func(l *lua.LState, t *lua.LTable)

	// StandIn makes a value that takes the place of one that could not be had.
	StandIn func(l *lua.LState) lua.LValue
}

// origin is the place of a table constructor.
type origin struct {
	file string
	expr *ast.TableExpr
}

// source is a text that was read.
type source struct {
	text     []byte
	stdlib   bool
	proto    *lua.FunctionProto // what it was compiled to
	walked   walker             // as it was before it went over the text
	numbered *numbered          // once it was asked for
	split    []string           // its lines, once they were asked for
}

// lines are those of the text.
func (src *source) lines() []string {
	if src.split == nil {
		src.split = strings.Split(strings.TrimSuffix(string(src.text), "\n"), "\n")
	}
	return src.split
}

// callStack is how many calls deep one coroutine may be.
const callStack = 4096

// New makes a state.
func New(o Options) *State {
	if o.Stdout == nil {
		o.Stdout = os.Stdout
	}
	s := &State{opts: o, origins: map[*lua.LTable]origin{}, sources: map[string]*source{}, modules: map[string]lua.LValue{},
		folders: modules.Folders{Own: o.Dir, User: o.UserDir, Trust: o.Trust}}
	s.l = lua.NewState(lua.Options{
		SkipOpenLibs: true, CallStackSize: callStack, MinimizeStackMemory: true, IncludeGoStackTrace: true,
		RegistrySize: 1024, RegistryMaxSize: 1 << 20, RegistryGrowStep: 4096,
	})
	s.loops = map[*lua.LState]int{}
	s.openLibs()
	if o.Hook != nil {
		s.SetGlobal(lineHook, s.Func(lineHook, s.statement))
	}
	return s
}

// Extend has add put members into the table of a module of the standard library,
// once a recipe requires it.
func (s *State) Extend(module string, add func(l *lua.LState, t *lua.LTable)) {
	if s.extend == nil {
		s.extend = map[string]func(*lua.LState, *lua.LTable){}
	}
	s.extend[module] = add
}

// Close ends the state. Nothing may run on it any more.
func (s *State) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.l.Close()
}

// L gives the main thread, to make values with. It may be used only while
// nothing runs: before the first Do, or inside one.
func (s *State) L() *lua.LState { return s.l }

// Files lists the module files that were read.
func (s *State) Files() []modules.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.files)
}

// SetReading switches between reading, in which the places of tables are
// remembered, and acting.
func (s *State) SetReading(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reading = on
	if !on {
		s.origins = map[*lua.LTable]origin{}
	}
}

// Reading says whether a recipe is only being read. It must be called by code
// that runs inside the state.
func (s *State) Reading() bool { return s.reading }

// Do runs f with a new Lua thread under the state's lock. The context ends Lua
// code at its next instruction, and so does using too much memory.
func (s *State) Do(ctx context.Context, f func(l *lua.LState) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.guard.enter()
	defer s.guard.leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.guard.running.Store(s.guard.running.Swap(&cancel))
	th, _ := s.l.NewThread()
	th.SetContext(ctx)
	before := s.l.G.CurrentThread
	s.l.G.CurrentThread = th
	defer func() { s.l.G.CurrentThread = before }()
	return f(th)
}

// Block runs f, which waits, with the lock released, so that other flows go on.
func (s *State) Block(l *lua.LState, f func(ctx context.Context) error) error {
	ctx := l.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	current := l.G.CurrentThread
	cancel := s.guard.running.Swap(nil)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		l.G.CurrentThread = current
		s.guard.running.Store(cancel)
	}()
	return f(ctx)
}

// Call calls a Lua function on l and gives its results. What goes wrong comes
// back as a *RuntimeError.
func (s *State) Call(l *lua.LState, fn *lua.LFunction, args ...lua.LValue) ([]lua.LValue, error) {
	top := l.GetTop()
	l.Push(fn)
	for _, a := range args {
		l.Push(a)
	}
	var trace []Frame
	handler := l.NewFunction(func(l *lua.LState) int {
		trace = s.frames(l)
		obj := s.named(l, l.Get(1), 1)
		s.postMortem(l, obj)
		closeUpvalues(l, 0)
		l.Push(obj)
		return 1
	})
	if err := l.PCall(len(args), lua.MultRet, handler); err != nil {
		return nil, s.runtimeError(l, err, trace)
	}
	out := make([]lua.LValue, 0, l.GetTop()-top)
	for i := top + 1; i <= l.GetTop(); i++ {
		out = append(out, l.Get(i))
	}
	l.SetTop(top)
	return out, nil
}

// Report notes a mistake found while reading; reading goes on.
func (s *State) Report(errs ...error) { s.errs = append(s.errs, errs...) }

// Reported gives the mistakes found so far and forgets them.
func (s *State) Reported() []error {
	out := s.errs
	s.errs = nil
	return out
}

// TablePos gives the line at which key was written in the constructor of t, or
// that of the constructor itself for a nil or unknown key. It knows only tables
// made while reading.
func (s *State) TablePos(t *lua.LTable, key lua.LValue) engine.Pos {
	o, ok := s.origins[t]
	if !ok {
		return engine.Pos{}
	}
	pos := engine.Pos{File: o.file, Line: o.expr.Line()}
	item := 0
	for _, f := range o.expr.Fields {
		switch k := f.Key.(type) {
		case nil:
			item++
			if n, ok := key.(lua.LNumber); ok && int(n) == item {
				return engine.Pos{File: o.file, Line: f.Value.Line()}
			}
		case *ast.StringExpr:
			if name, ok := key.(lua.LString); ok && string(name) == k.Value {
				line := k.Line()
				if line == 0 {
					line = f.Value.Line()
				}
				pos.Line = line
			}
		default:
			// [expr] = value: the key is known only when it is the only one of its kind.
			if _, ok := key.(*lua.LUserData); ok {
				pos.Line = f.Value.Line()
			}
		}
	}
	return pos
}

// Session says whether the state belongs to a session, in which everything is
// allowed at once: declaring and acting.
func (s *State) Session() bool { return s.opts.Session }
