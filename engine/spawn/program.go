// Package spawn starts processes that are not like their parent: in other
// namespaces, another cgroup, another root, with fewer powers. What the child
// does between clone3(2) and execve(2) is a Program, a list of system calls as
// data, built and printed beforehand and replayed by the child, so that a
// failing call is reported as "mount proc (step 2): no such file or directory".
//
// It does not decide what a guest looks like: engine composes the programs.
package spawn

import (
	"fmt"
	"strings"

	"vsl/engine/internal/sys"
)

// Program is a list of system calls for a child. The zero value is empty and
// usable. It can be started more than once, but not built while it is started.
type Program struct {
	steps []*Step
	keep  []int // descriptors that steps mention as plain numbers
}

// Step is one entry of a Program.
type Step struct {
	name   string
	kind   uintptr
	nr     uintptr
	args   []Arg
	ignore []sys.Errno
	index  int  // from 0
	used   bool // its result is
}

// Arg is an argument of a system call: a number, memory, a descriptor of ours
// or the result of an earlier step.
type Arg struct {
	kind  argKind
	n     uintptr
	name  string // of what it stands for, where a number says nothing
	data  []byte
	ptrs  map[int]Arg // offset in data to what the pointer there points to
	after *Step
}

type argKind uint8

const (
	argWord argKind = iota
	argData
	argFD
	argResult
)

// Word is a number as an argument.
func Word(n uintptr) Arg { return Arg{n: n} }

// Int is a signed number as an argument.
func Int(n int) Arg { return Arg{n: uintptr(n)} }

// Data is a pointer to a copy of b in the child's memory.
func Data(b []byte) Arg { return Arg{kind: argData, data: b} }

// Str is a pointer to s with a terminating zero byte.
func Str(s string) Arg { return Data(append([]byte(s), 0)) }

// FD is a descriptor that is open in the parent when Start is called. It stays
// open in the child, possibly under another number, until the exec.
func FD(fd int) Arg { return Arg{kind: argFD, n: uintptr(fd)} }

// Unopened stands for a descriptor in a program that is only shown (Attr.Calls):
// it would be opened first. Start refuses it.
const Unopened = 1<<31 - 1

// Named says what an argument is to whom it is shown: "reaper".
func (a Arg) Named(what string) Arg {
	a.name = what
	return a
}

// strs is a vector of strings that ends with a null pointer, as execve wants.
func strs(list []string) Arg {
	a := Arg{kind: argData, data: make([]byte, 8*(len(list)+1)), ptrs: map[int]Arg{}}
	for i, s := range list {
		a.ptrs[8*i] = Str(s)
	}
	return a
}

// Call adds a system call whose arguments are plain numbers. Errors of the
// child name it by name. A descriptor among the arguments must be announced by
// KeepFD, and must be at least as high as the number of Attr.Files (and 3).
func (p *Program) Call(name string, nr uintptr, args ...uintptr) *Step {
	list := make([]Arg, len(args))
	for i, n := range args {
		list[i] = Word(n)
	}
	return p.Add(name, nr, list...)
}

// Add adds a system call with arguments of any kind, at most six.
func (p *Program) Add(name string, nr uintptr, args ...Arg) *Step {
	if len(args) > 6 {
		panic("spawn: a system call has at most six arguments")
	}
	return p.add(&Step{name: name, kind: sys.ForkSyscall, nr: nr, args: args})
}

func (p *Program) add(s *Step) *Step {
	s.index = p.Len()
	p.steps = append(p.steps, s)
	return s
}

// KeepFD keeps a descriptor of the parent open in the child until the exec.
// All others are closed before the first step.
func (p *Program) KeepFD(fd int) { p.keep = append(p.keep, fd) }

// Len is the number of steps.
func (p *Program) Len() int {
	n := 0
	for _, s := range p.steps {
		if s.kind != sys.ForkMark {
			n++
		}
	}
	return n
}

// Result is what the step returns, as an argument of later steps.
func (s *Step) Result() Arg {
	s.used = true
	return Arg{kind: argResult, after: s}
}

// Ignore makes errors no failure of the program; at most four per step. The
// step's result is then -1.
func (s *Step) Ignore(errs ...sys.Errno) *Step {
	s.ignore = append(s.ignore, errs...)
	if len(s.ignore) > 4 {
		panic("spawn: a step can ignore at most four errors")
	}
	return s
}

// Name is what errors call the step.
func (s *Step) Name() string { return s.name }

// Sync makes the child stop until the hook of that name has run in the parent.
// A child whose parent has died does not go on.
func (p *Program) Sync(name string) *Step {
	return p.add(&Step{name: name, kind: sys.ForkSync})
}

// syncValue is a Sync that tells the parent the result of an earlier step.
func (p *Program) syncValue(name string, v Arg) *Step {
	return p.add(&Step{name: name, kind: sys.ForkSync, args: []Arg{v}})
}

// String lists the program, one line per step, numbered as errors number them.
func (p *Program) String() string {
	var b strings.Builder
	for _, c := range p.calls(true) {
		fmt.Fprintf(&b, "%s\n", c)
	}
	return b.String()
}
