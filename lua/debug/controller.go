// Package debug stops flows and looks into them: breakpoints at lines, phases and
// primitives, steps, and errors before anything is undone. A front end shows the
// stops to somebody: the console at a terminal, or an editor by way of DAP.
package debug

import (
	"context"
	"errors"
	"fmt"
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
	Pause      Reason = "pause"
	Entry      Reason = "entry"
)

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
	StepIn           // to the next statement, whichever function or coroutine it is in
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
	// Each asks before each primitive; Ask sets it while flows run.
	Each bool
	// Log gets what breakpoints with a message say; nil is nobody.
	Log func(f Flow, at engine.Pos, text string)
	// Placed is told of breakpoints in a text that was read; it may be nil.
	Placed func(b *Break, line int, ok bool)
	// Running is told when a flow begins and ends; it may be nil.
	Running func(f Flow, begins bool)

	mu     sync.Mutex
	states map[*lua.Global]*runtime.State // whose code is debugged
	// breaks are in the order in which they were set; numbers are never used twice.
	breaks []*Break
	last   int
	lines  map[string][]int  // of the texts that were read: where one can stop
	steps  map[string]step   // under way, by guest
	pauses map[string]Reason // asked for, by guest
	flows  []running
	busy   chan struct{} // closed when the stop that now is ends; nil is none
	holder *lua.LState   // whose stop it is
}

// step is a step under way.
type step struct {
	command Command
	root    *lua.LState // its thread, or the one that resumed the coroutine that it is in
	depth   int         // of the functions on both
}

// New makes a controller for one recipe or session.
func New(front Front) *Controller {
	return &Controller{Front: front, states: map[*lua.Global]*runtime.State{}, lines: map[string][]int{}, steps: map[string]step{}, pauses: map[string]Reason{}}
}

// Attach tells the controller a state whose code it debugs: there is one for each
// recipe.
func (c *Controller) Attach(s *runtime.State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.states[s.L().G] = s
}

// state is the one that a thread belongs to.
func (c *Controller) state(l *lua.LState) *runtime.State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.states[l.G]
}

// Loaded implements runtime.Hook.
func (c *Controller) Loaded(file string, lines []int) {
	c.mu.Lock()
	c.lines[file] = lines
	var told []func()
	for _, b := range c.breaks {
		if b.resolve(file, lines) && c.Placed != nil {
			line, ok := b.Verified()
			told = append(told, func() { c.Placed(b, line, ok) })
		}
	}
	c.mu.Unlock()
	for _, tell := range told {
		tell()
	}
}

// Statement implements runtime.Hook.
func (c *Controller) Statement(l *lua.LState, pos engine.Pos) {
	if !c.turn(l) {
		return
	}
	if hit, why := c.hits(l, nil, func(b *Break) bool { return b.at(pos) }); hit != nil {
		c.stop(l, Breakpoint, fmt.Sprintf("breakpoint %d%s", hit[0], why), hit)
		return
	}
	guest := flowOf(l).Guest
	if reason, ok := c.paused(guest); ok {
		c.stop(l, reason, string(reason), nil)
		return
	}
	c.mu.Lock()
	st, on := c.steps[guest]
	c.mu.Unlock()
	if !on || st.root != rootOf(l) {
		return
	}
	if st.ends(len(c.state(l).Levels(l))) {
		c.stop(l, Step, "step", nil)
	}
}

// ends says whether a step ends where so many functions are called.
func (st step) ends(depth int) bool {
	return st.command == StepIn || st.command == StepOver && depth <= st.depth || st.command == StepOut && depth < st.depth
}

// rootOf is the thread that l runs for: steps go into coroutines and out of them, but
// not from one branch of parallel into another.
func rootOf(l *lua.LState) *lua.LState {
	for l.Parent != nil {
		l = l.Parent
	}
	return l
}

// Phase is called before fn, the function of a flow.
func (c *Controller) Phase(l *lua.LState, fn *lua.LFunction, guest, phase string) error {
	c.begins(l)
	if !c.turn(l) {
		return nil
	}
	c.goOn(l, guest)
	entry := c.state(l).Entry(fn)
	if hit, why := c.hits(l, entry, func(b *Break) bool { return b.Phase != "" && b.Phase == phase }); hit != nil {
		return c.stopped(l, &Stop{Reason: Phase, Text: "phase " + phase + why, Breaks: hit}, entry)
	}
	if reason, ok := c.paused(guest); ok {
		return c.stopped(l, &Stop{Reason: reason, Text: "phase " + phase}, entry)
	}
	return nil
}

