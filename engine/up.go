package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"vsl/engine/internal/sys"
)

// UpOptions say how to bring guests up.
type UpOptions struct {
	Origin   Origin
	Keep     func(dir string) error                                // writes the recipe of Origin into dir, to run its flows later; may be nil
	Parallel int                                                   // guests and template builds at once; 0 is 16
	Pools    []*Pool                                               // of the recipe: what is up beyond their sizes goes down, what changed is replaced
	Restart  []string                                              // guests of those pools that are to be replaced, whether changed or not; no other is then
	Ends     func(ctx context.Context, name string) (Flows, error) // as DownOptions.Flows, for those
}

// Outcome is what became of one guest.
type Outcome struct {
	Guest   string        `json:"guest"`
	Change  Change        `json:"change"`
	Reasons []string      `json:"reasons,omitempty"`
	Notes   []string      `json:"notes,omitempty"` // of what is not as declared and no command will change
	Took    time.Duration `json:"took_ns"`
	Err     error         `json:"-"`
	Error   string        `json:"error,omitempty"`
}

// ErrDependency marks guests that were not started because another one failed.
var ErrDependency = errors.New("not started")

// Up brings guests up, those first that others come after, in parallel as far
// as that allows. A guest that fails is undone and those after it are not
// started; the others are left alone. The error joins what failed.
func (e *Engine) Up(ctx context.Context, decls []Declared, o UpOptions) ([]Outcome, error) {
	specs := make([]*Spec, len(decls))
	for i, d := range decls {
		specs[i] = d.Spec
	}
	if err := Validate(specs); err != nil {
		return nil, err
	}
	gone, err := e.surplus(o.Origin.Path, o.Pools)
	if err != nil {
		return nil, err
	}
	if err := e.preflight(&validator{leaving: gone}, specs); err != nil {
		return nil, err
	}
	rolls, err := e.rolls(decls, o)
	if err != nil {
		return nil, err
	}
	e.gcIfNeeded(ctx)
	e.releaseEnded(ctx, specs)
	if o.Parallel <= 0 {
		o.Parallel = 16
	}
	atOnce, few := withinFiles(o.Parallel, len(decls), sys.NoFile())
	u := &upRun{e: e, o: o, few: few, rolls: rolls, marks: map[string]*marks{}, slots: make(chan struct{}, atOnce)}
	for _, d := range decls {
		u.marks[d.Spec.Name] = newMarks()
	}
	down := e.takeDown(ctx, gone, o)
	out := make([]Outcome, len(decls))
	var wg sync.WaitGroup
	for i, d := range decls {
		wg.Go(func() { out[i] = u.guest(ctx, d) })
	}
	wg.Wait()
	tellOnce(out)
	out = append(down, out...)
	var errs []error
	for i := range out {
		if out[i].Err != nil {
			out[i].Error = out[i].Err.Error()
			errs = append(errs, out[i].Err)
		}
	}
	return out, errors.Join(errs...)
}

type upRun struct {
	e         *Engine
	o         UpOptions
	marks     map[string]*marks
	rolls     map[string]*roll // by pool
	slots     chan struct{}
	few       bool     // descriptors: none is kept for what is up
	templates sync.Map // of *Template to func() error: one build each
}

// marks are how far a guest has come, for those that wait for it.
type marks struct {
	started, ready chan struct{}
	once           [2]sync.Once
	failed         bool
}

func newMarks() *marks {
	return &marks{started: make(chan struct{}), ready: make(chan struct{})}
}

func (m *marks) markStarted() { m.once[0].Do(func() { close(m.started) }) }
func (m *marks) markReady()   { m.once[1].Do(func() { close(m.ready) }) }

func (u *upRun) guest(ctx context.Context, d Declared) (out Outcome) {
	m := u.marks[d.Spec.Name]
	out = Outcome{Guest: d.Spec.Name}
	begin := time.Now()
	defer func() {
		u.ended(d.Spec, out.Err)
		m.failed = out.Err != nil
		m.markStarted()
		m.markReady()
		out.Took = time.Since(begin)
	}()
	// Templates are built while others come up: that is most of a first run.
	if out.Err = u.template(ctx, d); out.Err != nil {
		return out
	}
	if out.Err = u.wait(ctx, d.Spec); out.Err != nil {
		return out
	}
	failed, err := u.turn(ctx, d.Spec)
	if err != nil {
		out.Err = err
		return out
	}
	if failed != "" {
		return notReplaced(d.Spec.Name, failed)
	}
	free, err := u.slot(ctx)
	if err != nil {
		out.Err = err
		return out
	}
	defer free()
	begin = time.Now()
	notes := u.e.notes(d)
	out.Change, out.Reasons, out.Err = u.bringUp(ctx, d, m)
	if out.Change == ChangeNone || out.Change == ChangeLive || out.Change == ChangeRestart || out.Change == ChangeStart {
		out.Notes = notes
	}
	return out
}

