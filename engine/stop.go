package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"vsl/engine/cgroup"
	"vsl/engine/internal/sys"
)

// defaultStop is how long a guest has to shut down when its spec does not say.
const defaultStop = 30 * time.Second

// defaultSequence is what follows when a guest did not shut down in time; the
// end of every sequence is cgroup.kill, which no process survives.
var defaultSequence = []StopStep{{Signal: "TERM", Wait: 5 * time.Second}}

// Kill is the sixth primitive. Graceful, it asks init to shut down in the way
// that init understands, then goes through the sequence; it always ends, and
// then nothing of the context is left. With only a Signal it sends that. A graceful
// one whose ctx is cancelled stops waiting and kills nothing: that is a LeftError.
func (g *guest) Kill(ctx context.Context, a KillArgs) error {
	var left error
	err := g.within(ctx, false, func() error {
		if a.Signal != "" && !a.Graceful {
			return g.signal(a)
		}
		if err := g.e.reachable(g.spec.Name, g.run); err != nil {
			return err
		}
		g.ending()
		end, was := Ended{How: EndedKilled}, g.running()
		if a.Graceful && was {
			err := g.shutdownInit(ctx, a)
			if left = g.left(ctx); left != nil {
				return nil // what was begun is the guest's to finish, not ours to undo
			}
			if err != nil {
				g.e.log.Warn().Str("guest", g.spec.Name).Err(err).Msg("graceful shutdown did not work; killing")
			}
			if !g.running() {
				end.How = EndedShutDown
			}
		}
		if grp, err := g.group(); err == nil && was {
			end.OOMKills = oomKills(grp)
		}
		g.dropConsole()
		if err := g.e.release(context.WithoutCancel(ctx), g.spec.Name); err != nil {
			return err
		}
		if was {
			end.At = time.Now().UTC()
			g.e.noteEnd(g.spec.Name, end)
		}
		g.reap()
		g.run, g.tx.context = runState{}, false
		return nil
	})
	return cmp.Or(err, left)
}

// left is the error for a guest that still runs when its caller was told to stop waiting
// for it. A timeout is not that: then the guest is killed.
func (g *guest) left(ctx context.Context) error {
	if !errors.Is(ctx.Err(), context.Canceled) || !g.running() {
		return nil
	}
	return &LeftError{Asked: g.asked, Err: context.Cause(ctx)}
}

// EndNow sends SIGKILL to every process of guests, whatever else is going on with
// them. What they held is released by the next command.
func (e *Engine) EndNow(names []string) {
	for _, name := range names {
		if grp, err := e.group(name); err == nil {
			_ = grp.Kill() // there is nobody to tell
		}
	}
}

// signal sends one signal to init or to every process.
func (g *guest) signal(a KillArgs) error {
	sig, err := ParseSignal(a.Signal)
	if err != nil {
		return &OpError{Op: "kill guest", Target: g.spec.Name, Err: err}
	}
	if !a.All {
		pid, err := g.init()
		if err != nil {
			return err
		}
		g.e.noteEnd(g.spec.Name, Ended{How: signalled, Signal: strings.TrimPrefix(strings.ToUpper(a.Signal), "SIG"), At: time.Now().UTC()})
		return sys.Op("signal pid 1 of guest", g.spec.Name, sys.SignalProcess(pid, sig, func() bool { return g.member(pid) }))
	}
	grp, err := g.group()
	if err != nil {
		return err
	}
	if !g.running() {
		return &OpError{Op: "kill guest", Target: g.spec.Name, Err: ErrNotRunning}
	}
	return g.signalAll(grp.Procs, sig)
}

// signalAll signals the processes that exist now. Their pids cannot pass to
// others between listing and signalling without the group noticing: a pidfd is
// opened first and the membership checked after.
func (g *guest) signalAll(list func() ([]int, error), sig int) error {
	procs, err := list()
	if err != nil {
		return err
	}
	for _, pid := range procs {
		if err := sys.SignalProcess(pid, sig, func() bool { return g.member(pid) }); err != nil && !errors.Is(err, sys.ESRCH) {
			return sys.Op("signal processes of guest", g.spec.Name, err)
		}
	}
	return nil
}

