package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"vsl/engine/internal/sys"
	"vsl/engine/spawn"
)

// pipeGrace is how long output is still read after a command ended: a daemon
// that it left behind may hold the pipe for ever.
const pipeGrace = 500 * time.Millisecond

// reapGrace is how long a killed command may take to be gone.
const reapGrace = 5 * time.Second

// join opens the running guest for a child of ours to become one of its
// processes.
func (g *guest) join() (*spawn.Join, error) {
	pid, err := g.init()
	if err != nil {
		return nil, err
	}
	j, err := spawn.OpenJoin(pid, startTime(pid))
	if errors.Is(err, sys.ESRCH) {
		return nil, &OpError{Op: "join guest", Target: g.spec.Name, Err: ErrNotRunning, Hint: "it ended just now"}
	}
	return j, err
}

// Exec runs a command inside the running guest: in its cgroup and namespaces,
// below its limits and its seccomp filter, with an environment of its own.
func (g *guest) Exec(ctx context.Context, a ExecArgs) (ExecResult, error) {
	if len(a.Argv) == 0 {
		return ExecResult{}, &SpecError{Guest: g.spec.Name, Msg: "exec needs a command"}
	}
	j, err := g.join()
	if err != nil {
		return ExecResult{}, err
	}
	defer j.Close()
	if a.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, a.Timeout)
		defer cancel()
	}
	ctx, over := context.WithCancelCause(ctx)
	defer over(nil)
	x := &execution{g: g, args: a, join: j}
	x.out.over, x.errOut.over = over, over
	defer x.close()
	if err := x.prepare(ctx); err != nil {
		return ExecResult{}, err
	}
	return x.run(ctx)
}

// execution is one command on its way.
type execution struct {
	g       *guest
	args    ExecArgs
	join    *spawn.Join
	user    account
	cgroup  *os.File
	joins   []*os.File
	guard   *os.File
	files   []*os.File // the child's ends
	ours    []*os.File // its ends of pipes that we made, closed once it has them
	reading []*os.File // our ends, closed when leftovers of the command hold the others
	copies  sync.WaitGroup
	out     collected
	errOut  collected
}

func (x *execution) prepare(ctx context.Context) error {
	g := x.g
	var err error
	if x.user, err = g.account(ctx, x.join, x.args.User); err != nil {
		return err
	}
	grp, err := g.group()
	if err != nil {
		return err
	}
	if frozen, err := grp.Frozen(); err == nil && frozen {
		return &OpError{Op: "run " + x.args.Argv[0] + " in guest", Target: g.spec.Name, Err: errFrozen, Hint: "vsl thaw lets it go on"}
	}
	if g.tx == nil {
		if g.run, err = g.e.readRun(g.spec.Name); err != nil {
			return err
		}
	}
	if err := x.openContext(); err != nil {
		return err
	}
	if x.args.TTY != nil {
		return nil
	}
	return x.connect()
}

// openContext opens what puts a child into the running guest's context.
func (x *execution) openContext() error {
	grp, err := x.g.group()
	if err != nil {
		return err
	}
	if x.cgroup, err = grp.ExecFD(); err != nil {
		return err
	}
	if x.joins, err = grp.JoinFiles(); err != nil {
		return err
	}
	x.guard, err = x.g.abstractGuard()
	return err
}

// enter adds what makes a child that has joined the guest's namespaces one of its
// processes: its groups, then the steps of session, then what every process of a
// guest is confined by.
func (x *execution) enter(p *spawn.Program, session func()) error {
	var joins []descriptor
	for _, f := range x.joins {
		joins = append(joins, descriptor{f.Name(), int(f.Fd())})
	}
	joinGroups(p, joins)
	session()
	c, err := confinement(x.g.run.OwnNet, fdOf(x.guard), 3)
	if err != nil {
		return err
	}
	p.Confine(c)
	return nil
}

