package spawn

import (
	"fmt"
	"slices"
	"sync"
	"unsafe"

	"vsl/engine/internal/sys"
)

// image is a program in the form in which the child can run it: words that
// point into one block of memory.
type image struct {
	calls  []sys.ForkCall
	names  []string // of each call
	number []int    // of each call: its step, from 1, or 0 for what Start adds

	mem    []byte // laid out first, copied to words when it is complete
	fix    []fixup
	words  []uint64 // what the addresses are in; on the heap, so it never moves
	lifted map[int]int
}

// fixup says that a pointer to the offset to is needed at mem[at], or as an
// argument of a call.
type fixup struct {
	call, arg int // call < 0: at mem[at]
	at, to    int
}

// add appends a step and returns its index. at says where earlier ones are.
func (m *image) add(s *Step, number int, at map[*Step]int) (int, error) {
	c := sys.ForkCall{Kind: s.kind, Nr: s.nr}
	i := len(m.calls)
	for n, a := range s.args {
		switch a.kind {
		case argWord:
			c.Args[n] = a.n
		case argFD:
			c.Args[n] = uintptr(m.fd(int(a.n)))
		case argData:
			m.fix = append(m.fix, fixup{call: i, arg: n, to: m.place(a)})
		case argResult:
			from, ok := at[a.after]
			if !ok {
				return 0, fmt.Errorf("%s uses the result of %s, which does not come before it", s.name, a.after.name)
			}
			c.Args[n] = uintptr(from)
			c.Refs |= 1 << n
		}
	}
	for n, e := range s.ignore {
		c.Ignore[n] = uintptr(e)
	}
	m.calls = append(m.calls, c)
	m.names = append(m.names, s.name)
	m.number = append(m.number, number)
	return i, nil
}

// fd is the number under which the child has a descriptor of the parent.
func (m *image) fd(fd int) int {
	if n, ok := m.lifted[fd]; ok {
		return n
	}
	return fd
}

// place lays a piece of memory out, aligned to a word, and gives its offset.
func (m *image) place(a Arg) int {
	at := len(m.mem)
	m.mem = append(m.mem, a.data...)
	for len(m.mem)%8 != 0 || len(m.mem) == at {
		m.mem = append(m.mem, 0)
	}
	for off, p := range a.ptrs {
		m.fix = append(m.fix, fixup{call: -1, at: at + off, to: m.place(p)})
	}
	return at
}

// link copies the memory to its final place and fills in the addresses.
func (m *image) link() {
	m.words = make([]uint64, len(m.mem)/8+1)
	base := uintptr(unsafe.Pointer(unsafe.SliceData(m.words)))
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(m.words))), len(m.words)*8)
	copy(b, m.mem)
	for _, f := range m.fix {
		if f.call >= 0 {
			m.calls[f.call].Args[f.arg] = base + uintptr(f.to)
		} else {
			m.words[f.at/8] = uint64(base) + uint64(f.to)
		}
	}
}

// prelude is what every child does first: forget our signal handlers, become
// invisible to ptrace, close what it does not need, take its files, and become
// root of its namespaces. It closes the ranges of descriptors in gaps.
//
// A failure of its steps is reported without a number.
func (a *Attr) prelude(files []Arg, gaps [][2]Arg) *Program {
	p := &Program{}
	undumpable := func() {
		p.Add("set undumpable", sys.NrPrctl, Word(sys.PR_SET_DUMPABLE), Word(0), Word(0), Word(0), Word(0))
	}
	p.steps = append(p.steps, signalSteps()...)
	if a.shares() {
		p.add(&Step{name: "begin", kind: sys.ForkBorn})
	} else {
		undumpable() // of a child that shares our memory it would make us so; see StartShared
	}
	a.clean(p)
	for _, gap := range gaps {
		p.Add("close_range", sys.NrCloseRange, gap[0], gap[1], Word(0))
	}
	for i, f := range files {
		p.Add("dup3", sys.NrDup3, f, Int(i), Word(0))
	}
	if a.IDMap != nil {
		p.Sync(syncIDMap)
	}
	if a.Join != nil && a.Join.flags != 0 {
		p.Add("join the guest's namespaces", sys.NrSetns, FD(a.Join.pidfd).Named("the guest's pid 1"), Int(a.Join.flags))
	}
	if a.IDMap != nil || a.Join != nil && a.Join.flags&sys.CLONE_NEWUSER != 0 {
		undumpable() // fs.suid_dumpable may have undone it
		p.Add("setgroups", sys.NrSetgroups, Word(0), Word(0))
		p.Add("setresgid", sys.NrSetresgid, Word(0), Word(0), Word(0))
		p.Add("setresuid", sys.NrSetresuid, Word(0), Word(0), Word(0))
		undumpable()
	}
	return p
}

// signalSteps give every signal its default disposition and unblock it: what a
// guest begins with must not depend on how we were started.
var signalSteps = sync.OnceValue(func() []*Step {
	p := &Program{}
	none := Data(make([]byte, 32)) // a struct sigaction of zeros: SIG_DFL
	for s := range sys.Signals {
		p.Add("default signal", sys.NrRtSigaction, Int(s+1), none, Word(0), Word(8)).Ignore(sys.EINVAL) // SIGKILL and SIGSTOP
	}
	p.Add("unblock signals", sys.NrRtSigprocmask, Word(sys.SIG_SETMASK), Data(make([]byte, 8)), Word(0), Word(8))
	return p.steps
})

// clean gives the child what a process begins with, where ours may differ: the
// umask, the soft limit of open files, which the Go runtime raises, and the
// session keyring.
func (a *Attr) clean(p *Program) {
	p.Add("umask", sys.NrUmask, Word(0o022))
	const softFiles, rlimitNofile = 1024, 7
	if hard, err := sys.HardLimit(rlimitNofile); err == nil {
		p.Rlimit(rlimitNofile, min(softFiles, hard), hard)
	}
	if a.Join != nil || a.CloneFlags&sys.CLONE_NEWUSER != 0 {
		const joinSession = 1 // KEYCTL_JOIN_SESSION_KEYRING
		p.Add("new session keyring", sys.NrKeyctl, Word(joinSession), Word(0)).Ignore(sys.ENOSYS, sys.EPERM, sys.EACCES, sys.EDQUOT)
	}
}

// program appends a program's steps, with their numbers if they are to be told.
func (m *image) program(p *Program, numbered bool) error {
	at := map[*Step]int{}
	m.calls = slices.Grow(m.calls, len(p.steps))
	m.names, m.number = slices.Grow(m.names, len(p.steps)), slices.Grow(m.number, len(p.steps))
	for _, s := range p.steps {
		number := 0
		if numbered {
			number = s.index + 1
		}
		i, err := m.add(s, number, at)
		if err != nil {
			return err
		}
		if s.used {
			at[s] = i
		}
	}
	return nil
}

// fds lists the descriptors that a program's arguments mention.
func (p *Program) fds() []int {
	out := slices.Clone(p.keep)
	for _, s := range p.steps {
		for _, a := range s.args {
			if a.kind == argFD {
				out = append(out, int(a.n))
			}
		}
	}
	return out
}