// member tells whether a process is in the guest's context now.
func (g *guest) member(pid int) bool {
	l, err := g.e.layout()
	if err != nil {
		return false
	}
	grp, err := g.group()
	if err != nil {
		return false
	}
	return inGroup(groupOf(l, pid), grp.Path())
}

// groupOf is the folder of the group that a process is in now, in the v2
// hierarchy; "" if it is in none.
func groupOf(l *cgroup.Layout, pid int) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if at, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			return filepath.Join(l.Unified, at)
		}
	}
	return ""
}

// shutdownInit asks pid 1 to end, waits, and goes through the sequence until
// nothing of the context runs.
func (g *guest) shutdownInit(ctx context.Context, a KillArgs) error {
	grp, err := g.group()
	if err != nil {
		return err
	}
	if err := grp.Thaw(ctx); err != nil {
		return err
	}
	timeout := a.Timeout
	if timeout == 0 {
		timeout = g.spec.Stop.Timeout
	}
	if timeout == 0 {
		timeout = defaultStop
	}
	heard, err := g.askInit(ctx, a.Signal)
	g.asked = heard
	if heard && g.waitGone(ctx, timeout) || g.left(ctx) != nil {
		return nil
	}
	switch note := g.e.log.Warn().Str("guest", g.spec.Name); {
	case err != nil:
		note.Err(err).Msg("cannot be asked to shut down; going on with its kill sequence")
	case !heard:
		note.Msg("its pid 1 does not listen to what asks it to shut down; going on with its kill sequence")
	default:
		note.Stringer("after", timeout).Msg("did not shut down; going on with its kill sequence")
	}
	seq := g.spec.Stop.Sequence
	if seq == nil {
		seq = defaultSequence
	}
	for _, step := range seq {
		sig, err := ParseSignal(step.Signal)
		if err != nil {
			return err
		}
		if err := g.signalAll(grp.Procs, sig); err != nil {
			return err
		}
		if g.waitGone(ctx, step.Wait) {
			return nil
		}
	}
	return nil
}

// waitGone waits until the context has no process; true if that came in time.
func (g *guest) waitGone(ctx context.Context, d time.Duration) bool {
	grp, err := g.group()
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	if g.proc != nil {
		if _, err := g.proc.Wait(ctx); err != nil {
			return false
		}
		g.proc = nil
	}
	return grp.WaitEmpty(ctx) == nil
}

const (
	askTime = 10 * time.Second // for one command that asks init
	youth   = 2 * time.Second  // in which an init may not listen yet
)

