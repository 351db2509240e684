package spawn

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"vsl/engine/internal/sys"
)

// Call is a system call of a child as a text, in the manner of strace(1). What
// only the run knows is there by its name: <reaper>. Of an environment there are
// the names alone, as their values may be nobody's business.
type Call struct {
	Step int    `json:"step,omitempty"` // the number by which an error names it; 0: Start's own
	Text string `json:"call"`
}

// String is the call behind its number.
func (c Call) String() string {
	number := ""
	if c.Step > 0 {
		number = strconv.Itoa(c.Step)
	}
	return fmt.Sprintf("%3s %s", number, c.Text)
}

// Calls lists what Start has the child do, the clone and the exec included, by
// the steps that the child would be given, and does nothing. files names what
// Files will be: the rest of Attr may hold Unopened for descriptors.
func (a *Attr) Calls(files []string) []Call {
	f := sys.NewFork()
	f.Flags, f.Cgroup = a.CloneFlags, a.CgroupFD
	clone := "flags=" + sys.FlagNames(f.CloneFlags(a.shares()), sys.CloneFlags) + ", exit_signal=SIGCHLD"
	if a.CgroupFD >= 0 {
		clone += ", cgroup=<cgroup>"
	}
	stdio := make([]Arg, max(3, len(files)))
	for i := range stdio {
		stdio[i] = FD(Unopened).Named("/dev/null")
		if i < len(files) && files[i] != "" {
			stdio[i] = stdio[i].Named(files[i])
		}
	}
	// Which ranges there are depends on what is open then.
	unused := [][2]Arg{{Word(0).Named("first unused"), Word(0).Named("last unused")}}
	out := []Call{{Text: "clone3({" + clone + "}, 88)"}}
	out = append(out, a.prelude(stdio, unused).calls(false)...)
	return append(out, a.Program.calls(true)...)
}

// calls lists a program. Many calls that differ only in their first number make
// one line.
func (p *Program) calls(numbered bool) []Call {
	const many = 8
	var out []Call
	for i := 0; i < len(p.steps); i++ {
		s := p.steps[i]
		n := 1
		for i+n < len(p.steps) && s.alike(p.steps[i+n], n) {
			n++
		}
		number := 0
		if numbered && s.kind != sys.ForkMark {
			number = s.index + 1
		}
		if n < many {
			for _, text := range s.texts() {
				out = append(out, Call{number, text})
			}
			continue
		}
		run := *s
		run.args = slices.Clone(s.args)
		run.args[0] = Word(0).Named(fmt.Sprintf("%d…%d", s.args[0].n, int(s.args[0].n)+n-1))
		out = append(out, Call{number, run.texts()[0]})
		i += n - 1
	}
	return out
}

// alike tells whether other is s with the first argument n higher.
func (s *Step) alike(other *Step, n int) bool {
	if s.nr != other.nr || s.name != other.name || s.kind != sys.ForkSyscall || other.kind != s.kind || len(s.args) == 0 || len(s.args) != len(other.args) {
		return false
	}
	for i, a := range s.args {
		b := other.args[i]
		if i == 0 {
			b.n -= uintptr(n)
		}
		if a.kind != b.kind || a.n != b.n || string(a.data) != string(b.data) || a.after != b.after || len(a.ptrs) > 0 {
			return false
		}
	}
	return true
}

// texts are the system calls of a step: most are one.
func (s *Step) texts() []string {
	report := func(what string) string {
		return fmt.Sprintf("write(<to vsl>, {%s}, %d)", what, sys.ForkReportSize)
	}
	switch s.kind {
	case sys.ForkSync:
		return []string{report("wait for " + strconv.Quote(s.name)), "read(<from vsl>, {go on}, 1)"}
	case sys.ForkMark:
		return []string{report("exec follows")}
	case sys.ForkBorn:
		return []string{report("born")}
	case sys.ForkServe:
		return []string{fmt.Sprintf("read(<from vsl>, {a call to make}, %d)", sys.ForkRequestSize)}
	}
	name, args := fmt.Sprintf("syscall_%d", s.nr), each(plain, plain, plain, plain, plain, plain)
	if f, ok := forms[s.nr]; ok {
		name, args = f.name, f.args
	}
	text := name + "(" + strings.Join(args(s.args), ", ") + ")"
	if len(s.ignore) > 0 {
		var names []string
		for _, e := range s.ignore {
			names = append(names, sys.ErrnoName(e))
		}
		text += " or " + strings.Join(names, ", ")
	}
	return []string{text}
}

