package runtime

import (
	lua "github.com/yuin/gopher-lua"
)

const (
	// maxCoroutines is how many coroutines may run within each other. Each is a part
	// of the Go stack, which no error can unwind once it is full.
	maxCoroutines = 200
	// maxNested is how many calls those that wait may be in, all together: where an
	// error goes through calls of Go's, each of them looks through all that are below.
	maxNested = callStack
	// acrossCall is Lua 5.1's answer to a yield that would have to leave a function
	// of Go's behind.
	acrossCall = "attempt to yield across metamethod/C-call boundary"
)

// openCoroutines mends gopher-lua's coroutines: how many there may be within each
// other, what a yield gets back, and from where one may yield.
func (s *State) openCoroutines(g *lua.LTable) {
	co := g.RawGetString("coroutine").(*lua.LTable)
	stock := func(name string) lua.LGFunction { return co.RawGetString(name).(*lua.LFunction).GFunction }
	create, wrap, resume, yield := stock("create"), stock("wrap"), stock("resume"), stock("yield")
	co.RawSetString("create", s.l.NewFunction(func(l *lua.LState) int {
		n := create(l)
		s.watch(l.Get(-1).(*lua.LState))
		return n
	}))
	co.RawSetString("resume", s.l.NewFunction(func(l *lua.LState) int {
		s.nested(l)
		if th, ok := l.Get(1).(*lua.LState); ok {
			deliver(l, th, 1)
		}
		return resume(l)
	}))
	co.RawSetString("wrap", s.l.NewFunction(func(l *lua.LState) int {
		n := wrap(l)
		fn := l.Get(-1).(*lua.LFunction)
		th := fn.Upvalues[0].Value().(*lua.LState)
		s.watch(th)
		inner := fn.GFunction
		fn.GFunction = func(l *lua.LState) int {
			s.nested(l)
			deliver(l, th, 0)
			return inner(l)
		}
		return n
	}))
	co.RawSetString("yield", s.l.NewFunction(func(l *lua.LState) int {
		if l.Parent == nil || s.loops[l] != 1 || !calledByLua(l) {
			l.RaiseError(acrossCall)
		}
		return yield(l)
	}))
}

// calledByLua says whether the function of Go's that runs was called by a call in a
// Lua function: not by another of Go's, by a metamethod or by a for loop.
func calledByLua(l *lua.LState) bool {
	inst, ok := instruction(l, 1)
	return ok && (opcode(inst) == lua.OP_CALL || opcode(inst) == lua.OP_TAILCALL)
}

// instruction is the one that a Lua function on l's stack is at; false where that
// level is none.
func instruction(l *lua.LState, level int) (uint32, bool) {
	dbg, ok := l.GetStack(level)
	if !ok {
		return 0, false
	}
	fn, err := l.GetInfo("f", dbg, lua.LNil)
	f, ok := fn.(*lua.LFunction)
	pc := framePC(dbg) - 1
	if err != nil || !ok || f.IsG || pc < 0 {
		return 0, false
	}
	return f.Proto.Code[pc], true
}

// An instruction's parts, as gopher-lua's opcode.go lays them out.
func opcode(inst uint32) int   { return int(inst >> 26) }
func operandC(inst uint32) int { return int(inst>>9) & 0x1ff }

// deliver gives a coroutine that waits in yield as many values as its call wants.
// They are the arguments on l's stack behind the first few. gopher-lua hands over
// what there is: where that is less, the coroutine's variables hold no Lua value at
// all, which ends in a nil pointer in Go.
func deliver(l, th *lua.LState, first int) {
	inst, ok := instruction(th, 0)
	if !ok || opcode(inst) != lua.OP_CALL { // it has not begun, has ended, or takes all
		return
	}
	if want := operandC(inst); want > 0 { // one more than the values; 0 is any number
		l.SetTop(first + want - 1)
	}
}

// nested refuses to go into one more coroutine where too many wait for each other.
func (s *State) nested(l *lua.LState) {
	n, calls := 0, 0
	for th := l; th != nil; th = th.Parent {
		if n++; n > maxCoroutines {
			s.Raisef(l, "", "stack overflow: more than %d coroutines within each other", maxCoroutines)
		}
		if calls += callDepth(th); calls > maxNested {
			s.Raisef(l, "", "stack overflow: more than %d calls in coroutines within each other", maxNested)
		}
	}
}
