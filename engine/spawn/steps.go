package spawn

import (
	"encoding/binary"
	"fmt"
	"strings"

	"vsl/engine/internal/sys"
)

var atCWD = Int(sys.AT_FDCWD)

// Mount calls mount(2). Empty source, fstype and data become null pointers.
func (p *Program) Mount(source, target, fstype string, flags uintptr, data string) *Step {
	what := fstype
	if what == "" {
		what = target
	}
	return p.Add("mount "+what, sys.NrMount, strOrNil(source), Str(target), strOrNil(fstype), Word(flags), strOrNil(data))
}

func strOrNil(s string) Arg {
	if s == "" {
		return Word(0)
	}
	return Str(s)
}

// Umount calls umount2(2).
func (p *Program) Umount(path string, flags uintptr) *Step {
	return p.Add("umount "+path, sys.NrUmount, Str(path), Word(flags))
}

// Mkdir makes a directory.
func (p *Program) Mkdir(path string, mode uint32) *Step {
	return p.Add("mkdir "+path, sys.NrMkdirat, atCWD, Str(path), Word(uintptr(mode)))
}

// MkdirOK makes a directory unless something of that name exists.
func (p *Program) MkdirOK(path string, mode uint32) *Step {
	return p.Mkdir(path, mode).Ignore(sys.EEXIST)
}

// Symlink makes a symbolic link.
func (p *Program) Symlink(target, path string) *Step {
	return p.Add("symlink "+path, sys.NrSymlinkat, Str(target), atCWD, Str(path))
}

// SymlinkOK makes a symbolic link unless something of that name exists.
func (p *Program) SymlinkOK(target, path string) *Step {
	return p.Symlink(target, path).Ignore(sys.EEXIST)
}

// Open opens a path; its Result is the descriptor.
func (p *Program) Open(path string, flags uintptr, mode uint32) *Step {
	return p.Add("open "+path, sys.NrOpenat, atCWD, Str(path), Word(flags|sys.O_CLOEXEC|sys.O_NOCTTY), Word(uintptr(mode)))
}

// Unlink removes a name that is no directory.
func (p *Program) Unlink(path string) *Step {
	return p.Add("unlink "+path, sys.NrUnlinkat, atCWD, Str(path), Word(0))
}

// Chdir changes the working directory.
func (p *Program) Chdir(path string) *Step { return p.Add("chdir "+path, sys.NrChdir, Str(path)) }

// Fchdir changes the working directory to an open one.
func (p *Program) Fchdir(dir Arg) *Step { return p.Add("fchdir", sys.NrFchdir, dir) }

// Chroot calls chroot(2).
func (p *Program) Chroot(path string) *Step { return p.Add("chroot "+path, sys.NrChroot, Str(path)) }

// PivotRoot calls pivot_root(2).
func (p *Program) PivotRoot(newRoot, oldRoot string) *Step {
	return p.Add("pivot_root "+newRoot, sys.NrPivotRoot, Str(newRoot), Str(oldRoot))
}

// Unshare calls unshare(2).
func (p *Program) Unshare(flags uintptr) *Step {
	return p.Add("unshare", sys.NrUnshare, Word(flags))
}

// SetNS joins a namespace, or those of flags when fd is a pidfd.
func (p *Program) SetNS(fd int, flags uintptr) *Step {
	return p.Add("setns", sys.NrSetns, FD(fd).Named("namespace"), Word(flags))
}

// SetHostname sets the host name of the UTS namespace.
func (p *Program) SetHostname(name string) *Step {
	return p.Add("sethostname "+name, sys.NrSethostname, Data([]byte(name)), Int(len(name)))
}

// SetSid makes the child leader of a new session.
func (p *Program) SetSid() *Step { return p.Add("setsid", sys.NrSetsid) }

// SetIDs takes the user and group id and no supplementary group but groups.
// Where the child begins in a user namespace, it has been made root there.
func (p *Program) SetIDs(uid, gid uint32, groups ...uint32) *Step {
	list := make([]byte, 4*len(groups))
	for i, g := range groups {
		binary.NativeEndian.PutUint32(list[4*i:], g)
	}
	p.Add("setgroups", sys.NrSetgroups, Int(len(groups)), Data(list))
	g, u := Word(uintptr(gid)), Word(uintptr(uid))
	p.Add("setresgid", sys.NrSetresgid, g, g, g)
	p.Add("setresuid", sys.NrSetresuid, u, u, u)
	// a change of ids may make the process traceable (fs.suid_dumpable), with
	// our memory still in it; the exec decides anew
	return p.Add("set undumpable", sys.NrPrctl, Word(sys.PR_SET_DUMPABLE), Word(0), Word(0), Word(0), Word(0))
}

// Rlimit sets a resource limit (getrlimit(2)).
func (p *Program) Rlimit(resource int, cur, max uint64) *Step {
	b := binary.NativeEndian.AppendUint64(nil, cur)
	b = binary.NativeEndian.AppendUint64(b, max)
	return p.Add(fmt.Sprintf("setrlimit %d", resource), sys.NrPrlimit64, Word(0), Int(resource), Data(b), Word(0))
}

// Nice sets the nice value, -20..19.
func (p *Program) Nice(n int) *Step {
	return p.Add("setpriority", sys.NrSetpriority, Word(0), Word(0), Int(n))
}