// connect gives the command its three streams: a pipe and a file to read as they
// are, a pipe of ours for all else. The guest keeps what it gets for as long as
// it likes: through our terminal it could read what the administrator types
// next, of a log that is appended to it could empty all, and a socket made
// outside its cgroup knows no addresses that it is confined to.
func (x *execution) connect() error {
	in, err := x.source(x.args.Stdin)
	if err != nil {
		return err
	}
	out, err := x.sink(x.args.Stdout, &x.out)
	if err != nil {
		return err
	}
	errOut, err := x.sink(x.args.Stderr, &x.errOut)
	x.files = []*os.File{in, out, errOut}
	x.openByName()
	return err
}

// openByName lets the command open its streams by name, as /dev/stdout: a pipe
// belongs to who made it, which is nobody inside. Only nameless pipes are
// handed over; the guest holds them anyway.
func (x *execution) openByName() {
	for _, f := range x.files {
		if f == nil {
			continue
		}
		if to, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd())); err == nil && strings.HasPrefix(to, "pipe:") {
			// At worst the command cannot open it, as before.
			_ = f.Chown(x.g.hostID()+int(x.user.uid), x.g.hostID()+int(x.user.gid))
		}
	}
}

func (x *execution) source(r io.Reader) (*os.File, error) {
	if r == nil {
		return nil, nil
	}
	f, ok := r.(*os.File)
	if ok && sys.HarmlessInput(f) {
		return f, nil
	}
	if ok && sys.IsTerminal(f) {
		sys.IgnoreTerminalInput() // of a command in the background: it gets no input, and we are not stopped
	}
	pr, pw, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	x.ours = append(x.ours, pr)
	go func() {
		io.Copy(pw, r) // a command that reads no more ends it with EPIPE
		pw.Close()
	}()
	return pr, nil
}

func (x *execution) sink(w io.Writer, buf *collected) (*os.File, error) {
	if f, ok := w.(*os.File); ok && sys.HarmlessOutput(f) {
		return f, nil
	}
	if w == nil {
		w = buf
	}
	pr, pw, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	x.ours = append(x.ours, pw)
	x.copies.Go(func() {
		io.Copy(w, pr)
		pr.Close()
	})
	x.reading = append(x.reading, pr)
	return pw, nil
}

// program is the child's way from our process to the command's exec.
func (x *execution) program() (*spawn.Program, error) {
	p := &spawn.Program{}
	p.Sync("limit")
	err := x.enter(p, func() {
		dir := x.args.Dir
		if dir == "" {
			dir = "/"
		}
		p.Chdir(dir)
		if x.args.TTY != nil {
			p.OpenPTY(x.user.uid)
		} else {
			p.SetSid()
		}
	})
	if err != nil {
		return nil, err
	}
	if x.user.uid != 0 || x.user.gid != 0 {
		p.SetIDs(x.user.uid, x.user.gid, x.user.groups...)
	}
	p.ExecSearch(x.args.Argv, x.env(), guestPath)
	return p, nil
}

func (x *execution) env() []string {
	env := map[string]string{"PATH": guestPath, "HOME": x.user.home, "USER": x.user.name, "LOGNAME": x.user.name,
		"SHELL": x.user.shell, "container": "vsl"}
	if x.args.TTY != nil {
		env["TERM"] = os.Getenv("TERM")
	}
	for k, v := range x.g.rec.Spec.Env {
		env[k] = v
	}
	for k, v := range x.args.Env {
		env[k] = v
	}
	out := make([]string, 0, len(env))
	for _, k := range sortedKeys(env) {
		out = append(out, k+"="+env[k])
	}
	return out
}

