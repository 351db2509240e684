package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"vsl/engine/rootfs"
	"vsl/engine/store"
)

// tx is one run on one guest: the guest's lock, and the undo of each step done
// so far. The journal on disk says the same, for when this process is killed.
type tx struct {
	lock    *store.Lock
	journal *store.Journal
	undos   []undo
	context bool // the context was made in this run
	undid   bool // an unfinished run of the guest was undone first

	unwritten bool // the record has changed since it was written
	unsynced  bool // the record was written: make it durable at the end
}

// undo is a journal entry: how to take one step back. All it needs is in it,
// because the process that executes it may not be the one that wrote it.
type undo struct {
	Op     undoOp  `json:"undo"`
	Dev    string  `json:"dev,omitempty"`
	Prefix string  `json:"prefix,omitempty"`
	Limits *Limits `json:"limits,omitempty"`

	doomed bool // when undoing: the context goes too
}

type undoOp string

const (
	undoCreate  undoOp = "remove guest"    // its folder and its xid
	undoContext undoOp = "release context" // processes, cgroup, hints
	undoAddress undoOp = "remove address"
	undoLimits  undoOp = "restore limits"
	undoClone   undoOp = "remove clone"
)

// rollbackTime bounds an undo. It runs to its end even when the run was
// cancelled: a half-undone guest is worse than a slow Ctrl-C.
const rollbackTime = 60 * time.Second

// within runs fn with the guest locked and journalled. When fn fails, what it
// acquired is undone in reverse. Inside another within of the same handle it
// just runs fn: the outermost decides. With create false the guest must exist.
func (g *guest) within(ctx context.Context, create bool, fn func() error) error {
	if g.tx != nil {
		return fn()
	}
	if err := g.begin(ctx, create); err != nil {
		return err
	}
	err := fn()
	if err == nil || g.e.keepFailed {
		err = errors.Join(err, g.write()) // a full disk fails here, and the run is undone
	}
	if err == nil || g.e.keepFailed {
		return errors.Join(err, g.commit())
	}
	return errors.Join(err, g.rollback(ctx))
}

func (g *guest) begin(ctx context.Context, create bool) error {
	if err := g.e.ensure(); err != nil {
		return err
	}
	name := g.spec.Name
	undid := false // an unfinished run that had made the guest
	for {
		if create {
			if err := os.Mkdir(g.e.paths.Guest(name), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
				return &OpError{Op: "create folder of guest", Target: name, Err: err}
			}
		}
		lock, err := store.LockDir(ctx, g.e.paths.Guest(name), func() {
			g.e.log.Info().Str("guest", name).Msg("waiting for another vsl command on this guest")
		})
		if errors.Is(err, store.ErrGone) || create && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if errors.Is(err, fs.ErrNotExist) {
			if undid {
				return &OpError{Op: "find guest", Target: name, Err: errUndone, Hint: "vsl up with its recipe makes it"}
			}
			return unknownGuest(name, g.e.names())
		}
		if err != nil {
			return err
		}
		g.tx = &tx{lock: lock}
		var removed bool
		g.tx.undid, removed, err = g.e.recover(ctx, name)
		undid = undid || removed && g.tx.undid
		if err == nil && !removed {
			break
		}
		g.end()
		if err != nil {
			return err
		}
	}
	if err := g.start(create); err != nil {
		if g.tx.journal != nil {
			err = errors.Join(err, g.tx.journal.Done()) // nothing was done yet
		}
		if create && g.rec == nil {
			os.Remove(g.e.paths.Guest(name))
		}
		g.end()
		return err
	}
	return nil
}

// start reads the guest's state under its lock and begins the journal.
func (g *guest) start(create bool) (err error) {
	name := g.spec.Name
	if g.rec, err = g.e.readRecord(name); err != nil {
		return err
	}
	if g.run, err = g.e.readRun(name); err != nil {
		return err
	}
	if g.rec == nil && !create {
		os.Remove(g.e.paths.Guest(name))
		return unknownGuest(name, g.e.names())
	}
	if g.tx.journal, err = store.CreateJournal(g.e.paths.Journal(name)); err != nil {
		return err
	}
	if g.rec == nil {
		return g.undoable(undo{Op: undoCreate})
	}
	return nil
}

// undoable notes how to undo the step that is about to act.
func (g *guest) undoable(u undo) error {
	g.tx.undos = append(g.tx.undos, u)
	return g.tx.journal.Add(u)
}

