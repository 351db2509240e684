package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"vsl/engine/store"
)

// tx is one run on one guest: the guest's lock, and the undo of each step done
// so far. The journal on disk says the same, for when this process is killed.
type tx struct {
	lock    *store.Lock
	journal *store.Journal // nil until there is something to undo
	undos   []undo
	fresh   bool // the guest is made in this run: until its end the mark says so
	context bool // the context was made in this run
	ended   bool // it was ended, and not made anew
	undid   bool // an unfinished run of the guest was undone first

	unwritten bool // the record has changed since it was written
	unsynced  bool // the record was written: make its name durable at the end
	lazy      bool // and itself as well
}

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
		err = errors.Join(err, g.commit()) // a full disk fails here, and the run is undone
	}
	if err == nil || g.e.keepFailed {
		defer g.end()
		if g.tx.journal == nil {
			return err
		}
		return errors.Join(err, g.tx.journal.Done())
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
		if g.tx.fresh {
			os.Remove(g.e.paths.Begun(name))
			os.Remove(g.e.paths.Guest(name))
		}
		g.end()
		return err
	}
	return nil
}

// start reads the guest's state under its lock, and notes that a new one is begun.
func (g *guest) start(create bool) (err error) {
	name := g.spec.Name
	g.rec, err = g.e.readRecord(name)
	if d := asDamage(err); d != nil && !d.Newer && g.damage != nil {
		g.damage, err = d, nil
		g.run, err = g.e.readRun(name)
		return err
	}
	if err != nil {
		return err
	}
	if g.run, err = g.e.readRun(name); err != nil {
		return err
	}
	if g.rec == nil && !create {
		os.Remove(g.e.paths.Guest(name))
		return unknownGuest(name, g.e.names())
	}
	if g.rec != nil {
		return g.e.keepXID(g.rec)
	}
	g.tx.fresh = true
	if err := g.undoable(undo{Op: undoCreate}); err != nil {
		return err
	}
	if err := os.WriteFile(g.e.paths.Begun(name), nil, 0o600); err != nil {
		return &OpError{Op: "create guest", Target: name, Err: pathCause(err)}
	}
	return nil
}

// undoable notes how to undo the step that is about to act.
func (g *guest) undoable(u undo) (err error) {
	g.tx.undos = append(g.tx.undos, u)
	if g.tx.journal == nil {
		head := journalHead{Version: journalVersion, Guest: g.spec.Name, Root: g.e.paths.Root, Boot: bootID()}
		if g.tx.journal, err = store.CreateJournal(g.e.paths.Journal(g.spec.Name), head); err != nil {
			return err
		}
	}
	return g.tx.journal.Add(u)
}

// ending notes that the context is about to end. A full disk is no reason to
// let it live: gc also finds what a killed end leaves without a journal.
func (g *guest) ending() {
	g.tx.ended = true
	if err := g.undoable(undo{Op: undoContext}); err != nil {
		g.e.log.Warn().Str("guest", g.spec.Name).Err(err).Msg("going on without a journal")
	}
}

// commit makes what was done last. Until it is done the journal stays, so that a run
// whose last write fails is undone like any other.
func (g *guest) commit() error {
	p, name := g.e.paths, g.spec.Name
	if err := g.write(); err != nil {
		if !g.tx.ended {
			return err
		}
		// There is nothing to go back to, and to stop a guest takes no room on a disk.
		g.e.log.Warn().Str("guest", name).Err(err).Msg("it is down, which its record does not say")
		return nil
	}
	if g.run.Net != nil && g.run.PID == 0 { // bound by a primitive alone: for the boot to come
		if err := g.e.writeRun(g.spec.Name, g.run); err != nil {
			return err
		}
	}
	var sync []string
	if g.tx.lazy {
		sync = append(sync, p.Record(name))
	}
	if g.tx.fresh && g.rec != nil {
		if err := store.Remove(p.Begun(name)); err != nil {
			return err
		}
		sync = append(sync, p.Guest(name), p.Guests())
	} else if g.tx.unsynced {
		sync = append(sync, p.Guest(name))
	}
	return store.Sync(sync...)
}

func (g *guest) rollback(ctx context.Context) error {
	defer g.end()
	if slices.ContainsFunc(g.tx.undos, func(u undo) bool { return u.Op == undoContext }) {
		g.dropConsole()
	}
	err := g.e.undoAll(ctx, g.spec.Name, g.tx.undos)
	if err != nil {
		if g.tx.journal != nil {
			g.tx.journal.Close()
		}
		return fmt.Errorf("undo of %s is not complete; vsl gc finishes it: %w", g.spec.Name, err)
	}
	if g.tx.journal != nil {
		if err := g.tx.journal.Done(); err != nil {
			return err
		}
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