// argForm writes one argument.
type argForm func(Arg) string

// form is how a system call is written.
type form struct {
	name string
	args func([]Arg) []string
}

// each writes the arguments one by one.
func each(list ...argForm) func([]Arg) []string {
	return func(args []Arg) []string {
		var out []string
		for i, a := range args {
			if i < len(list) {
				out = append(out, list[i].of(a))
			}
		}
		return out
	}
}

// of writes an argument by its name where it has one.
func (f argForm) of(a Arg) string {
	switch {
	case a.kind == argResult:
		return "<" + strings.TrimPrefix(a.after.name, "open ") + ">"
	case strings.Contains(a.name, "…"):
		return a.name
	case a.name != "":
		return "<" + a.name + ">"
	case a.kind == argFD:
		return fmt.Sprintf("<descriptor %d>", a.n)
	}
	return f(a)
}

// plain writes a number, or bytes as they are.
func plain(a Arg) string {
	if a.kind == argData {
		return quoted(a.data)
	}
	return strconv.Itoa(int(a.n))
}

// quoted writes bytes as C would, and vsl's own texts may hold any.
func quoted(b []byte) string { return strconv.Quote(string(b)) }

// text writes a string that ends with a zero byte, or a null pointer.
func text(a Arg) string {
	if a.kind != argData {
		return pointer(a)
	}
	return quoted(a.data[:len(a.data)-1])
}

func pointer(a Arg) string {
	if a.n == 0 {
		return "NULL"
	}
	return fmt.Sprintf("%#x", a.n)
}

func hex(a Arg) string   { return fmt.Sprintf("%#x", a.n) }
func octal(a Arg) string { return fmt.Sprintf("%#03o", a.n) }

// dir writes the folder that a path is looked up from.
func dir(a Arg) string {
	if a.n == atCWD.n {
		return "AT_FDCWD"
	}
	return plain(a)
}

// flags writes bits by their names.
func flags(of []sys.Flag) argForm {
	return func(a Arg) string { return sys.FlagNames(uint64(a.n), of) }
}

// fixed writes what is always the same, or of no interest.
func fixed(s string) argForm { return func(Arg) string { return s } }

// vector writes a list of strings that ends with a null pointer.
func vector(a Arg) string {
	var out []string
	for at := 0; at+8 < len(a.data); at += 8 {
		out = append(out, text(a.ptrs[at]))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// environment is a vector without the values.
func environment(a Arg) string {
	var out []string
	for at := 0; at+8 < len(a.data); at += 8 {
		name, _, _ := strings.Cut(string(a.ptrs[at].data), "=")
		out = append(out, strconv.Quote(name+"=…"))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// ids writes a list of user or group ids.
func ids(a Arg) string {
	if a.kind != argData {
		return pointer(a)
	}
	var out []string
	for b := a.data; len(b) >= 4; b = b[4:] {
		out = append(out, fmt.Sprint(binary.NativeEndian.Uint32(b)))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// rlimit writes a struct rlimit.
func rlimit(a Arg) string {
	if a.kind != argData {
		return pointer(a)
	}
	return fmt.Sprintf("{rlim_cur=%s, rlim_max=%s}", rlimitText(binary.NativeEndian.Uint64(a.data)), rlimitText(binary.NativeEndian.Uint64(a.data[8:])))
}

func rlimitText(n uint64) string {
	if n == ^uint64(0) {
		return "RLIM64_INFINITY"
	}
	return fmt.Sprint(n)
}

// filter writes a struct sock_fprog by its length.
func filter(a Arg) string {
	return fmt.Sprintf("{len=%d, filter=…}", binary.NativeEndian.Uint16(a.data))
}
