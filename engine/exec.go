package engine

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"vsl/engine/cgroup"
	"vsl/engine/internal/sys"
	"vsl/engine/spawn"
)

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
	return j, g.orEnding(pid, err)
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
	x := &execution{g: g, args: a, join: j, over: over}
	x.out.over, x.errOut.over = over, over
	defer x.close()
	if a.Signals != nil {
		done := make(chan struct{})
		defer close(done)
		go x.listen(done)
	}
	if err := x.prepare(ctx); err != nil {
		return ExecResult{}, x.why(ctx, err)
	}
	return x.run(ctx)
}

// execution is one command on its way.
type execution struct {
	g       *guest
	args    ExecArgs
	join    *spawn.Join
	over    context.CancelCauseFunc
	user    account
	command *cgroup.Command
	joins   []*os.File
	guard   *os.File
	streams *streams // nil with a terminal
	out     collected
	errOut  collected

	mu     sync.Mutex
	proc   *spawn.Process // once it runs
	pty    *spawn.PTY     // likewise
	urgent int            // how often it was told to end
	killed bool
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
	var out, errOut io.Writer = &x.out, &x.errOut
	if x.args.Stdout != nil {
		out = x.args.Stdout
	}
	if x.args.Stderr != nil {
		errOut = x.args.Stderr
	}
	x.streams, err = connect(x.args.Stdin, out, errOut, g.hostID()+int(x.user.uid), g.hostID()+int(x.user.gid))
	return err
}

// openContext opens what puts a child into the running guest's context.
func (x *execution) openContext() error {
	grp, err := x.g.group()
	if err != nil {
		return err
	}
	if x.command, err = grp.NewCommand(); err != nil {
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
	proc, err := x.start(ctx)
	if err != nil {
		return ExecResult{}, x.why(ctx, err)
	}
	defer proc.Close()
	finish := func(bool) error { return nil }
	if x.streams != nil {
		x.streams.start()
		finish = x.streams.finish
	} else {
		stop := x.terminal(x.pty)
		finish = func(bool) error { stop(); return nil }
	}
	st, err := proc.Wait(ctx)
	if err != nil {
		x.kill()
		// A process of the guest that traces the command can keep it from being
		// reaped for as long as the tracer lives (ptrace(2)); whoever collects
		// our children gets it then.
		wait, done := context.WithTimeout(context.WithoutCancel(ctx), reapGrace)
		_, _ = proc.Wait(wait)
		done()
	}
	x.mu.Lock()
	killed := x.killed
	x.mu.Unlock()
	lost := finish(killed)
	if context.Cause(ctx) == errOutput { // perhaps all at once, just before its end
		return ExecResult{}, x.failed(errOutput, "have it write to a file of the guest")
	}
	res := ExecResult{Code: st.ShellCode(), Signal: st.Signal, Stdout: x.out.Bytes(), Stderr: x.errOut.Bytes()}
	if err != nil {
		res.Code = 124
		return res, x.failed(err, "")
	}
	if lost != nil {
		return res, x.failed(lost, "")
	}
	return res, nil
}

// start makes the command's process.
func (x *execution) start(ctx context.Context) (*spawn.Process, error) {
	prog, err := x.program()
	if err != nil {
		return nil, err
	}
	attr := &spawn.Attr{Name: x.args.Argv[0] + " in guest " + x.g.spec.Name, Program: prog, Join: x.join,
		CgroupFD: int(x.command.FD.Fd()), Context: ctx,
		Hooks: map[string]func(int, int) error{"limit": func(pid, _ int) error {
			return plainProcess(x.g.hostID(), pid, x.g.rec.Spec.Limits)
		}}}
	if x.streams != nil {
		attr.Files = x.streams.child[:]
	} else {
		attr.OnPTY(func(p *spawn.PTY) { x.pty = p })
	}
	proc, err := spawn.Start(attr)
	x.mu.Lock()
	defer x.mu.Unlock()
	if err != nil && x.pty != nil {
		x.pty.Close()
	}
	x.proc = proc
	return proc, err
}

func (x *execution) failed(err error, hint string) error {
	return &OpError{Op: "run " + x.args.Argv[0] + " in guest", Target: x.g.spec.Name, Err: err, Hint: hint}
}

// why is the reason that a command was not started: the guest's end, where that
// is at hand, and not what it made fail.
func (x *execution) why(ctx context.Context, err error) error {
	var early *Signalled
	if errors.As(context.Cause(ctx), &early) {
		return early
	}
	return x.g.orEnding(x.join.PID, err)
}

func (x *execution) close() {
	for _, f := range append(x.joins, x.guard) {
		if f != nil {
			f.Close()
		}
	}
	if x.streams != nil {
		x.streams.close()
	}
	if x.command != nil {
		x.command.Release()
	}
}
