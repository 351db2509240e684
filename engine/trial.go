package engine

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"vsl/engine/rootfs"
	"vsl/engine/store"
)

// trialTime bounds a trial: all that it waits for is the kernel.
const trialTime = 30 * time.Second

// trial takes a guest of the host's own system through what `up` does with one: a
// template, a clone, a context, a boot, an end. It is of a state root of its own, in
// the file system that guests will be on, and leaves nothing. What it says is so: no
// list of features tells whether this kernel, this file system and this container
// can do all of it together.
func (e *Engine) trial(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, trialTime)
	defer cancel()
	unmake, err := makeFor(e.paths.Root)
	if err != nil {
		return err
	}
	defer unmake()
	dir, err := rootfs.ProbeDir(e.paths.Root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endTrial(context.WithoutCancel(ctx), dir)) }()
	t, err := Open(Options{Root: dir})
	if err != nil {
		return err
	}
	template := &Template{Name: "trial", From: Source{Kind: "host"}}
	if _, err := t.BuildTemplate(ctx, template, nil); err != nil {
		return err
	}
	g, err := t.handle(&Spec{Name: "trial", Template: template, Net: Net{Mode: "none"}})
	if err != nil {
		return err
	}
	return g.within(ctx, true, func() error {
		for _, act := range []func() error{
			func() error { return g.Context(ctx) },
			func() error { return g.CowClone(ctx, CloneArgs{Template: template}) },
			func() error { return g.BindIP(ctx, g.spec.Net) },
			func() error { return g.Boot(ctx, BootArgs{Command: []string{"sleep", "60"}}) },
			func() error { return g.Kill(ctx, KillArgs{}) },
		} {
			if err := act(); err != nil {
				return err
			}
		}
		return nil
	})
}

// makeFor makes a folder that may not be there yet, and gives what takes away again
// as much of it as was made.
func makeFor(dir string) (unmake func(), err error) {
	var made []string
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		made = append(made, at)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, &OpError{Op: "create state folder", Target: dir, Err: pathCause(err)}
	}
	return func() {
		for _, d := range made {
			os.Remove(d) // one that is in use by now stays
		}
	}, nil
}

// endTrial ends what runs of a trial, and removes it. It is for gc as well: who made
// the trial may have been killed.
func endTrial(ctx context.Context, dir string) error {
	t, err := Open(Options{Root: dir})
	if err != nil {
		return err
	}
	l, err := t.layout()
	if err != nil {
		return errors.Join(err, rootfs.RemoveTree(dir))
	}
	contexts, err := l.Groups(t.paths.Base())
	for _, name := range contexts {
		if store.ValidName(name) == nil {
			err = errors.Join(err, t.release(ctx, name))
		}
	}
	if err != nil {
		return err
	}
	return rootfs.RemoveTree(dir)
}
