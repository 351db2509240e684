package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"vsl/engine/rootfs"
	"vsl/engine/store"
)

// Sweep is what GC did, and the guests that it left to a live command: what is
// unfinished there may be that command's.
type Sweep struct{ Did, Busy []string }

// GC finishes what killed commands left: unfinished journals, contexts without
// a guest, addresses, xids, temporary files, half-made templates and removed
// trees. It touches nothing that a live command holds.
func (e *Engine) GC(ctx context.Context) (s Sweep, err error) {
	if _, err := os.Stat(e.paths.Root); errors.Is(err, fs.ErrNotExist) {
		l, err := e.layout()
		if err != nil {
			return s, err
		}
		if contexts, err := l.Groups(e.paths.Base()); err != nil || len(contexts) == 0 {
			return s, err
		}
		defer e.paths.RemoveEmpty() // somebody removed the root under its guests
	}
	if err := e.ensure(); err != nil {
		return s, err
	}
	s, err = e.gcJournals(ctx)
	errs := []error{err}
	for _, sweep := range []func(context.Context) ([]string, error){
		e.gcContexts, e.gcFiles, e.gcXIDs, e.gcAddresses,
	} {
		did, err := sweep(ctx)
		s.Did = append(s.Did, did...)
		errs = append(errs, err)
	}
	if l, err := e.layout(); err == nil && l.RemoveHelpers(e.paths.Base()) {
		s.Did = append(s.Did, "removed the group of readers of logs, which had none left")
	}
	gone, err := e.templates().GC()
	s.Did = append(s.Did, gone...)
	return s, errors.Join(append(errs, err)...)
}

// gcIfNeeded is GC where something lies about that may be a killed command's:
// journals, temporary and doomed names. Looking costs four short listings. What
// cannot be finished is no reason not to bring other guests up.
func (e *Engine) gcIfNeeded(ctx context.Context) {
	for _, dir := range []string{e.paths.Run, e.paths.Guests(), e.paths.Root, e.paths.Templates()} {
		entries, _ := os.ReadDir(dir)
		for _, en := range entries {
			if strings.HasPrefix(en.Name(), ".") || strings.HasSuffix(en.Name(), ".journal") {
				if _, err := e.GC(ctx); err != nil {
					e.log.Warn().Err(err).Msg("what an earlier command left could not all be finished")
				}
				return
			}
		}
	}
}

// held is the lock of a guest's name, also of one that has no guest.
type held struct {
	lock *store.Lock
	dir  string
}

// hold takes the lock of a name for gc, unless a live command has it. What was seen
// before may be another command's by then, and is looked at again under the lock.
func (e *Engine) hold(name string) (*held, bool, error) {
	if err := store.ValidName(name); err != nil {
		return nil, false, nil // nothing of vsl's
	}
	dir := e.paths.Guest(name)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, false, &OpError{Op: "lock guest", Target: name, Err: pathCause(err)}
	}
	lock, ok, err := store.TryLockDir(dir)
	return &held{lock, dir}, ok, err
}

// drop gives the name back. A folder that is empty was made for the lock only.
func (h *held) drop() {
	os.Remove(h.dir)
	h.lock.Unlock()
}