// ending notes that the context is about to end. A full disk is no reason to
// let it live: gc also finds what a killed end leaves without a journal.
func (g *guest) ending() {
	if err := g.undoable(undo{Op: undoContext}); err != nil {
		g.e.log.Warn().Str("guest", g.spec.Name).Err(err).Msg("going on without a journal")
	}
}

func (g *guest) commit() error {
	defer g.end()
	if g.run.Net != nil && g.run.PID == 0 { // bound by a primitive alone: for the boot to come
		if err := g.e.writeRun(g.spec.Name, g.run); err != nil {
			return err
		}
	}
	if g.tx.unsynced {
		p := g.e.paths
		if err := store.Sync(p.Record(g.spec.Name), p.Guest(g.spec.Name), p.Guests()); err != nil {
			return err
		}
	}
	return g.tx.journal.Done()
}

func (g *guest) rollback(ctx context.Context) error {
	defer g.end()
	err := g.e.undoAll(ctx, g.spec.Name, g.tx.undos)
	if err != nil {
		g.tx.journal.Close()
		return fmt.Errorf("undo of %s is not complete; vsl gc finishes it: %w", g.spec.Name, err)
	}
	if err := g.tx.journal.Done(); err != nil {
		return err
	}
	g.rec, _ = g.e.readRecord(g.spec.Name)
	g.run, _ = g.e.readRun(g.spec.Name)
	return nil
}

func (g *guest) end() {
	if g.notify != nil {
		g.notify.close()
		g.notify = nil
	}
	g.endConsole()
	if g.tx != nil {
		g.tx.lock.Unlock()
		g.tx = nil
	}
}

// recover undoes an unfinished run of a guest whose lock the caller holds. It
// tells whether there was one, and whether that removed the guest's folder, and
// with it the lock.
func (e *Engine) recover(ctx context.Context, name string) (undid, removed bool, err error) {
	undos, err := store.ReadJournal[undo](e.paths.Journal(name))
	if err != nil {
		return false, false, err
	}
	if len(undos) > 0 {
		e.log.Info().Str("guest", name).Int("steps", len(undos)).Msg("undoing a run that did not finish")
		if err := e.undoAll(ctx, name, undos); err != nil {
			return false, false, err
		}
	}
	if err := store.Remove(e.paths.Journal(name)); err != nil {
		return false, false, err
	}
	_, err = os.Lstat(e.paths.Guest(name))
	return len(undos) > 0, errors.Is(err, fs.ErrNotExist), nil
}

// undoAll takes the steps back in reverse. Each undo is idempotent, and one
// that fails does not keep the others from running.
func (e *Engine) undoAll(ctx context.Context, name string, undos []undo) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTime)
	defer cancel()
	var errs []error
	for i := len(undos) - 1; i >= 0; i-- {
		u := undos[i]
		u.doomed = slices.ContainsFunc(undos[:i], func(v undo) bool { return v.Op == undoContext })
		if err := e.undo(ctx, name, u); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", u.Op, err))
		}
	}
	return errors.Join(errs...)
}

func (e *Engine) undo(ctx context.Context, name string, u undo) error {
	switch u.Op {
	case undoCreate:
		return e.removeGuest(name)
	case undoContext:
		return e.release(ctx, name)
	case undoAddress:
		return removeAddr(u.Dev, u.Prefix)
	case undoLimits:
		return e.restoreLimits(name, u.Limits, u.doomed)
	case undoClone:
		return e.removeClone(name)
	}
	return fmt.Errorf("unknown undo %q: the journal is from another version of vsl", u.Op)
}

// removeGuest removes a guest's folder and xid. The folder is renamed first, so
// that a killed removal is never taken for a guest; gc sweeps the rest.
func (e *Engine) removeGuest(name string) error {
	doomed := filepath.Join(e.paths.Guests(), fmt.Sprintf("%s%s-%d", doomedPrefix, name, os.Getpid()))
	err := os.Rename(e.paths.Guest(name), doomed)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &OpError{Op: "remove guest", Target: name, Err: err}
	}
	if err := e.freeXIDs(name); err != nil {
		return err
	}
	return rootfs.RemoveTree(doomed)
}

// doomedPrefix begins the name of a guest folder that is being removed.
const doomedPrefix = ".rm-"

// freeXIDs gives back every xid that a guest claimed: at most one, but a killed
// run may not have written down which.
func (e *Engine) freeXIDs(name string) error {
	xids, err := store.Names(e.paths.XIDs())
	if err != nil {
		return err
	}
	for _, x := range xids {
		p := filepath.Join(e.paths.XIDs(), x)
		if owner, err := os.Readlink(p); err == nil && owner == name {
			if err := store.Remove(p); err != nil {
				return err
			}
		}
	}
	return nil
}
