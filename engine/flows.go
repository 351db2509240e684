package engine

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Flow brings a guest through one phase. It acts through the guest's
// primitives; an error makes the run undo what the guest acquired in it.
type Flow func(ctx context.Context, g Guest) error

// Phases are the parts of a guest's life that flows and hooks are for, in their
// order. A guest is provisioned once; boot, ready and run follow each other
// whenever it comes up; destroy comes before its removal, while it may still run.
var Phases = []string{"provision", "boot", "ready", "run", "shutdown", "destroy"}

// Flows are a guest's flows by phase. Boot and Shutdown are always set; without
// Ready the probe of the spec decides, and the others have nothing to do.
type Flows struct {
	Provision Flow
	Boot      Flow
	Ready     Flow
	Run       Flow
	Shutdown  Flow
	Destroy   Flow

	// Before and After are hooks by phase. They run where the phase does, also
	// where it has no flow of its own.
	Before, After map[string]Flow
	// OnFail is told why a guest failed to come up, before anything is undone.
	OnFail func(ctx context.Context, g Guest, cause error) error
}

// Declared is a guest as a recipe gives it: its data and its flows.
type Declared struct {
	Spec  *Spec
	Flows Flows
	// Provisions is the fingerprint of what provisions the guest: its flow and the
	// hooks around it; "none" where there is nothing, "" where nobody knows.
	Provisions string
	// BuildTemplate is the build flow of the guest's template, nil where it has none.
	BuildTemplate Flow
}

// PhaseTimes bound the flows of a phase where the guest's timeout does not say
// otherwise. A probe has its own time, and shutdown what stop gives it.
var PhaseTimes = map[string]time.Duration{
	"provision": 30 * time.Minute, "boot": 5 * time.Minute, "ready": 60 * time.Second,
	"run": 10 * time.Minute, "destroy": 5 * time.Minute,
}

// hookTime bounds each hook.
const hookTime = 60 * time.Second

// has says whether a phase has anything to run.
func (f *Flows) has(phase string, flow Flow) bool {
	return flow != nil || f.Before[phase] != nil || f.After[phase] != nil
}

// phase runs a phase with its hooks. flow may be nil.
func (g *guest) phase(ctx context.Context, f *Flows, phase string, flow Flow) error {
	g.e.progress(Progress{Subject: g.spec.Name, Stage: phase})
	if err := g.timed(ctx, "before "+phase, hookTime, f.Before[phase]); err != nil {
		return err
	}
	if err := g.timed(ctx, phase, g.phaseTime(phase), flow); err != nil {
		return err
	}
	return g.timed(ctx, "after "+phase, hookTime, f.After[phase])
}

// phaseTime is 0 where the phase bounds itself.
func (g *guest) phaseTime(phase string) time.Duration {
	if g.e.patient {
		return 0
	}
	if _, own := g.spec.Custom["ready"]; phase == "ready" && !own {
		return 0 // its probe keeps to the guest's timeout, and says what it met
	}
	if d, ok := g.spec.Timeouts[phase]; ok {
		return d
	}
	return PhaseTimes[phase]
}

// timed runs a flow for at most limit. What it fails with names guest and phase.
func (g *guest) timed(ctx context.Context, phase string, limit time.Duration, flow Flow) error {
	if flow == nil {
		return nil
	}
	tooLong := &OpError{Op: "run", Target: phase, Err: fmt.Errorf("it took longer than %s", limit), Hint: timeoutHint(phase)}
	bounded, cancel := ctx, context.CancelFunc(func() {})
	if limit > 0 && !g.e.patient {
		bounded, cancel = context.WithTimeoutCause(ctx, limit, tooLong)
	}
	defer cancel()
	err := flow(bounded, g)
	if err != nil && ctx.Err() == nil && context.Cause(bounded) == error(tooLong) && !errors.Is(err, tooLong) {
		err = fmt.Errorf("%w: %w", tooLong, err)
	}
	return g.failed(phase, err)
}

func timeoutHint(phase string) string {
	if _, ok := PhaseTimes[phase]; !ok {
		return "a hook should be short; work belongs into a flow"
	}
	return fmt.Sprintf("the guest's timeout = { %s = … } gives it longer", phase)
}

// failed makes err the error of a phase, once.
func (g *guest) failed(phase string, err error) error {
	var known *GuestError
	if err == nil || errors.As(err, &known) && known.Guest == g.spec.Name {
		return err
	}
	return &GuestError{Guest: g.spec.Name, Phase: phase, Err: err, Log: g.logIfUseful(phase)}
}

// tellFailure runs the on_fail hook, which sees the guest as it failed. The
// first error is what counts: one in the hook is a warning.
func (g *guest) tellFailure(ctx context.Context, f *Flows, cause error) {
	if f.OnFail == nil {
		return
	}
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), hookTime, fmt.Errorf("on_fail took longer than %s", hookTime))
	defer cancel()
	if err := f.OnFail(ctx, g, cause); err != nil {
		g.e.log.Warn().Str("guest", g.spec.Name).Err(err).Msg(g.spec.Name + ": on_fail: " + err.Error())
	}
}
