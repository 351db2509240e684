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

	"vsl/engine/internal/sys"
	"vsl/engine/rootfs"
	"vsl/engine/store"
)

// undo is a journal entry: how to take one step back. All it needs is in it,
// because the process that executes it may not be the one that wrote it.
type undo struct {
	Op     undoOp  `json:"undo"`
	Dev    string  `json:"dev,omitempty"`
	Prefix string  `json:"prefix,omitempty"`
	Limits *Limits `json:"limits,omitempty"`

	doomed bool // when undoing: the context goes too
}

// journalHead is the first line of a journal: whose it is.
type journalHead struct {
	Version int    `json:"version"`
	Guest   string `json:"guest"`
	Root    string `json:"root"`
	Boot    string `json:"boot_id"`
}

type undoOp string

const (
	undoCreate  undoOp = "remove guest"    // its folder and its xid
	undoContext undoOp = "release context" // processes, cgroup, hints
	undoAddress undoOp = "remove address"
	undoLimits  undoOp = "restore limits"
	undoClone   undoOp = "remove clone"
)

var undoOps = []undoOp{undoCreate, undoContext, undoAddress, undoLimits, undoClone}

// rollbackTime bounds an undo. It runs to its end even when the run was
// cancelled: a half-undone guest is worse than a slow Ctrl-C.
const rollbackTime = 60 * time.Second

// recover undoes an unfinished run of a guest whose lock the caller holds. It
// tells whether there was one, and whether that removed the guest's folder, and
// with it the lock.
func (e *Engine) recover(ctx context.Context, name string) (undid, removed bool, err error) {
	undos, err := e.readJournal(name)
	if err != nil {
		return false, false, err
	}
	isCreate := func(u undo) bool { return u.Op == undoCreate }
	if !slices.ContainsFunc(undos, isCreate) && e.begun(name) {
		undos = append([]undo{{Op: undoCreate}, {Op: undoContext}}, undos...) // /run was lost
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

// readJournal reads what an unfinished run of a guest has left to undo. A journal
// that is not understood as a whole is a Damage: no part of it is undone.
func (e *Engine) readJournal(name string) ([]undo, error) {
	file := e.paths.Journal(name)
	remedy := fmt.Sprintf("move it away: vsl down %s ends what runs of the guest, and vsl gc finds what else is left", name)
	lines, err := store.ReadJournal(file)
	if err != nil {
		return nil, damaged(name, "journal", file, err, remedy)
	}
	head := journalHead{Guest: name, Root: e.paths.Root, Boot: bootID()}
	var undos []undo
	for i, line := range lines {
		var u undo
		if err = store.Decode(line, journalVersion, &u); err == nil && i == 0 && u.Op == "" {
			if err = store.Decode(line, journalVersion, &head); err == nil && head.Version > 0 {
				continue
			}
		}
		if err == nil && !slices.Contains(undoOps, u.Op) {
			err = fmt.Errorf("%w: line %d is no undo that vsl knows", store.ErrDamaged, i+1)
		}
		if err != nil {
			return nil, damaged(name, "journal", file, err, remedy)
		}
		undos = append(undos, u)
	}
	if head.Guest != name {
		return nil, damaged(name, "journal", file, fmt.Errorf("%w: it is that of guest %q", store.ErrDamaged, head.Guest), remedy)
	}
	if head.Root != e.paths.Root || head.Boot != bootID() { // copied, or of before: its addresses are others'
		undos = slices.DeleteFunc(undos, func(u undo) bool { return u.Op == undoAddress })
	}
	return undos, nil
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

// removeGuest removes a guest's folder, and then gives its xid back, when no file has
// its ids any more. The folder is renamed first, so that a killed removal is never
// taken for a guest; gc sweeps the rest.
func (e *Engine) removeGuest(name string) error {
	rec, _ := e.readRecord(name)
	doomed := filepath.Join(e.paths.Guests(), fmt.Sprintf("%s%s-%d", doomedPrefix, name, os.Getpid()))
	err := os.Rename(e.paths.Guest(name), doomed)
	if errors.Is(err, sys.ENOSPC) || errors.Is(err, sys.EDQUOT) { // a longer name takes room
		err = e.removeInPlace(name)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &OpError{Op: "remove guest", Target: name, Err: pathCause(err)}
	}
	if err := rootfs.RemoveTree(doomed); err != nil {
		return err
	}
	if rec != nil && e.paths.XIDOwner(rec.XID) == name {
		return e.paths.FreeXID(rec.XID, name)
	}
	return e.freeXIDs(name)
}

// removeInPlace removes a guest's folder without its record, then that: killed on the
// way it leaves a guest without files, to be removed again.
func (e *Engine) removeInPlace(name string) error {
	entries, err := os.ReadDir(e.paths.Guest(name))
	if err != nil {
		return err
	}
	for _, en := range entries {
		if p := filepath.Join(e.paths.Guest(name), en.Name()); p != e.paths.Record(name) {
			if err := rootfs.RemoveTree(p); err != nil {
				return err
			}
		}
	}
	return rootfs.RemoveTree(e.paths.Guest(name))
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