// goOn lets a step of what has ended, a flow of the guest or the reading of the
// recipe, end at the first statement of the flow that begins on l.
func (c *Controller) goOn(l *lua.LState, guest string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range []string{guest, ""} {
		if st, on := c.steps[key]; on && (st.command == StepIn || st.command == StepOver) {
			delete(c.steps, key)
			c.steps[guest] = step{command: st.command, root: rootOf(l), depth: 1 << 30}
			return
		}
	}
}

// Primitive is called before each of the six, with its step in words. An error
// keeps it from being done.
func (c *Controller) Primitive(l *lua.LState, name, words string) error {
	if !c.turn(l) {
		return nil
	}
	hit, why := c.hits(l, nil, func(b *Break) bool { return b.Primitive != "" && b.Primitive == name })
	if c.asks() || hit != nil {
		return c.stopped(l, &Stop{Reason: Primitive, Text: words + why, Breaks: hit})
	}
	// The default flows have no statements to stop at.
	guest := flowOf(l).Guest
	if reason, ok := c.paused(guest); ok {
		return c.stopped(l, &Stop{Reason: reason, Text: words})
	}
	c.mu.Lock()
	st, on := c.steps[guest]
	c.mu.Unlock()
	if !on || st.root != rootOf(l) {
		return nil
	}
	if levels := c.state(l).Levels(l); len(levels) > 0 && levels[0].Stdlib() && st.ends(len(levels)) {
		return c.stopped(l, &Stop{Reason: Step, Text: words})
	}
	return nil
}

// Breakpoint is what the recipe's breakpoint() does.
func (c *Controller) Breakpoint(l *lua.LState) error {
	if !c.turn(l) {
		return nil
	}
	return c.stopped(l, &Stop{Reason: Breakpoint, Text: "breakpoint()"})
}

// Failed implements runtime.Hook.
func (c *Controller) Failed(l *lua.LState, err error) {
	c.mu.Lock()
	on := c.OnFailure
	c.mu.Unlock()
	if on && c.turn(l) && !errors.Is(err, ErrAborted) {
		_ = c.stopped(l, &Stop{Reason: Failure, Text: err.Error(), Err: err}) // it fails anyway
	}
}

// StopAtFailures sets OnFailure while flows run.
func (c *Controller) StopAtFailures(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.OnFailure = on
}

// Ask sets Each while flows run.
func (c *Controller) Ask(each bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Each = each
}

func (c *Controller) asks() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Each
}

// stop is stopped for places where an error can be raised.
func (c *Controller) stop(l *lua.LState, reason Reason, text string, breaks []int) {
	if err := c.stopped(l, &Stop{Reason: reason, Text: text, Breaks: breaks}); err != nil {
		c.state(l).Raise(l, err)
	}
}

// stopped waits for the front end. levels are those of functions yet to be called.
func (c *Controller) stopped(l *lua.LState, s *Stop, levels ...*runtime.Level) error {
	levels = append(levels, c.state(l).Levels(l)...)
	if len(levels) == 0 {
		return nil
	}
	s.Flow, s.Levels, s.c, s.l = flowOf(l), levels, c, l
	done, ok := c.take(l)
	if !ok {
		return nil
	}
	command := c.Front.Stopped(s)
	c.mu.Lock()
	delete(c.pauses, s.Flow.Guest)
	delete(c.pauses, AnyGuest)
	delete(c.steps, s.Flow.Guest)
	if command == StepIn || command == StepOver || command == StepOut {
		c.steps[s.Flow.Guest] = step{command: command, root: rootOf(l), depth: len(levels)}
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
		busy, mine := c.busy, c.holder == l || c.holder != nil && c.holder.G == l.G && flowOf(c.holder) == flowOf(l) && flowOf(l) != (Flow{})
		c.mu.Unlock()
		if busy == nil {
			return true
		}
		if mine {
			return false
		}
		err := c.state(l).Block(l, func(ctx context.Context) error {
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

// take makes l the stopped thread until the function it gives is called. A thread of
// another state may have been faster than l since its turn came: then l waits once
// more, and is told where its context ended meanwhile.
func (c *Controller) take(l *lua.LState) (done func(), ok bool) {
	busy := make(chan struct{})
	for !c.taken(l, busy) {
		if !c.turn(l) {
			return nil, false
		}
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.busy, c.holder = nil, nil
		close(busy)
	}, true
}

func (c *Controller) taken(l *lua.LState, busy chan struct{}) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy != nil {
		return false
	}
	c.busy, c.holder = busy, l
	return true
}
