package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"vsl/engine/cgroup"
	"vsl/engine/rootfs"
	"vsl/engine/store"
)

// guest is the handle on one guest of this host; see Guest. One goroutine uses
// it at a time.
type guest struct {
	e       *Engine
	spec    *Spec
	rec     *record          // nil before context
	run     runState         // as read when the transaction began
	tx      *tx              // nil outside of one
	proc    process          // pid 1, when this process booted it
	notify  *notifySocket    // of the boot in this transaction
	console *console         // likewise
	reader  *logReader       // likewise
	tree    *rootfs.Template // being built: its root instead of a clone
	secrets []rootfs.File    // of the boot that comes next
	asked   bool             // its init was told to shut down
	damage  *Damage          // of its record, where it is to be brought down or removed all the same
}

// process is a child of this process that must be reaped.
type process interface {
	Wait(ctx context.Context) (Exit, error)
}

func (g *guest) Name() string { return g.spec.Name }
func (g *guest) Spec() *Spec  { return g.spec }

func (g *guest) XID() int {
	if g.rec == nil {
		return 0
	}
	return g.rec.XID
}

// hostID is the host's id of the guest's root.
func (g *guest) hostID() int { return g.rec.XID << 16 }

func (g *guest) group() (*cgroup.Group, error) { return g.e.group(g.spec.Name) }

// init gives the host pid of the guest's pid 1, or ErrNotRunning. The hint on
// disk is believed only if the kernel agrees that it is that process.
func (g *guest) init() (int, error) {
	run, err := g.e.readRun(g.spec.Name)
	if err != nil {
		return 0, err
	}
	if run.alive() {
		return run.PID, nil
	}
	grp, err := g.group()
	if err != nil {
		return 0, err
	}
	if pid := findInit(grp); pid > 0 {
		return pid, nil
	}
	return 0, &OpError{Op: "find pid 1 of guest", Target: g.spec.Name, Err: ErrNotRunning, Hint: "vsl up starts it"}
}

// Status asks the kernel what the guest does now.
func (g *guest) Status(ctx context.Context) (s Status, err error) {
	s = Status{Name: g.spec.Name, State: StateDeclared, IP: ips(g.spec.Net), Hostname: hostname(g.spec)}
	if g.spec.Template != nil {
		s.Template = g.spec.Template.Name
	}
	if g.rec == nil {
		return s, nil
	}
	s.State, s.XID, s.Clone, s.Recipe = StateStopped, g.rec.XID, g.rec.Clone, g.rec.Recipe.Path
	s.Pool, s.Spare, s.Failed = g.rec.Spec.Pool, g.rec.Spare, g.rec.Failed
	defer func() {
		if s.Failed != nil {
			s.State = StateFailed
		}
	}()
	limits := g.rec.Spec.Limits // which limit may have changed since it was declared
	s.Limits = &limits
	grp, err := g.group()
	if err != nil {
		return s, err
	}
	pid, err := g.init()
	if err != nil && !errors.Is(err, ErrNotRunning) {
		return s, err
	}
	run, rerr := g.e.readRun(g.spec.Name)
	if rerr != nil {
		return s, rerr
	}
	if err != nil {
		s.Ended = g.e.endOf(g.spec.Name, run)
		return s, nil
	}
	s.State, s.PID, s.Since, s.Init, s.Ready, s.CGroup = StateRunning, pid, run.Since, runningInit(pid, run.Init).name, run.Ready, grp.Path()
	if run.Net != nil {
		s.IP = ips(*run.Net) // what it is bound to, which may be more than what was declared
	}
	if frozen, err := grp.Frozen(); err == nil && frozen {
		s.State = StateFrozen
	}
	return s, nil
}

// Usage adds what Status leaves out because it costs more: the processes and
// what they use.
func (g *guest) Usage(s *Status) error {
	grp, err := g.group()
	if err != nil || s.PID == 0 || !grp.Exists() { // a pid 1 outside of its context uses what nobody counts
		return err
	}
	procs, err := grp.Procs()
	if err != nil {
		return err
	}
	s.Processes = len(procs)
	u, err := grp.Usage()
	if err != nil {
		return err
	}
	s.Usage = &u
	if !g.run.OwnNet {
		s.Sockets, err = socketUsage(grp)
	}
	return err
}

// create writes down a new guest: its xid is its own from here on. Its undo is
// journalled by the transaction that found no guest.
func (g *guest) create() error {
	if g.rec != nil {
		return nil
	}
	g.e.xids()
	xid, err := g.e.paths.TakeXID(g.spec.Name)
	if err != nil {
		return err
	}
	id, err := machineID()
	if err != nil {
		return err
	}
	g.rec = &record{Version: recordVersion, Name: g.spec.Name, XID: xid, Spec: g.spec, MachineID: id, Created: time.Now().UTC()}
	g.tx.unwritten = true
	return nil
}

