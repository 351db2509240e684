package engine

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"vsl/engine/internal/sys"
)

// DownOptions say how to bring guests down. Flows gives a guest's own flows,
// from the recipe it was booted with; without it guests are killed.
type DownOptions struct {
	Flows  func(ctx context.Context, name string) (Flows, error)
	Remove bool // also remove the guest and all it wrote
	// Force removes it also where its destroy flow fails, or is not known any more.
	Force bool
	// Parallel is how many guests go down at once; 0 is 16.
	Parallel int
}

// Down brings guests down, those first that come after others. Whatever its
// shutdown flow does, at its end nothing of a guest runs.
func (e *Engine) Down(ctx context.Context, names []string, o DownOptions) ([]Outcome, error) {
	guests, later := map[string]*guest{}, map[string][]string{}
	for _, n := range names {
		g, err := e.toEnd(n)
		if err != nil {
			return nil, err
		}
		guests[g.spec.Name] = g
	}
	down := map[string]chan struct{}{}
	for _, n := range sortedKeys(guests) {
		down[n] = make(chan struct{})
		for dep := range guests[n].after() {
			later[dep] = append(later[dep], n)
		}
	}
	order := lastFirst(sortedKeys(guests), later)
	place := map[string]int{}
	for i, n := range order {
		place[n] = i
	}
	out := make([]Outcome, len(order))
	var wg sync.WaitGroup
	atOnce, _ := withinFiles(cmp.Or(o.Parallel, 16), len(order), sys.NoFile())
	slots := make(chan struct{}, atOnce)
	for i, n := range order {
		wg.Go(func() {
			defer close(down[n])
			for _, other := range later[n] {
				if place[other] < i { // records of different times may go round in a circle
					<-down[other]
				}
			}
			slots <- struct{}{}
			defer func() { <-slots }()
			out[i] = e.down1(ctx, guests[n], o)
		})
	}
	wg.Wait()
	var errs []error
	for i := range out {
		if out[i].Err != nil {
			out[i].Error = out[i].Err.Error()
			errs = append(errs, out[i].Err)
		}
	}
	return out, errors.Join(errs...)
}

// toEnd finds a guest that is to be brought down or removed, which can be done also of
// one whose record cannot be read.
func (e *Engine) toEnd(name string) (*guest, error) {
	g, err := e.lookup(name)
	if d := asDamage(err); d != nil {
		return &guest{e: e, spec: &Spec{Name: name}, damage: d}, nil
	}
	if err != nil {
		return nil, err
	}
	rec, err := e.readRecord(g.spec.Name) // a handle outlives a guest that was undone
	if d := asDamage(err); d != nil {
		return &guest{e: e, spec: &Spec{Name: name}, damage: d}, nil
	}
	if err == nil && rec == nil {
		err = unknownGuest(name, e.names())
	}
	g.rec = rec
	return g, err
}

// after is what a guest was brought up after.
func (g *guest) after() map[string]string {
	if g.rec == nil {
		return nil
	}
	return g.rec.Spec.After
}

// lastFirst puts guests into the order in which they go down: those that come later
// than another before it, and else as they are.
func lastFirst(names []string, later map[string][]string) []string {
	var out []string
	seen := map[string]bool{}
	var add func(name string)
	add = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		for _, other := range later[name] {
			add(other)
		}
		out = append(out, name)
	}
	for _, n := range names {
		add(n)
	}
	return out
}

func (e *Engine) down1(ctx context.Context, g *guest, o DownOptions) Outcome {
	begin := time.Now()
	out := Outcome{Guest: g.spec.Name, Change: ChangeNone}
	if g.damage != nil {
		out.Err = e.endDamaged(ctx, g, o, &out)
		out.Took = time.Since(begin)
		return out
	}
	var left error
	err := g.within(ctx, false, func() error {
		if left = g.left(ctx); left != nil {
			return nil
		}
		if g.tx.undid {
			out.Change, out.Reasons = ChangeDown, []string{"its unfinished run was undone"}
		}
		grp, err := g.group()
		if err != nil {
			return err
		}
		var flows Flows
		if o.Flows != nil && (g.running() || o.Remove) {
			if flows, err = o.Flows(ctx, g.spec.Name); err != nil {
				return err
			}
		}
		if o.Remove {
			if err := g.destroy(ctx, &flows, o.Force); err != nil {
				return err
			}
		}
		if grp.Exists() || g.running() {
			out.Change = ChangeDown
			if err := g.shutDown(ctx, &flows); errors.As(err, new(*LeftError)) {
				left = err
				return nil // there is nothing to undo
			} else if err != nil {
				return err
			}
		}
		g.forgetKept()
		if o.Remove {
			out.Change = ChangeRemove
			return e.removeGuest(g.spec.Name)
		}
		return nil
	})
	out.end(g.failed("shutdown", cmp.Or(err, left)))
	out.Took = time.Since(begin)
	return out
}

