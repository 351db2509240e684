package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"vsl/engine"
	"vsl/lua/test"
)

// lab is where tests bring guests up for real: a state root of their own, which
// goes at the end unless --root named it. Templates are built once for all tests.
type lab struct {
	a    *app
	e    *engine.Engine
	temp string // the root that is to be removed; "" is --root's
}

func (a *app) newLab() (*lab, error) {
	x := &lab{a: a}
	if a.stateRoot() == "" {
		dir, err := os.MkdirTemp("/var/tmp", "vsl-test-")
		if err != nil {
			return nil, err
		}
		x.temp, a.root = dir, filepath.Join(dir, "root")
	}
	var err error
	x.e, err = a.engine(false)
	if err != nil {
		return nil, errors.Join(err, x.close())
	}
	return x, nil
}

// close removes the root. The guests are gone: each test removes its own.
func (x *lab) close() error {
	if x == nil || x.temp == "" {
		return nil
	}
	var errs []error
	if x.e != nil {
		if guests, bad, err := x.e.List(); err != nil || len(guests)+len(bad) > 0 {
			return errors.Join(err, &engine.OpError{Op: "remove the tests' state", Target: x.temp, Err: engine.ErrRunning,
				Hint: "vsl --root " + filepath.Join(x.temp, "root") + " rm -f --all takes it down"})
		}
		errs = append(errs, x.removeTemplates())
	}
	return errors.Join(append(errs, os.RemoveAll(x.temp))...)
}

func (x *lab) removeTemplates() error {
	all, err := x.e.Templates()
	if err != nil {
		return err
	}
	var errs []error
	// One that others were made of goes after them.
	for range all {
		errs = nil
		for _, t := range all {
			if err := x.e.RemoveTemplate(t.Name); err != nil && !errors.Is(err, engine.ErrUnknownTmpl) {
				errs = append(errs, err)
			}
		}
		if len(errs) == 0 {
			break
		}
	}
	return errors.Join(errs...)
}

// bench is one test's.
func (x *lab) bench() (test.Bench, error) {
	return &labBench{lab: x, used: map[string]*test.Loaded{}}, nil
}

type labBench struct {
	*lab
	used map[string]*test.Loaded // by guest
}

func (b *labBench) New(spec *engine.Spec) (engine.Guest, error) { return b.e.New(spec) }

func (b *labBench) Lookup(name string) (engine.Guest, error) { return b.e.Lookup(name) }

// loaded is the recipe as the other verbs see it.
func (b *labBench) loaded(r *test.Loaded) (*loaded, error) {
	abs, err := filepath.Abs(r.Path)
	if err != nil {
		return nil, err
	}
	origin := engine.Origin{Path: abs, File: "recipe.lua", AllowHost: r.AllowHost, Params: r.Given()}
	return &loaded{Recipe: r.Recipe, file: &recipeFile{path: r.Path, src: r.Src, origin: abs}, origin: origin}, nil
}

func (b *labBench) Build(ctx context.Context, r *test.Loaded, template string) error {
	for _, t := range r.Templates {
		if t.Name == template {
			return b.e.EnsureTemplate(ctx, t, r.BuildFlows[t.Name])
		}
	}
	return &engine.OpError{Op: "build template", Target: template, Err: engine.ErrUnknownTmpl}
}

func (b *labBench) Up(ctx context.Context, r *test.Loaded, names []string) error {
	l, err := b.loaded(r)
	if err != nil {
		return err
	}
	decls, err := l.guests(names)
	if err != nil {
		return err
	}
	for _, d := range decls {
		b.used[d.Spec.Name] = r
	}
	keep := l.keeper()
	flows := &keptFlows{a: b.a, e: b.e}
	_, err = b.e.Up(ctx, decls, engine.UpOptions{Origin: l.origin, Keep: keep, Ends: flows.of, Pools: l.pools(names)})
	b.a.ui.live.end()
	return err
}

func (b *labBench) Down(ctx context.Context, r *test.Loaded, names []string) error {
	return b.down(ctx, r, names, engine.DownOptions{})
}

func (b *labBench) Remove(ctx context.Context, r *test.Loaded, names []string) error {
	return b.down(ctx, r, names, engine.DownOptions{Remove: true})
}

func (b *labBench) down(ctx context.Context, r *test.Loaded, names []string, o engine.DownOptions) error {
	if len(names) == 0 {
		for name, of := range b.used {
			if of == r {
				names = append(names, name)
			}
		}
	}
	names, bad, err := selectGuests(b.e, names, false)
	if err = errors.Join(err, joined(bad)); err != nil {
		return err
	}
	flows := &keptFlows{a: b.a, e: b.e}
	o.Flows = flows.of
	_, err = b.e.Down(ctx, names, o)
	b.a.ui.live.end()
	if err == nil && o.Remove {
		for _, n := range names {
			delete(b.used, n)
		}
	}
	return err
}

// Close removes what the test brought up, whatever its flows say.
func (b *labBench) Close() error {
	var names []string
	for name := range b.used {
		if _, err := b.e.Recorded(name); err == nil { // one that failed was undone
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	flows := &keptFlows{a: b.a, e: b.e}
	_, err := b.e.Down(context.Background(), names, engine.DownOptions{Flows: flows.of, Remove: true, Force: true})
	b.a.ui.live.end()
	return err
}
