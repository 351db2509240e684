package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"vsl/engine/internal/sys"
	"vsl/engine/rootfs"
	"vsl/engine/spawn"
	"vsl/engine/store"
)

// keepRecipe keeps the recipe as it is now beside the guest: its shutdown flow
// is the one it was booted with, whatever happens to the file. One that is kept
// already is not written again.
func (g *guest) keepRecipe(o UpOptions) error {
	if o.Keep == nil || o.Origin.Digest != "" && o.Origin.Digest == g.rec.Recipe.Digest {
		return nil
	}
	dir := g.e.paths.Recipe(g.spec.Name)
	tmp := filepath.Join(g.e.paths.Guest(g.spec.Name), ".tmp-recipe")
	if err := rootfs.RemoveTree(tmp); err != nil {
		return err
	}
	if err := os.Mkdir(tmp, 0o700); err != nil {
		return &OpError{Op: "keep recipe of guest", Target: g.spec.Name, Err: err}
	}
	if err := o.Keep(tmp); err != nil {
		return &OpError{Op: "keep recipe of guest", Target: g.spec.Name, Err: err}
	}
	// At no moment is there none, or a part of one.
	if err := syncTree(tmp); err != nil {
		return err
	}
	err := sys.Exchange(tmp, dir)
	if err == sys.ENOENT {
		err = os.Rename(tmp, dir)
	}
	if err != nil {
		return &OpError{Op: "keep recipe of guest", Target: g.spec.Name, Err: pathCause(err)}
	}
	g.tx.unsynced = true
	return rootfs.RemoveTree(tmp)
}

// syncTree makes a folder durable with what is in it.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return store.Sync(path)
	})
}

// errKeptMeanwhile ends an up that met another one's failures twice.
var errKeptMeanwhile = errors.New("another vsl command brought it up meanwhile, which failed and was kept; vsl up once more")

// noteKept writes down that a run failed which is kept: kernel and files are
// those of a guest that is up, or nearly.
func (g *guest) noteKept(cause error) {
	if !g.e.keepFailed || g.rec == nil {
		return
	}
	f := &Failure{Phase: "up", At: time.Now().UTC(), New: len(g.tx.undos) > 0 && g.tx.undos[0].Op == undoCreate}
	var known *GuestError
	if errors.As(cause, &known) {
		f.Phase = known.Phase
	}
	g.update(func(r *record) { r.Failed = f })
}

// keptNew tells whether a guest was made by a run that failed and was kept.
func (g *guest) keptNew() bool { return g.rec.Failed != nil && g.rec.Failed.New }

// forgetKept is for a guest that is down: what failed in it is over, unless its
// files are half made as well.
func (g *guest) forgetKept() {
	if g.rec != nil && g.rec.Failed != nil && !g.rec.Failed.New {
		g.update(func(r *record) { r.Failed = nil })
	}
}

// Wait waits for the guest's pid 1 to end and says how it did, as far as the
// kernel tells: of a guest that another command booted only from Linux 6.15.
func (g *guest) Wait(ctx context.Context) (Exit, error) {
	if g.proc != nil {
		x, err := g.proc.Wait(ctx)
		if err == nil {
			g.proc = nil
		}
		return x, err
	}
	pid, err := g.init()
	if err != nil {
		return Exit{}, err
	}
	st, known, err := spawn.WaitPID(ctx, pid, startTime(pid))
	if err != nil {
		return Exit{}, sys.Op("wait for guest", g.spec.Name, err)
	}
	return exitOf(st, known), nil
}

// dialInside connects to the loopback of a guest with a network of its own, on
// a thread that joins its network namespace and is thrown away.
func (g *guest) dialInside(ctx context.Context, port int) (net.Conn, error) {
	pid, err := g.init()
	if err != nil {
		return nil, err
	}
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return nil, sys.Op("open network of guest", g.spec.Name, err)
	}
	defer ns.Close()
	deadline := time.Now().Add(attemptTime)
	if d, ok := ctx.Deadline(); ok {
		deadline = d
	}
	f, err := sys.DialInNetNS(ns, port, time.Until(deadline))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return net.FileConn(f)
}