// endDamaged brings down a guest whose record cannot be read: what runs of it shuts down
// by its init or is killed, as its flows are not known. Its destroy flow is not either,
// so that it is removed only by force.
func (e *Engine) endDamaged(ctx context.Context, g *guest, o DownOptions, out *Outcome) error {
	if g.damage.Newer || o.Remove && !o.Force {
		return g.damage
	}
	e.log.Warn().Str("guest", g.spec.Name).Err(g.damage.Err).Msg("its record cannot be read: going on without its flows")
	return g.within(ctx, false, func() error {
		grp, err := g.group()
		if err != nil {
			return err
		}
		if grp.Exists() {
			out.Change = ChangeDown
			if err := g.Kill(ctx, KillArgs{Graceful: true}); err != nil {
				return err
			}
		}
		if o.Remove {
			out.Change = ChangeRemove
			return e.removeGuest(g.spec.Name)
		}
		return nil
	})
}

// end notes how bringing a guest down ended. That undoing an unfinished run left
// nothing of it is no failure: what was asked for is done, and more.
func (o *Outcome) end(err error) {
	if errors.Is(err, errUndone) {
		o.Change, o.Reasons, err = ChangeRemove, []string{"its unfinished run was undone, which had made it"}, nil
	}
	o.Err = err
}

// destroy runs the destroy phase, in which a guest takes leave of what knows it.
func (g *guest) destroy(ctx context.Context, f *Flows, force bool) error {
	if !f.has("destroy", f.Destroy) {
		return nil
	}
	err := g.phase(ctx, f, "destroy", f.Destroy)
	if err != nil && force && ctx.Err() == nil {
		g.e.log.Warn().Str("guest", g.spec.Name).Msg(err.Error() + "; removing it all the same")
		return nil
	}
	if err != nil && ctx.Err() == nil {
		g.e.log.Warn().Msgf("guest %s is kept as its destroy flow failed; vsl rm -ff %s removes it all the same", g.spec.Name, g.spec.Name)
	}
	return err
}

// shutDown runs the shutdown flow and then makes sure. Being killed in the
// middle is made good by ending it: that is the undo.
func (g *guest) shutDown(ctx context.Context, f *Flows) error {
	if err := g.e.reachable(g.spec.Name, g.run); err != nil {
		return err
	}
	g.ending()
	if g.running() && f.has("shutdown", f.Shutdown) {
		err := g.phase(ctx, f, "shutdown", g.boundedFlow(f.Shutdown))
		if left := g.left(ctx); left != nil {
			return left
		}
		if err != nil {
			return err
		}
	}
	return g.Kill(ctx, KillArgs{})
}

// boundedFlow runs a shutdown flow, but not for ever: what it waits for is the
// guest's to give, and a guest that gives nothing must go down all the same.
func (g *guest) boundedFlow(flow Flow) Flow {
	if flow == nil {
		return nil
	}
	if g.e.patient {
		return flow
	}
	bound := g.spec.Stop.flowBound()
	return func(ctx context.Context, _ Guest) error {
		bounded, done := context.WithTimeoutCause(ctx, bound, errFlowTooLong)
		defer done()
		err := flow(bounded, g)
		if err != nil && ctx.Err() == nil && errors.Is(context.Cause(bounded), errFlowTooLong) {
			g.e.log.Warn().Str("guest", g.spec.Name).Stringer("after", bound).
				Msg("its shutdown flow did not end; killing. stop.timeout gives it longer")
			return nil
		}
		return err
	}
}

var errFlowTooLong = errors.New("the shutdown flow takes too long")

// flowBound is how long a shutdown flow may take: as long as the shutdown that
// is usually its last act can, and as long again for what comes before.
func (s Stop) flowBound() time.Duration {
	timeout, seq := s.Timeout, s.Sequence
	if timeout == 0 {
		timeout = defaultStop
	}
	if seq == nil {
		seq = defaultSequence
	}
	d := 2 * timeout
	for _, step := range seq {
		d += step.Wait
	}
	return d + youth + 3*askTime // for the commands that ask init
}