func (g *guest) createGroup(ctx context.Context) error {
	grp, err := g.group()
	if err != nil {
		return err
	}
	if grp.Exists() && (g.tx.context || g.running()) {
		return nil
	}
	if err := g.e.reachable(g.spec.Name, g.run); err != nil {
		return err
	}
	if err := g.undoable(undo{Op: undoContext}); err != nil {
		return err
	}
	// What a guest that ended by itself left cannot be used again: its init may
	// have set up groups that keep processes out, and the kernel (6.18) kills
	// whatever is born into a group that was killed once.
	if grp.Exists() || len(g.run.Addrs) > 0 || g.running() {
		if err := g.e.release(ctx, g.spec.Name); err != nil {
			return err
		}
	}
	g.run = runState{} // a new group is bound to nothing yet, whatever was written down
	g.tx.context, g.tx.ended = true, false
	if err := grp.Create(); err != nil {
		return err
	}
	if err := grp.Delegate(g.hostID(), g.hostID()); err != nil {
		return err
	}
	return grp.Apply(cgroup.Limits{Pids: ptr[int64](DefaultPids)})
}

func (g *guest) setLimits(l Limits) error {
	grp, err := g.group()
	if err != nil {
		return err
	}
	before := g.rec.Spec.Limits
	if err := g.undoable(undo{Op: undoLimits, Limits: &before}); err != nil {
		return err
	}
	if grp.Exists() {
		if err := grp.Apply(l.Limits); err != nil {
			return err
		}
		if err := g.limitProcesses(l); err != nil {
			return err
		}
	}
	merged := before.merge(l)
	if grp.Exists() && merged.bounds() != before.bounds() {
		if err := boundSockets(grp, g.spec.Name, merged, g.run.Net != nil && !g.run.OwnNet); err != nil {
			return err
		}
	}
	if equalJSON(merged, before) {
		return nil
	}
	g.update(func(r *record) {
		spec := *r.Spec
		spec.Limits, r.Spec = merged, &spec
	})
	return nil
}

// update changes the record in memory. It is written once for all changes up to
// the boot, when others may want to see the guest, and for those after it at the
// end of the transaction: until then a killed run is undone anyway.
func (g *guest) update(change func(*record)) {
	rec := *g.rec
	change(&rec)
	g.rec, g.tx.unwritten = &rec, true
}

// write writes the record if it has changed.
func (g *guest) write() error {
	if !g.tx.unwritten {
		return nil
	}
	if err := g.e.writeRecord(g.rec); err != nil {
		return err
	}
	g.tx.unwritten, g.tx.unsynced, g.tx.lazy = false, true, false
	return nil
}

// showRecord writes the record of a guest that is about to boot for others to see.
// That of a new guest need not be durable yet: its mark says that it may be lost.
func (g *guest) showRecord() error {
	if !g.tx.unwritten || !g.tx.fresh {
		return g.write()
	}
	if err := store.WriteHint(g.e.paths.Record(g.spec.Name), g.rec); err != nil {
		return err
	}
	g.tx.unwritten, g.tx.lazy = false, true
	return nil
}

// restoreLimits is the undo of Limit. In a context that is doomed only the
// record matters: what the host cannot enforce was written there before it was
// tried, and trying it again would keep the undo from finishing.
func (e *Engine) restoreLimits(name string, l *Limits, doomed bool) error {
	rec, err := e.readRecord(name)
	if err != nil || rec == nil {
		return err
	}
	grp, err := e.group(name)
	if err != nil {
		return err
	}
	if grp.Exists() && !doomed {
		if err := grp.Apply(l.Lifting(rec.Spec.Limits).Limits); err != nil {
			return err
		}
		if err := boundSockets(grp, name, *l, false); err != nil {
			return err
		}
	}
	if equalJSON(rec.Spec.Limits, *l) {
		return nil // nothing to write, perhaps on a full disk
	}
	rec.Spec.Limits = *l
	return e.writeRecord(rec)
}

func noContext(op, name string) error {
	return &OpError{Op: op + " of guest", Target: name, Err: errors.New("it has no context yet"), Hint: "call context first"}
}

// removeClone removes a guest's root and all that the guest changed in it.
func (e *Engine) removeClone(name string) error {
	return rootfs.RemoveClone(e.paths.Guest(name))
}

// release ends a context: every process, its cgroup, its addresses, its hints.
func (e *Engine) release(ctx context.Context, name string) error {
	grp, err := e.group(name)
	if err != nil {
		return err
	}
	run, err := e.readRun(name)
	if err != nil {
		return err
	}
	if run.PID != 0 && !run.alive() {
		if end := e.endOf(name, run); end != nil {
			e.noteEnd(name, *end)
		}
	}
	if grp.Exists() {
		if err := grp.Kill(); err != nil {
			return err
		}
		if err := grp.WaitEmpty(ctx); err != nil {
			return err
		}
	}
	if err := e.ended(ctx, name, run); err != nil {
		return err
	}
	// Also where the v2 group is gone: whoever removed it may have been killed
	// before the groups on v1.
	if err := grp.Remove(); err != nil {
		return err
	}
	var errs []error
	for _, a := range run.Addrs {
		errs = append(errs, removeAddr(a.Dev, a.Prefix))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("addresses of %s: %w", name, err)
	}
	os.Remove(e.paths.Notify(name))
	return store.Remove(e.paths.RunFile(name))
}
