// Package debug stops flows and looks into them: breakpoints at lines, phases and
// primitives, steps, and errors before anything is undone. A front end shows the
// stops to somebody: the console at a terminal, or an editor by way of DAP.
package debug

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
	"vsl/lua/runtime"
)

// Reason says why something stopped.
type Reason string

// The reasons.
const (
	Breakpoint Reason = "breakpoint"
	Step       Reason = "step"
	Phase      Reason = "phase"
	Primitive  Reason = "primitive"
	Failure    Reason = "error"
)

// Stop is a flow that waits for what the front end says.
type Stop struct {
	Reason Reason
	Text   string // in words: "breakpoint 2", the error, the primitive's step
	Flow   Flow
	Levels []*runtime.Level // innermost first
	Err    error            // of a failure

	c *Controller
	l *lua.LState
}

// Flow names the flow that a thread runs; it is empty while a recipe is read and
// at a session's prompt.
type Flow struct{ Guest, Phase string }

func (f Flow) String() string {
	if f.Guest == "" {
		return "the recipe"
	}
	return f.Guest + ": " + f.Phase
}

// Command is how a stopped flow goes on.
type Command int

// The commands.
const (
	Continue Command = iota
	StepIn           // to the next statement, whichever function it is in
	StepOver         // to the next statement of this function, or of its caller
	StepOut          // to the next statement of the caller
	Abort            // the flow fails here
)

// ErrAborted is what a flow fails with that was ended at the prompt.
var ErrAborted = errors.New("ended at the debugger's prompt")

// Front shows stops to somebody. Stopped is called by one flow at a time, and the
// flow waits for its result; other flows wait at their next statement.
type Front interface{ Stopped(s *Stop) Command }

// Controller decides where flows stop. Its methods may be called from any
// goroutine.
type Controller struct {
	Front Front
	// OnFailure stops where an error was raised that nothing catches.
	OnFailure bool
	// Each asks before each primitive.
	Each bool

	s  *runtime.State
	mu sync.Mutex
	// breaks are in the order in which they were set; numbers are never used twice.
	breaks []*Break
	last   int
	lines  map[string][]int // of the texts that were read: where one can stop
	step   step
	busy   chan struct{} // closed when the stop that now is ends; nil is none
	holder *lua.LState   // whose stop it is
}

// step is a step under way.
type step struct {
	command Command
	l       *lua.LState
	depth   int
	flow    Flow
	on      bool
}

// New makes a controller for one recipe or session.
func New(front Front) *Controller {
	return &Controller{Front: front, lines: map[string][]int{}}
}

// Attach tells the controller the state whose code it debugs.
func (c *Controller) Attach(s *runtime.State) { c.s = s }

// Loaded implements runtime.Hook.
func (c *Controller) Loaded(file string, lines []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines[file] = lines
	for _, b := range c.breaks {
		b.resolve(file, lines)
	}
}

// Statement implements runtime.Hook.
func (c *Controller) Statement(l *lua.LState, pos engine.Pos) {
	if !c.turn(l) {
		return
	}
	c.mu.Lock()
	var hit *Break
	for _, b := range c.breaks {
		if b.at(pos) {
			hit = b
			break
		}
	}
	st := c.step
	c.mu.Unlock()
	if hit != nil && c.holds(l, hit) {
		c.stop(l, Breakpoint, fmt.Sprintf("breakpoint %d", hit.ID), nil)
		return
	}
	if !st.on || st.l != l {
		return
	}
	depth := len(c.s.Levels(l))
	if st.command == StepIn || st.command == StepOver && depth <= st.depth || st.command == StepOut && depth < st.depth {
		c.stop(l, Step, "step", nil)
	}
}

// holds evaluates a breakpoint's condition. One that fails stops, and says so.
func (c *Controller) holds(l *lua.LState, b *Break) bool {
	if b.If == "" {
		return true
	}
	levels := c.s.Levels(l)
	if len(levels) == 0 {
		return false
	}
	done := c.take(l)
	defer done()
	got, err := c.s.EvalAt(l, levels[0], b.If)
	return err != nil || len(got) > 0 && lua.LVAsBool(got[0])
}

// Phase is called before fn, the function of a flow.
func (c *Controller) Phase(l *lua.LState, fn *lua.LFunction, guest, phase string) error {
	if !c.turn(l) {
		return nil
	}
	c.mu.Lock()
	hit := slices.ContainsFunc(c.breaks, func(b *Break) bool { return b.Phase == phase })
	if st := &c.step; st.on && st.flow.Guest == guest && (st.command == StepIn || st.command == StepOver) {
		st.l, st.depth = l, 1<<30 // the flow stepped in has ended: this is where it goes on
	}
	c.mu.Unlock()
	if !hit {
		return nil
	}
	return c.stopped(l, Phase, "phase "+phase, nil, c.s.Entry(fn))
}