// wait waits until every guest that s comes after is as far as s asks.
func (u *upRun) wait(ctx context.Context, s *Spec) error {
	for _, dep := range sortedKeys(s.After) {
		m := u.marks[dep]
		reached := m.ready
		if s.After[dep] == "started" {
			reached = m.started
		}
		select {
		case <-reached:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if m.failed {
			return &GuestError{Guest: s.Name, Phase: "wait", Err: fmt.Errorf("%w: %s, which it comes after, failed", ErrDependency, dep)}
		}
	}
	return nil
}

func (u *upRun) bringUp(ctx context.Context, d Declared, m *marks) (Change, []string, error) {
	g, err := u.e.handle(d.Spec)
	if err != nil {
		return "", nil, err
	}
	if g.run, err = u.e.readRun(d.Spec.Name); err != nil {
		return "", nil, err
	}
	if u.few {
		defer g.disown()
	}
	change, reasons := u.o.compare(g)
	for replaced := false; ; replaced = true {
		if change == ChangeReplace {
			if err := u.replace(ctx, g); err != nil {
				return change, reasons, err
			}
		}
		again := false
		err = g.within(ctx, true, func() error {
			now, why := g.compare()
			if change != ChangeReplace {
				change, reasons = now, why
			}
			switch now {
			case ChangeReplace: // another command's, which came before us and kept it
				if replaced {
					return &GuestError{Guest: d.Spec.Name, Phase: "prepare", Err: errKeptMeanwhile}
				}
				again = true
				return nil
			case ChangeNone:
				g.noteParams(u.o.Origin)
				return nil
			case ChangeLive, ChangeRestart: // what needs a restart does not keep the rest waiting
				g.noteParams(u.o.Origin)
				err := g.applyLive(ctx, u.o)
				if err == nil {
					reasons = applied(reasons)
				}
				return err
			}
			return g.phases(ctx, d, u.o, m)
		})
		if !again {
			return change, reasons, err
		}
	}
}

// phases takes one guest through its phases. It runs inside the transaction.
func (g *guest) phases(ctx context.Context, d Declared, o UpOptions, m *marks) (err error) {
	defer func() {
		if err != nil {
			g.tellFailure(ctx, &d.Flows, err)
			g.noteKept(err)
		}
	}()
	if err := g.failed("prepare", g.adopt(d.Spec, o)); err != nil {
		return err
	}
	if d.Flows.has("provision", d.Flows.Provision) && !g.rec.Provisioned {
		if err := g.failed("provision", g.provision(ctx, d)); err != nil {
			return err
		}
	}
	if err := g.phase(ctx, &d.Flows, "boot", d.Flows.Boot); err != nil {
		return err
	}
	if !g.running() {
		return g.failed("boot", g.diedEarly(ctx))
	}
	m.markStarted()
	if err := g.phase(ctx, &d.Flows, "ready", g.readyFlow(d)); err != nil {
		return err
	}
	if d.Flows.has("run", d.Flows.Run) {
		if err := g.phase(ctx, &d.Flows, "run", d.Flows.Run); err != nil {
			return err
		}
	}
	g.e.progress(Progress{Subject: g.spec.Name, Stage: "up"})
	if !g.rec.Provisioned {
		g.update(func(r *record) { r.Provisioned, r.Provisions = true, d.Provisions })
	}
	g.run.Ready = true
	return g.e.writeRun(g.spec.Name, g.run)
}

// adopt makes the declaration the guest's own, and keeps the recipe beside it.
func (g *guest) adopt(spec *Spec, o UpOptions) error {
	if g.rec == nil {
		if err := g.create(); err != nil {
			return err
		}
	}
	if err := g.keepRecipe(o); err != nil {
		return err
	}
	if equalJSON(g.rec.Spec, spec) && equalJSON(g.rec.Recipe, o.Origin) && !g.rec.Spare && g.rec.Failed == nil {
		return nil
	}
	g.update(func(r *record) { r.Spec, r.Recipe, r.Spare, r.Failed = spec, o.Origin, false, nil })
	return nil
}

// noteParams remembers what the recipe was given by an up that leaves the guest
// as it was booted, and whose it was: without it a restart would read an older
// declaration of all, or refuse the file that was named just now.
func (g *guest) noteParams(o Origin) {
	was := g.rec.Recipe.Again().Params
	same := len(was) == 0 && len(o.Params) == 0 || equalJSON(was, o.Params)
	if g.rec.Recipe.Path != o.Path || same && slices.Equal(g.rec.Recipe.Owners, o.Owners) {
		return
	}
	latest := g.rec.Recipe.Latest
	if !same {
		if latest = o.Params; latest == nil {
			latest = map[string]string{}
		}
	}
	g.update(func(r *record) { r.Recipe.Latest, r.Recipe.Owners = latest, o.Owners })
}

// provision runs the provision flow in the guest before its init ever runs:
// the context is up, pid 1 only waits.
func (g *guest) provision(ctx context.Context, d Declared) error {
	if err := g.Context(ctx); err != nil {
		return err
	}
	if err := g.CowClone(ctx, CloneArgs{Template: d.Spec.Template, Kind: d.Spec.Clone}); err != nil {
		return err
	}
	if err := g.Limit(ctx, d.Spec.Limits); err != nil {
		return err
	}
	if err := g.BindIP(ctx, d.Spec.Net); err != nil {
		return err
	}
	if err := g.Boot(ctx, BootArgs{Idle: true, Env: d.Spec.Env}); err != nil {
		return err
	}
	if err := g.phase(ctx, &d.Flows, "provision", d.Flows.Provision); err != nil {
		return err
	}
	// The context goes too: what the flow did in it must not show in the boot.
	if err := g.Kill(ctx, KillArgs{}); err != nil {
		return err
	}
	g.update(func(r *record) { r.Provisioned, r.Provisions = true, d.Provisions })
	return nil
}

func (g *guest) readyFlow(d Declared) Flow {
	if d.Flows.Ready != nil {
		return d.Flows.Ready
	}
	return func(ctx context.Context, _ Guest) error { return g.WaitReady(ctx, g.defaultProbe()) }
}

// applyLive brings a running guest to its new declaration where that needs no
// restart: its limits, the flows that will end it, and what is only written down.
func (g *guest) applyLive(ctx context.Context, o UpOptions) error {
	want := g.spec
	if live, _ := specDiff(g.rec.Spec, want); len(live) == 0 {
		return nil
	}
	if !equalJSON(want.Limits, g.rec.Spec.Limits) {
		if err := g.Limit(ctx, want.Limits.Lifting(g.rec.Spec.Limits)); err != nil {
			return &GuestError{Guest: want.Name, Phase: "limit", Err: err}
		}
	}
	ends := len(endsDiff(g.rec.Spec, want)) > 0
	if ends {
		if err := g.keepRecipe(o); err != nil {
			return err
		}
	}
	g.update(func(r *record) {
		spec := *r.Spec
		if ends {
			r.Recipe, spec.Ends, spec.Custom = o.Origin, want.Ends, want.Custom
		}
		spec.Limits, spec.After, spec.Stop, spec.Ready, spec.Pos = want.Limits, want.After, want.Stop, want.Ready, want.Pos
		spec.Pool, spec.Timeouts = want.Pool, want.Timeouts
		r.Spec = &spec
	})
	return nil
}

// WithDependencies gives the named declarations and all they come after.
func WithDependencies(decls []Declared, names []string) ([]Declared, error) {
	byName := map[string]Declared{}
	for _, d := range decls {
		byName[d.Spec.Name] = d
	}
	want := map[string]bool{}
	var add func(n string) error
	add = func(n string) error {
		d, ok := byName[n]
		if !ok {
			return &OpError{Op: "find in the recipe", Target: n, Err: ErrUnknownGuest, Hint: suggest(n, byName)}
		}
		if want[n] {
			return nil
		}
		want[n] = true
		for dep := range d.Spec.After {
			if err := add(dep); err != nil {
				return err
			}
		}
		return nil
	}
	for _, n := range names {
		if err := add(n); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(slices.Clone(decls), func(d Declared) bool { return !want[d.Spec.Name] }), nil
}
