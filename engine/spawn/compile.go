package spawn

import (
	"encoding/binary"
	"fmt"
	"slices"
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

// add appends a call and returns its index.
func (m *image) add(name string, number int, kind, nr uintptr, ignore []sys.Errno, args []Arg, at map[*Step]int) (int, error) {
	c := sys.ForkCall{Kind: kind, Nr: nr}
	i := len(m.calls)
	for n, a := range args {
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
				return 0, fmt.Errorf("%s uses the result of %s, which does not come before it", name, a.after.name)
			}
			c.Args[n] = uintptr(from)
			c.Refs |= 1 << n
		}
	}
	for n, e := range ignore {
		c.Ignore[n] = uintptr(e)
	}
	m.calls = append(m.calls, c)
	m.names = append(m.names, name)
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

// prelude is what every child does first: become invisible to ptrace, close
// what it does not need, take its files, and become root of its namespaces.
func (m *image) prelude(a *Attr, files []int, keep []int) {
	sysc := func(name string, nr uintptr, args ...Arg) {
		_, _ = m.add(name, 0, sys.ForkSyscall, nr, nil, args, nil) // no results used: cannot fail
	}
	undumpable := func() {
		sysc("set undumpable", sys.NrPrctl, Word(sys.PR_SET_DUMPABLE), Word(0), Word(0), Word(0), Word(0))
	}
	if a.shares() {
		_, _ = m.add("begin", 0, sys.ForkBorn, 0, nil, nil, nil)
	} else {
		undumpable() // of a child that shares our memory it would make us so; see StartShared
	}
	m.clean(a)
	for _, gap := range gaps(keep) {
		sysc("close_range", sys.NrCloseRange, Word(gap[0]), Word(gap[1]), Word(0))
	}
	for i, f := range files {
		sysc("dup3", sys.NrDup3, Int(f), Int(i), Word(0))
	}
	if a.IDMap != nil {
		_, _ = m.add(syncIDMap, 0, sys.ForkSync, 0, nil, nil, nil)
	}
	if a.Join != nil && a.Join.flags != 0 {
		sysc("join the guest's namespaces", sys.NrSetns, FD(a.Join.pidfd), Int(a.Join.flags))
	}
	if a.IDMap != nil || a.Join != nil && a.Join.flags&sys.CLONE_NEWUSER != 0 {
		undumpable() // fs.suid_dumpable may have undone it
		sysc("setgroups", sys.NrSetgroups, Word(0), Word(0))
		sysc("setresgid", sys.NrSetresgid, Word(0), Word(0), Word(0))
		sysc("setresuid", sys.NrSetresuid, Word(0), Word(0), Word(0))
		undumpable()
	}
}

// clean gives the child what a process begins with, where ours may differ: the
// umask, the soft limit of open files, which the Go runtime raises, and the
// session keyring.
func (m *image) clean(a *Attr) {
	sysc := func(name string, nr uintptr, ignore []sys.Errno, args ...Arg) {
		_, _ = m.add(name, 0, sys.ForkSyscall, nr, ignore, args, nil)
	}
	sysc("umask", sys.NrUmask, nil, Word(0o022))
	const softFiles, rlimitNofile = 1024, 7
	if hard, err := sys.HardLimit(rlimitNofile); err == nil {
		lim := binary.NativeEndian.AppendUint64(nil, min(softFiles, hard))
		lim = binary.NativeEndian.AppendUint64(lim, hard)
		sysc("setrlimit", sys.NrPrlimit64, nil, Word(0), Word(rlimitNofile), Data(lim), Word(0))
	}
	if a.Join != nil || a.CloneFlags&sys.CLONE_NEWUSER != 0 {
		const joinSession = 1 // KEYCTL_JOIN_SESSION_KEYRING
		sysc("new session keyring", sys.NrKeyctl, []sys.Errno{sys.ENOSYS, sys.EPERM, sys.EACCES, sys.EDQUOT}, Word(joinSession), Word(0))
	}
}

// gaps lists the ranges of descriptors between those that are kept.
func gaps(keep []int) [][2]uintptr {
	slices.Sort(keep)
	var out [][2]uintptr
	next := 0
	for _, fd := range slices.Compact(keep) {
		if fd > next {
			out = append(out, [2]uintptr{uintptr(next), uintptr(fd - 1)})
		}
		next = fd + 1
	}
	return append(out, [2]uintptr{uintptr(next), 0xffffffff})
}

// program appends the caller's steps.
func (m *image) program(p *Program) error {
	at := map[*Step]int{}
	for _, s := range p.steps {
		i, err := m.add(s.name, s.index+1, s.kind, s.nr, s.ignore, s.args, at)
		if err != nil {
			return err
		}
		at[s] = i
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
