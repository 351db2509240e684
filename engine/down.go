package engine

import (
	"context"
	"errors"
	"sync"
	"time"
)

// DownOptions say how to bring guests down. Flow gives a guest's own shutdown
// flow, from the recipe it was booted with.
type DownOptions struct {
	Flow   func(ctx context.Context, name string) (Flow, error)
	Remove bool // also remove the guest and all it wrote
}

// Down brings guests down, those first that come after others. Whatever its
// shutdown flow does, at its end nothing of a guest runs.
func (e *Engine) Down(ctx context.Context, names []string, o DownOptions) ([]Outcome, error) {
	guests := map[string]*guest{}
	for _, n := range names {
		g, err := e.lookup(n)
		if err != nil {
			return nil, err
		}
		guests[g.spec.Name] = g
	}
	down := map[string]chan struct{}{}
	for n := range guests {
		down[n] = make(chan struct{})
	}
	order := sortedKeys(guests)
	out := make([]Outcome, len(order))
	var wg sync.WaitGroup
	slots := make(chan struct{}, 16)
	for i, n := range order {
		wg.Go(func() {
			defer close(down[n])
			for _, other := range order {
				if _, after := guests[other].rec.Spec.After[n]; after {
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

func (e *Engine) down1(ctx context.Context, g *guest, o DownOptions) Outcome {
	begin := time.Now()
	out := Outcome{Guest: g.spec.Name, Change: ChangeNone}
	out.Err = g.within(ctx, false, func() error {
		grp, err := g.group()
		if err != nil {
			return err
		}
		if grp.Exists() {
			out.Change = ChangeDown
			if err := g.shutDown(ctx, o); err != nil {
				return err
			}
		}
		if o.Remove {
			out.Change = ChangeRemove
			return e.removeGuest(g.spec.Name)
		}
		return nil
	})
	if out.Err != nil {
		out.Err = &GuestError{Guest: g.spec.Name, Phase: "shutdown", Err: out.Err}
	}
	out.Took = time.Since(begin)
	return out
}

// shutDown runs the shutdown flow and then makes sure. Being killed in the
// middle is made good by ending it: that is the undo.
func (g *guest) shutDown(ctx context.Context, o DownOptions) error {
	g.ending()
	var flow Flow
	if g.running() && o.Flow != nil {
		var err error
		if flow, err = o.Flow(ctx, g.spec.Name); err != nil {
			return err
		}
	}
	if flow != nil {
		g.e.progress(Progress{Subject: g.spec.Name, Stage: "shutdown"})
		if err := g.boundedFlow(ctx, flow); err != nil {
			return err
		}
	}
	return g.Kill(ctx, KillArgs{})
}

// boundedFlow runs a shutdown flow, but not for ever: what it waits for is the
// guest's to give, and a guest that gives nothing must go down all the same.
func (g *guest) boundedFlow(ctx context.Context, flow Flow) error {
	bounded, done := context.WithTimeoutCause(ctx, g.spec.Stop.flowBound(), errFlowTooLong)
	defer done()
	err := flow(bounded, g)
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(bounded), errFlowTooLong) {
		g.e.log.Warn().Str("guest", g.spec.Name).Stringer("after", g.spec.Stop.flowBound()).
			Msg("its shutdown flow did not end; killing. stop.timeout gives it longer")
		return nil
	}
	return err
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
	return d + 10*time.Second // for the commands that ask init
}