// Primitive is called before each of the six, with its step in words. An error
// keeps it from being done.
func (c *Controller) Primitive(l *lua.LState, name, words string) error {
	if !c.turn(l) {
		return nil
	}
	c.mu.Lock()
	hit := c.Each || slices.ContainsFunc(c.breaks, func(b *Break) bool { return b.Primitive == name })
	c.mu.Unlock()
	if hit {
		return c.stopped(l, Primitive, words, nil)
	}
	return nil
}

// Breakpoint is what the recipe's breakpoint() does.
func (c *Controller) Breakpoint(l *lua.LState) error {
	if !c.turn(l) {
		return nil
	}
	return c.stopped(l, Breakpoint, "breakpoint()", nil)
}

// Failed implements runtime.Hook.
func (c *Controller) Failed(l *lua.LState, err error) {
	if c.OnFailure && c.turn(l) && !errors.Is(err, ErrAborted) {
		_ = c.stopped(l, Failure, err.Error(), err) // it fails anyway
	}
}

// stop is stopped for places where an error can be raised.
func (c *Controller) stop(l *lua.LState, reason Reason, text string, err error) {
	if err := c.stopped(l, reason, text, err); err != nil {
		c.s.Raise(l, err)
	}
}

// stopped waits for the front end. levels are those of functions yet to be called.
func (c *Controller) stopped(l *lua.LState, reason Reason, text string, err error, levels ...*runtime.Level) error {
	levels = append(levels, c.s.Levels(l)...)
	if len(levels) == 0 {
		return nil
	}
	s := &Stop{Reason: reason, Text: text, Flow: flowOf(l), Levels: levels, Err: err, c: c, l: l}
	done := c.take(l)
	command := c.Front.Stopped(s)
	c.mu.Lock()
	c.step = step{}
	if command == StepIn || command == StepOver || command == StepOut {
		c.step = step{command: command, l: l, depth: len(levels), flow: s.Flow, on: true}
	}
	c.mu.Unlock()
	done()
	if command == Abort {
		return ErrAborted
	}
	return nil
}

// turn waits until no other thread is stopped. It is false on the stopped thread
// itself, where what the front end evaluates runs.
func (c *Controller) turn(l *lua.LState) bool {
	for {
		c.mu.Lock()
		busy, mine := c.busy, c.holder == l || c.holder != nil && flowOf(c.holder) == flowOf(l) && flowOf(l) != (Flow{})
		c.mu.Unlock()
		if busy == nil {
			return true
		}
		if mine {
			return false
		}
		err := c.s.Block(l, func(ctx context.Context) error {
			select {
			case <-busy:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
		if err != nil {
			return false
		}
	}
}

// take makes l the stopped thread until the function it gives is called.
func (c *Controller) take(l *lua.LState) (done func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	busy := make(chan struct{})
	c.busy, c.holder = busy, l
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.busy, c.holder = nil, nil
		close(busy)
	}
}

// Variables are those of a level.
func (s *Stop) Variables(v *runtime.Level) []runtime.Variable { return s.c.s.Variables(s.l, v) }

// Set gives a variable of a level the value of an expression.
func (s *Stop) Set(v *runtime.Level, name, text string) (lua.LValue, error) {
	got, err := s.c.s.EvalAt(s.l, v, text)
	if err != nil {
		return lua.LNil, err
	}
	value := lua.LValue(lua.LNil)
	if len(got) > 0 {
		value = got[0]
	}
	if !s.c.s.SetVariable(s.l, v, name, value) {
		return lua.LNil, fmt.Errorf("there is no variable %q here", name)
	}
	return value, nil
}

// Eval runs a text at a level.
func (s *Stop) Eval(v *runtime.Level, text string) ([]lua.LValue, error) {
	return s.c.s.EvalAt(s.l, v, text)
}

// Value prints a value.
func (s *Stop) Value(v lua.LValue) string { return runtime.Pretty(s.l, v) }

// Pairs are the entries of a table, for those who unfold it.
func (s *Stop) Pairs(v lua.LValue) []runtime.Variable {
	t, ok := v.(*lua.LTable)
	if !ok {
		return nil
	}
	var out []runtime.Variable
	t.ForEach(func(k, v lua.LValue) {
		name := k.String()
		if k.Type() != lua.LTString {
			name = "[" + name + "]"
		}
		out = append(out, runtime.Variable{Name: name, Value: v})
	})
	slices.SortStableFunc(out, func(a, b runtime.Variable) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Source gives the lines of a text that was read, nil of one that was not.
func (s *Stop) Source(file string) []string { return s.c.s.Source(file) }