func (x *execution) run(ctx context.Context) (ExecResult, error) {
	prog, err := x.program()
	if err != nil {
		return ExecResult{}, err
	}
	attr := &spawn.Attr{Name: x.args.Argv[0] + " in guest " + x.g.spec.Name, Program: prog, Join: x.join,
		CgroupFD: int(x.cgroup.Fd()), Files: x.files, Context: ctx,
		Hooks: map[string]func(int, int) error{"limit": func(pid, _ int) error {
			return limitProcess(x.g.hostID(), pid, x.g.rec.Spec.Limits)
		}}}
	var pty *spawn.PTY
	if x.args.TTY != nil {
		attr.OnPTY(func(p *spawn.PTY) { pty = p })
	}
	proc, err := spawn.Start(attr)
	if err != nil {
		return ExecResult{}, err
	}
	defer proc.Close()
	for _, f := range x.ours {
		f.Close() // the child has its own
	}
	x.ours = nil
	if pty != nil {
		stop := x.terminal(pty)
		defer stop()
	}
	st, err := proc.Wait(ctx)
	if err != nil {
		proc.Signal(sys.SIGKILL)
		// A process of the guest that traces the command can keep it from being
		// reaped for as long as the tracer lives (ptrace(2)); whoever collects
		// our children gets it then.
		wait, done := context.WithTimeout(context.WithoutCancel(ctx), reapGrace)
		_, _ = proc.Wait(wait)
		done()
		x.drain()
		if context.Cause(ctx) == errOutput {
			return ExecResult{}, x.tooMuch()
		}
		return ExecResult{Code: 124, Stdout: x.out.Bytes(), Stderr: x.errOut.Bytes()},
			&OpError{Op: "run " + x.args.Argv[0] + " in guest", Target: x.g.spec.Name, Err: err}
	}
	x.drain()
	if context.Cause(ctx) == errOutput { // all at once, just before its end
		return ExecResult{}, x.tooMuch()
	}
	return ExecResult{Code: st.ShellCode(), Signal: st.Signal, Stdout: x.out.Bytes(), Stderr: x.errOut.Bytes()}, nil
}

// drain waits for the rest of the output, but not for ever.
func (x *execution) drain() {
	t := time.AfterFunc(pipeGrace, func() {
		for _, f := range x.reading {
			f.Close()
		}
	})
	x.copies.Wait()
	t.Stop()
}

func (x *execution) close() {
	for _, f := range append(append(x.joins, x.ours...), x.cgroup, x.guard) {
		if f != nil {
			f.Close()
		}
	}
}

// account is a user inside a guest.
type account struct {
	name, home, shell string
	uid, gid          uint32
	groups            []uint32
}

// account finds a user in the guest's own passwd(5) and group(5), which the
// guest wrote: only numbers and strings come out of them.
func (g *guest) account(ctx context.Context, j *spawn.Join, user string) (account, error) {
	acc := account{name: "root", home: "/root", shell: "/bin/sh"}
	if user == "" || user == "root" || user == "0" {
		return acc, nil
	}
	passwd, err := g.ReadFile(ctx, "/etc/passwd")
	if err != nil {
		return acc, err
	}
	acc, ok := findAccount(string(passwd), user)
	if !ok {
		if n, err := strconv.ParseUint(user, 10, 16); err == nil {
			return account{name: user, home: "/", shell: "/bin/sh", uid: uint32(n), gid: uint32(n)}, nil
		}
		return acc, &SpecError{Guest: g.spec.Name, Msg: fmt.Sprintf("it has no user %q", user)}
	}
	if group, err := g.ReadFile(ctx, "/etc/group"); err == nil {
		acc.groups = findGroups(string(group), acc.name)
	}
	return acc, nil
}

func findAccount(passwd, user string) (account, bool) {
	for line := range strings.Lines(passwd) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 7 || f[0] != user && f[2] != user {
			continue
		}
		uid, err1 := strconv.ParseUint(f[2], 10, 16)
		gid, err2 := strconv.ParseUint(f[3], 10, 16)
		if err1 == nil && err2 == nil {
			return account{name: f[0], uid: uint32(uid), gid: uint32(gid), home: f[5], shell: f[6]}, true
		}
	}
	return account{}, false
}

func findGroups(group, user string) []uint32 {
	var out []uint32
	for line := range strings.Lines(group) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 4 || len(out) == 64 {
			continue
		}
		for _, m := range strings.Split(f[3], ",") {
			if gid, err := strconv.ParseUint(f[2], 10, 16); m == user && err == nil {
				out = append(out, uint32(gid))
			}
		}
	}
	return out
}