// askInit tells pid 1 to shut the guest down, and again while it has only begun.
func (g *guest) askInit(ctx context.Context, signal string) (heard bool, err error) {
	for {
		heard, err = g.askOnce(ctx, signal)
		if heard || time.Since(g.run.Since) > youth || !g.running() {
			return heard, err
		}
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// askOnce asks in the language of the init that runs, and tells whether that can
// have reached it.
func (g *guest) askOnce(ctx context.Context, signal string) (heard bool, err error) {
	signal = cmp.Or(signal, g.spec.Stop.Signal)
	kind := runningInit(g.run.PID, g.run.Init)
	var failed error
	if signal == "" {
		for _, argv := range kind.stopArgvs {
			res, err := g.Exec(ctx, ExecArgs{Argv: argv, Timeout: askTime})
			if err == nil && res.Code != 0 {
				err = fmt.Errorf("%s exited with %d", strings.Join(argv, " "), res.Code)
			}
			if err == nil {
				return true, nil
			}
			failed = errors.Join(failed, err)
		}
	}
	sig, err := ParseSignal(cmp.Or(signal, kind.stopSignal))
	if err != nil {
		return false, err
	}
	if !hears(g.run.PID, sig) {
		return false, failed
	}
	return true, g.signal(KillArgs{Signal: strconv.Itoa(sig)})
}

// reap collects pid 1 if it is this process's child.
func (g *guest) reap() {
	if g.proc == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, err := g.proc.Wait(ctx); err == nil {
		g.proc = nil
	}
}

// running tells whether pid 1 of the context lives, going by this handle.
func (g *guest) running() bool { return g.run.alive() }

// disown lets go of a pid 1 that is our child: how it ends is not told any more.
func (g *guest) disown() {
	if c, ok := g.proc.(*child); ok {
		c.Close()
	}
	g.proc = nil
}

// alive tells whether the process that was pid 1 still is one.
func (r runState) alive() bool {
	return r.PID > 0 && r.StartTime != 0 && startTime(r.PID) == r.StartTime
}

// endGrace is how long a pid 1 may be on its way out when its group is empty: it
// leaves the group first, and then waits for the dead below it.
const endGrace = 5 * time.Second

// errOutside says that a guest's pid 1 goes on where vsl does not look for it.
var errOutside = errors.New("its pid 1 lives outside of its context")

// reachable tells whether a pid 1 that lives is in its context, and so ends with
// it. Somebody may have moved it, or the state folder, whose name is the
// context's place.
func (e *Engine) reachable(name string, r runState) error {
	if r.PID == 0 {
		return nil
	}
	l, err := e.layout()
	if err != nil {
		return err
	}
	own := l.Group(e.paths.Base(), name).Path()
	at := groupOf(l, r.PID)
	if inGroup(at, own) || !r.alive() {
		return nil
	}
	return &OpError{Op: "end guest", Target: name, Err: errOutside,
		Hint: fmt.Sprintf("it is process %d, in cgroup %s. Was it moved there, or %s moved or copied while it ran? Move it back, or end it: kill -KILL %d",
			r.PID, at, e.paths.Root, r.PID)}
}

// inGroup tells whether a group is another or below it. One that was removed while
// its last process was dying has that behind its name.
func inGroup(at, group string) bool {
	return at == group || at == group+" (deleted)" || strings.HasPrefix(at, group+"/")
}

// ended waits until the pid 1 of a context whose group is empty has ended, so
// that nobody is told that a guest is down which is not.
func (e *Engine) ended(ctx context.Context, name string, r runState) error {
	ctx, cancel := context.WithTimeout(ctx, endGrace)
	defer cancel()
	for pause := time.Millisecond; r.alive(); pause = min(2*pause, 100*time.Millisecond) {
		if err := e.reachable(name, r); err != nil {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return &OpError{Op: "end guest", Target: name, Err: fmt.Errorf("its pid 1, process %d, was killed and lives on", r.PID),
				Hint: "the kernel does not let go of it: dmesg may say why"}
		}
	}
	return nil
}

// Freeze stops every process of a guest where it is; Thaw lets them go on.
func (e *Engine) Freeze(ctx context.Context, name string) error {
	return e.withGroup(ctx, name, func(g *guest) error {
		grp, err := g.group()
		if err != nil {
			return err
		}
		return grp.Freeze(ctx)
	})
}

// Thaw undoes Freeze.
func (e *Engine) Thaw(ctx context.Context, name string) error {
	return e.withGroup(ctx, name, func(g *guest) error {
		grp, err := g.group()
		if err != nil {
			return err
		}
		return grp.Thaw(ctx)
	})
}

func (e *Engine) withGroup(ctx context.Context, name string, fn func(*guest) error) error {
	g, err := e.lookup(name)
	if err != nil {
		return err
	}
	return g.within(ctx, false, func() error {
		if !g.running() {
			return &OpError{Op: "find pid 1 of guest", Target: g.spec.Name, Err: ErrNotRunning, Hint: "vsl up starts it"}
		}
		return fn(g)
	})
}
