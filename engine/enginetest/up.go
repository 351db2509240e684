package enginetest

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"vsl/engine"
)

// Build runs a template's build flow.
func (e *Engine) Build(ctx context.Context, t *engine.Template, flow engine.Flow) error {
	e.heading("build", t.Name)
	g, err := e.New(&engine.Spec{Name: "build-" + t.Name, Template: t})
	if err != nil || flow == nil {
		return err
	}
	return flow(WithClock(ctx, engine.PhaseTimes["provision"]), g)
}

// Up takes guests through their phases as the real engine does, one after the
// other in the order they come after each other; what runs is left alone. The
// errors are those of the guests that failed: each is undone, and so fails what
// comes after it.
func (e *Engine) Up(ctx context.Context, decls []engine.Declared) (errs []error) {
	u := &up{e: e, done: map[string]error{}, byName: map[string]engine.Declared{}}
	for _, d := range decls {
		u.byName[d.Spec.Name] = d
	}
	for _, d := range decls {
		u.guest(ctx, d)
	}
	for _, d := range decls {
		if err := u.done[d.Spec.Name]; err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

type up struct {
	e      *Engine
	byName map[string]engine.Declared
	done   map[string]error
}

func (u *up) guest(ctx context.Context, d engine.Declared) {
	name := d.Spec.Name
	if _, met := u.done[name]; met {
		return
	}
	u.done[name] = nil
	for dep := range d.Spec.After {
		if before, ok := u.byName[dep]; ok {
			u.guest(ctx, before)
		}
		if u.done[dep] != nil {
			u.done[name] = &engine.GuestError{Guest: name, Phase: "wait", Err: fmt.Errorf("%w: %s, which it comes after, failed", engine.ErrDependency, dep)}
			return
		}
	}
	u.done[name] = u.e.up1(ctx, d)
}

func (e *Engine) up1(ctx context.Context, d engine.Declared) error {
	guest, err := e.New(d.Spec)
	if err != nil {
		return err
	}
	g := guest.(*Guest)
	if g.state == engine.StateRunning {
		return nil
	}
	err = g.phases(ctx, d)
	if err == nil {
		return nil
	}
	if d.Flows.OnFail != nil {
		e.heading("on_fail", d.Spec.Name)
		// The first error is what counts, here as on a host.
		_ = d.Flows.OnFail(ctx, g, err)
	}
	e.heading("undo", d.Spec.Name)
	// What runs is killed whatever Fail says of it: the test asked for another error.
	_ = g.Kill(ctx, engine.KillArgs{})
	return err
}

func (g *Guest) phases(ctx context.Context, d engine.Declared) error {
	has := func(phase string, f engine.Flow) bool {
		return f != nil || d.Flows.Before[phase] != nil || d.Flows.After[phase] != nil
	}
	if has("provision", d.Flows.Provision) && !g.provisioned {
		if err := g.phase(ctx, d, "provision", g.provision(d)); err != nil {
			return err
		}
		g.provisioned = true
	}
	if err := g.phase(ctx, d, "boot", d.Flows.Boot); err != nil {
		return err
	}
	if err := g.phase(ctx, d, "ready", g.ready(d)); err != nil {
		return err
	}
	if has("run", d.Flows.Run) {
		if err := g.phase(ctx, d, "run", d.Flows.Run); err != nil {
			return err
		}
	}
	g.provisioned = true
	return nil
}

// provision is the provision flow in a context whose pid 1 only waits.
func (g *Guest) provision(d engine.Declared) engine.Flow {
	return func(ctx context.Context, _ engine.Guest) error {
		for _, act := range []func() error{
			func() error { return g.Context(ctx) },
			func() error { return g.CowClone(ctx, engine.CloneArgs{Template: d.Spec.Template, Kind: d.Spec.Clone}) },
			func() error { return g.Limit(ctx, d.Spec.Limits) },
			func() error { return g.BindIP(ctx, d.Spec.Net) },
			func() error { return g.Boot(ctx, engine.BootArgs{Idle: true, Env: d.Spec.Env}) },
			func() error {
				if d.Flows.Provision == nil {
					return nil
				}
				return d.Flows.Provision(ctx, g)
			},
			func() error { return g.Kill(ctx, engine.KillArgs{}) },
		} {
			if err := act(); err != nil {
				return err
			}
		}
		return nil
	}
}

func (g *Guest) ready(d engine.Declared) engine.Flow {
	if d.Flows.Ready != nil {
		return d.Flows.Ready
	}
	return func(ctx context.Context, _ engine.Guest) error {
		p := engine.Probe{Kind: "default"}
		if d.Spec.Ready != nil {
			p = *d.Spec.Ready
		}
		return g.WaitReady(ctx, p)
	}
}

// phase runs a phase with its hooks; what it fails with names guest and phase.
func (g *Guest) phase(ctx context.Context, d engine.Declared, phase string, flow engine.Flow) error {
	for _, part := range []struct {
		name string
		flow engine.Flow
	}{{"before " + phase, d.Flows.Before[phase]}, {phase, flow}, {"after " + phase, d.Flows.After[phase]}} {
		if part.flow == nil {
			continue
		}
		g.e.heading(part.name, g.spec.Name)
		limit := d.Spec.Timeouts[phase]
		if limit == 0 {
			limit = engine.PhaseTimes[phase]
		}
		if err := part.flow(WithClock(ctx, limit), g); err != nil {
			return &engine.GuestError{Guest: g.spec.Name, Phase: part.name, Err: err}
		}
	}
	return nil
}

// Down shuts guests down by their shutdown flows; with remove their destroy flows
// run too, and they are forgotten.
func (e *Engine) Down(ctx context.Context, decls []engine.Declared, remove bool) error {
	for i := len(decls) - 1; i >= 0; i-- {
		d := decls[i]
		guest, err := e.New(d.Spec)
		if err != nil {
			return err
		}
		g := guest.(*Guest)
		if remove && d.Flows.Destroy != nil {
			if err := g.phase(ctx, d, "destroy", d.Flows.Destroy); err != nil {
				return err
			}
		}
		if g.state == engine.StateRunning {
			if err := g.phase(ctx, d, "shutdown", d.Flows.Shutdown); err != nil {
				return err
			}
			g.set(func() { g.state = engine.StateStopped }) // whatever the flow did
		}
		if remove {
			e.mu.Lock()
			delete(e.guests, d.Spec.Name)
			delete(e.Data, d.Spec.Name)
			e.mu.Unlock()
		}
	}
	return nil
}

// heading notes which phase of which guest the next calls belong to.
func (e *Engine) heading(phase, name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = append(e.calls, "# "+phase+" of "+name)
}

type clockKey struct{}

type clock struct {
	limit time.Duration
	spent atomic.Int64
}

// WithClock gives what runs with the context a time of its own, which only Sleep
// spends. A limit of 0 is a minute.
func WithClock(ctx context.Context, limit time.Duration) context.Context {
	if limit == 0 {
		limit = time.Minute
	}
	return context.WithValue(ctx, clockKey{}, &clock{limit: limit})
}

// Sleep waits on the clock of its context: at once, until the clock's limit is
// reached.
func Sleep(ctx context.Context, d time.Duration) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	c, ok := ctx.Value(clockKey{}).(*clock)
	if ok && time.Duration(c.spent.Add(int64(d))) > c.limit {
		return fmt.Errorf("it took longer than %s", c.limit)
	}
	return nil
}