// Scheduler sets the scheduling policy and its priority (sched(7)).
func (p *Program) Scheduler(policy, priority int) *Step {
	b := binary.NativeEndian.AppendUint32(nil, uint32(priority))
	return p.Add("sched_setscheduler", sys.NrSetscheduler, Word(0), Int(policy), Data(b))
}

// OomScoreAdj sets the child's own /proc/self/oom_score_adj, -1000..1000. The
// program must run it while a /proc of its pid namespace is mounted.
func (p *Program) OomScoreAdj(n int) *Step {
	fd := p.Open("/proc/self/oom_score_adj", sys.O_WRONLY, 0)
	text := fmt.Sprint(n)
	p.Add("write oom_score_adj", sys.NrWrite, fd.Result(), Data([]byte(text)), Int(len(text)))
	return p.Close(fd.Result())
}

// DropBounding takes capabilities, by number, out of the bounding set.
func (p *Program) DropBounding(caps []int) {
	for _, c := range caps {
		// EINVAL: a capability that this kernel does not have
		p.Add("drop "+CapName(c), sys.NrPrctl, Word(sys.PR_CAPBSET_DROP), Int(c), Word(0), Word(0), Word(0)).Ignore(sys.EINVAL)
	}
}

// NoNewPrivs makes execve never give privileges (prctl(2)).
func (p *Program) NoNewPrivs() *Step {
	return p.Add("no_new_privs", sys.NrPrctl, Word(sys.PR_SET_NO_NEW_PRIVS), Word(1), Word(0), Word(0), Word(0))
}

// Seccomp installs a filter, an array of struct sock_filter as Filter gives it.
func (p *Program) Seccomp(filter []byte, flags uintptr) *Step {
	prog := Arg{kind: argData, data: make([]byte, 16), ptrs: map[int]Arg{8: Data(filter)}}
	binary.NativeEndian.PutUint16(prog.data, uint16(len(filter)/8))
	return p.Add("seccomp", sys.NrSeccomp, Word(sys.SECCOMP_SET_MODE_FILTER), Word(flags), prog)
}

// LandlockRestrict puts the child below a ruleset (landlock(7)).
func (p *Program) LandlockRestrict(fd int) *Step {
	return p.Add("landlock_restrict_self", sys.NrLandlock, FD(fd).Named("landlock ruleset"), Word(0))
}

// Dup3 duplicates a descriptor of the parent to a number that stays open.
func (p *Program) Dup3(old, new int) *Step {
	return p.Add("dup3", sys.NrDup3, FD(old), Int(new), Word(0))
}

// Close closes a descriptor, usually an earlier step's result.
func (p *Program) Close(fd Arg) *Step { return p.Add("close", sys.NrClose, fd) }

// CloseRange makes every descriptor from first on close at the exec: among
// them is the pipe on which the child reports, so they cannot go earlier.
func (p *Program) CloseRange(first int) *Step {
	return p.Add("close_range", sys.NrCloseRange, Int(first), Word(0xffffffff), Word(sys.CLOSE_RANGE_CLOEXEC))
}

// LoUp brings up the loopback device of the network namespace.
func (p *Program) LoUp() *Step {
	const afINET, sockDgram, iffUp = 2, 2, 1
	req := make([]byte, 40) // struct ifreq: 16 bytes of name, then the flags
	copy(req, "lo")
	binary.NativeEndian.PutUint16(req[16:], iffUp)
	fd := p.Add("socket", sys.NrSocket, Word(afINET), Word(sockDgram|sys.O_CLOEXEC), Word(0))
	p.Add("bring up lo", sys.NrIoctl, fd.Result(), Word(sys.SIOCSIFFLAGS), Data(req))
	return p.Close(fd.Result())
}

// Exec replaces the child. A program can have one only, as its last step.
func (p *Program) Exec(path string, argv, env []string) *Step {
	return p.exec("exec "+path, sys.NrExecve, Str(path), strs(argv), strs(env))
}

// ExecFD runs an open file (execveat(2)). The descriptor is closed by the
// exec, so it cannot be a script.
func (p *Program) ExecFD(fd int, argv, env []string) *Step {
	return p.exec("exec "+argv[0], sys.NrExecveat, FD(fd).Named(argv[0]), Str(""), strs(argv), strs(env), Word(sys.AT_EMPTY_PATH))
}

func (p *Program) exec(name string, nr uintptr, args ...Arg) *Step {
	p.add(&Step{name: name, kind: sys.ForkMark})
	return p.Add(name, nr, args...)
}

// ExecSearch runs argv[0] from the first directory of path (as in $PATH) that
// has it; a name with a slash is not searched for. The error is the last
// candidate's, and all carry the name as the caller gave it.
func (p *Program) ExecSearch(argv, env []string, path string) *Step {
	if strings.Contains(argv[0], "/") || path == "" {
		return p.Exec(argv[0], argv, env)
	}
	name := "exec " + argv[0]
	p.add(&Step{name: name, kind: sys.ForkMark})
	var last *Step
	vec, envv := strs(argv), strs(env)
	for _, dir := range strings.Split(path, ":") {
		if dir == "" {
			dir = "."
		}
		if last != nil {
			last.Ignore(sys.ENOENT, sys.ENOTDIR, sys.EACCES)
		}
		file := dir + "/" + argv[0]
		last = p.Add(name, sys.NrExecve, Str(file), vec, envv)
	}
	return last
}
