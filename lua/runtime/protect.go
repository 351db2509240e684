package runtime

import (
	"reflect"
	"unsafe"

	lua "github.com/yuin/gopher-lua"
)

// gopher-lua treats upvalues wrongly when an error is caught: without an error
// handler it detaches the variables of every function that is still running
// from the closures over them, with one it detaches none, so that closures made
// by the failed functions see what comes to lie in their registers next. A
// protected call here closes exactly the upvalues of what it unwinds, which
// needs unexported things of the pinned version; protect_test.go fails
// when they change.

//go:linkname closeUpvalues github.com/yuin/gopher-lua.(*LState).closeUpvalues
func closeUpvalues(l *lua.LState, base int)

var (
	stateType     = reflect.TypeFor[lua.LState]()
	errFuncOffset = mustField(stateType, "hasErrorFunc").Offset
	frameField    = mustField(stateType, "currentFrame")
	baseOffset    = mustField(frameField.Type.Elem(), "LocalBase").Offset
	idxOffset     = mustField(frameField.Type.Elem(), "Idx").Offset
	pcOffset      = mustField(frameField.Type.Elem(), "Pc").Offset
	loopOffset    = mustField(stateType, "mainLoop").Offset

	debugFrameOffset = mustField(reflect.TypeFor[lua.Debug](), "frame").Offset
)

func mustField(t reflect.Type, name string) reflect.StructField {
	f, ok := t.FieldByName(name)
	if !ok {
		panic("gopher-lua has no field " + name)
	}
	return f
}

func errFunc(l *lua.LState) *bool {
	return (*bool)(unsafe.Add(unsafe.Pointer(l), errFuncOffset))
}

// frameBase is the first register of the function that runs on l, 0 while none does.
func frameBase(l *lua.LState) int {
	frame := *(*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(l), frameField.Offset))
	if frame == nil {
		return 0
	}
	return *(*int)(unsafe.Add(frame, baseOffset))
}

// callDepth is how many calls l is in.
func callDepth(l *lua.LState) int {
	frame := *(*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(l), frameField.Offset))
	if frame == nil {
		return 0
	}
	return *(*int)(unsafe.Add(frame, idxOffset)) + 1
}

// protect is pcall and xpcall: it calls the function below nargs arguments on
// the stack. onError sees the error object where it was raised.
func (s *State) protect(l *lua.LState, nargs int, onError func(l *lua.LState, obj lua.LValue) lua.LValue) error {
	base := frameBase(l)
	handler := l.NewFunction(func(l *lua.LState) int {
		obj := s.named(l, l.Get(1), 1)
		if onError != nil {
			obj = onError(l, obj)
		}
		closeUpvalues(l, base)
		l.Push(obj)
		return 1
	})
	before := *errFunc(l)
	defer func() { *errFunc(l) = before }()
	return l.PCall(nargs, lua.MultRet, handler)
}

// watch has errors that a coroutine raises and does not catch name their operands:
// where such an error arrives, the coroutine's stack is no more. It also counts how
// many loops of the interpreter the coroutine is in while it runs: each after the
// first was begun by a function of Go's, which no yield can leave.
func (s *State) watch(co *lua.LState) {
	loop := (*func(*lua.LState, unsafe.Pointer))(unsafe.Add(unsafe.Pointer(co), loopOffset))
	run := *loop
	*loop = func(l *lua.LState, base unsafe.Pointer) {
		s.loops[l]++
		defer func() {
			if s.loops[l]--; s.loops[l] == 0 {
				delete(s.loops, l)
			}
			r := recover()
			if r == nil {
				return
			}
			if api, ok := r.(*lua.ApiError); ok {
				api.Object = s.named(l, api.Object, 0)
			}
			panic(r)
		}()
		run(l, base)
	}
}

func (s *State) pcall(l *lua.LState) int {
	fn := l.CheckAny(1)
	if fn.Type() != lua.LTFunction && l.GetMetaField(fn, "__call") == lua.LNil {
		l.Push(lua.LFalse)
		l.Push(lua.LString("attempt to call a " + fn.Type().String() + " value"))
		return 2
	}
	return s.finish(l, s.protect(l, l.GetTop()-1, nil))
}

func (s *State) xpcall(l *lua.LState) int {
	fn, onErr := l.CheckAny(1), l.CheckFunction(2)
	args := []lua.LValue{}
	for i := 3; i <= l.GetTop(); i++ {
		args = append(args, l.Get(i))
	}
	l.SetTop(0)
	l.Push(fn)
	for _, a := range args {
		l.Push(a)
	}
	return s.finish(l, s.protect(l, len(args), func(l *lua.LState, obj lua.LValue) lua.LValue {
		l.Push(onErr)
		l.Push(obj)
		l.Call(1, 1)
		out := l.Get(-1)
		l.Pop(1)
		return out
	}))
}

func (s *State) finish(l *lua.LState, err error) int {
	if err == nil {
		l.Insert(lua.LTrue, 1)
		return l.GetTop()
	}
	obj := lua.LValue(lua.LString(err.Error()))
	if api, ok := err.(*lua.ApiError); ok && api.Object != nil {
		obj = api.Object
	}
	l.Push(lua.LFalse)
	l.Push(obj)
	return 2
}