// gcJournals undoes runs whose process is gone.
func (e *Engine) gcJournals(ctx context.Context) (s Sweep, err error) {
	entries, err := store.Names(e.paths.Run)
	if err != nil {
		return s, err
	}
	var errs []error
	for _, n := range entries {
		name, ok := strings.CutSuffix(n, ".journal")
		if !ok {
			continue
		}
		h, free, err := e.hold(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if !free {
			s.Busy = append(s.Busy, name)
			continue
		}
		undid, _, err := e.recover(ctx, name)
		h.drop()
		errs = append(errs, err)
		if err == nil && undid {
			s.Did = append(s.Did, "undid the unfinished run on "+name)
		}
	}
	return s, errors.Join(errs...)
}

// gcContexts ends contexts that belong to no guest, guests that no run has finished
// to make, and the empty cgroups of guests that ended by themselves.
func (e *Engine) gcContexts(ctx context.Context) (did []string, err error) {
	l, err := e.layout()
	if err != nil {
		return nil, err
	}
	contexts, err := l.Groups(e.paths.Base())
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, name := range contexts {
		if e.hasRecord(name) {
			did, errs = e.gcEnded(ctx, name, did, errs)
			continue
		}
		did, errs = e.gcStray(ctx, name, did, errs)
	}
	for _, name := range e.names() {
		if !e.hasRecord(name) || e.begun(name) {
			did, errs = e.gcStray(ctx, name, did, errs)
		}
	}
	return did, errors.Join(errs...)
}

// hasRecord is a quick look: whether it can be read is another matter.
func (e *Engine) hasRecord(name string) bool {
	_, err := os.Lstat(e.paths.Record(name))
	return err == nil
}

// gcStray releases whatever is left under a name that has no guest, and removes a guest
// that a run began and never finished. Anything that may have been a guest is kept and named.
func (e *Engine) gcStray(ctx context.Context, name string, did []string, errs []error) ([]string, []error) {
	h, free, err := e.hold(name)
	if err != nil || !free {
		return did, append(errs, err)
	}
	defer h.drop()
	undid, _, err := e.recover(ctx, name)
	if err != nil {
		return did, append(errs, err)
	}
	if undid {
		return append(did, "removed the unfinished guest "+name), errs
	}
	rec, err := e.readRecord(name)
	if rec != nil || err != nil {
		return did, append(errs, err)
	}
	grp, err := e.group(name)
	if err != nil {
		return did, append(errs, err)
	}
	if !grp.ExistsAnywhere() {
		return did, errs
	}
	if err := e.release(ctx, name); err != nil {
		return did, append(errs, err)
	}
	return append(did, "released context "+name+", which has no guest"), errs
}

// gcEnded releases the context of a guest whose pid 1 ended by itself.
func (e *Engine) gcEnded(ctx context.Context, name string, did []string, errs []error) ([]string, []error) {
	grp, err := e.group(name)
	if err != nil {
		return did, append(errs, err)
	}
	if busy, err := grp.Populated(); err != nil || busy {
		return did, append(errs, err)
	}
	lock, free, err := store.TryLockDir(e.paths.Guest(name))
	if err != nil || !free {
		return did, append(errs, err)
	}
	defer lock.Unlock()
	if busy, err := grp.Populated(); err != nil || busy { // another command may have booted it
		return did, append(errs, err)
	}
	if _, err := e.readRecord(name); err != nil {
		return did, append(errs, err)
	}
	return append(did, "released the ended context "+name), append(errs, e.release(ctx, name))
}

// releaseEnded takes addresses that are wanted now from guests that ended by
// themselves, as gc does: what a device has already is not taken over, and would go
// with the guest that brought it.
func (e *Engine) releaseEnded(ctx context.Context, specs []*Spec) {
	own, want := map[string]bool{}, map[string]bool{}
	for _, s := range specs {
		own[s.Name] = true
		for _, ip := range ips(s.Net) {
			want[ip] = true
		}
	}
	if len(want) == 0 {
		return
	}
	for _, n := range e.names() {
		run, err := e.readRun(n)
		holds := func(a ownedAddr) bool { ip, _, _ := strings.Cut(a.Prefix, "/"); return want[ip] }
		if own[n] || err != nil || (&guest{run: run}).running() || !slices.ContainsFunc(run.Addrs, holds) {
			continue
		}
		if _, errs := e.gcEnded(ctx, n, nil, nil); errors.Join(errs...) != nil {
			e.log.Warn().Str("guest", n).Err(errors.Join(errs...)).Msg("its context has ended and cannot be released")
		}
	}
}

// tempAge is how old a temporary file of this very process must be to count as
// left behind: a writer holds one for milliseconds.
const tempAge = 10 * time.Second

// probePrefix begins the folders in which rootfs.Probe tries things.
const probePrefix = ".tmp-probe-"

func (e *Engine) gcFiles(ctx context.Context) (did []string, err error) {
	own := fmt.Sprintf("-%d", os.Getpid())
	written := func(i fs.FileInfo) bool {
		return alivePid(i.Name()) || strings.HasSuffix(i.Name(), own) && time.Since(i.ModTime()) < tempAge
	}
	var errs []error
	dirs := []string{e.paths.Root, e.paths.Run}
	for _, n := range e.names() {
		dirs = append(dirs, e.paths.Guest(n))
	}
	for _, d := range dirs {
		gone, err := store.SweepTemp(d, written)
		did, errs = append(did, gone...), append(errs, err)
	}
	for dir, prefix := range map[string]string{e.paths.Guests(): doomedPrefix, e.paths.Root: probePrefix} {
		entries, _ := os.ReadDir(dir)
		for _, en := range entries {
			if !strings.HasPrefix(en.Name(), prefix) || strings.HasSuffix(en.Name(), own) || alivePid(en.Name()) {
				continue
			}
			rest := filepath.Join(dir, en.Name())
			if prefix == probePrefix {
				errs = append(errs, endTrial(ctx, rest))
			} else {
				errs = append(errs, rootfs.RemoveTree(rest))
			}
			did = append(did, "removed the rest of "+en.Name())
		}
	}
	runs, _ := store.Names(e.paths.Run)
	for _, n := range runs {
		name := strings.TrimSuffix(strings.TrimSuffix(n, ".json"), ".notify")
		if name == n || e.hasRecord(name) {
			continue
		}
		h, free, err := e.hold(name)
		if err != nil || !free {
			errs = append(errs, err)
			continue
		}
		if rec, err := e.readRecord(name); rec == nil && err == nil {
			if err = e.release(ctx, name); err == nil { // this hint is the last one of what lives
				err = store.Remove(filepath.Join(e.paths.Run, n))
			}
			errs = append(errs, err)
			did = append(did, "removed the hint "+n)
		}
		h.drop()
	}
	return did, errors.Join(errs...)
}

// alivePid reads the pid at the end of a doomed folder's or temporary file's
// name: whoever made it may still be at it.
func alivePid(name string) bool {
	pid, err := strconv.Atoi(name[strings.LastIndexByte(name, '-')+1:])
	return err == nil && pid != os.Getpid() && startTime(pid) != 0
}
