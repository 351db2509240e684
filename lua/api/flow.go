package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
)

// flow is one Lua function that runs for a guest. It is found by the context
// that its threads run with, whichever coroutine or branch of parallel asks.
type flow struct {
	guest, phase string
	mu           sync.Mutex
	deferred     []*lua.LFunction
}

type flowKey struct{}

// flowOf is the flow that runs on l, or nil at a session's prompt.
func flowOf(l *lua.LState) *flow {
	if ctx := l.Context(); ctx != nil {
		f, _ := ctx.Value(flowKey{}).(*flow)
		return f
	}
	return nil
}

// FlowOf names the guest and the phase of the flow that runs on l; both are empty
// while a recipe is read and at a session's prompt.
func FlowOf(l *lua.LState) (guest, phase string) {
	if f := flowOf(l); f != nil {
		return f.guest, f.phase
	}
	return "", ""
}

// Flow makes the engine's flow of a Lua function: that of a phase, or a hook.
func (a *API) Flow(phase string, fn *lua.LFunction) engine.Flow {
	if fn == nil {
		return nil
	}
	return func(ctx context.Context, g engine.Guest) error {
		_, err := a.run(ctx, phase, fn, g, true)
		return err
	}
}

// Provisions is the fingerprint of what provisions a guest, "none" where nothing does.
func (a *API) Provisions(d *Decl) string { return a.phasePrint(d, "provision") }

// Ends are the fingerprints of what ends a guest; see engine.Spec.Ends.
func (a *API) Ends(d *Decl) map[string]string {
	return map[string]string{"shutdown": a.phasePrint(d, "shutdown"), "destroy": a.phasePrint(d, "destroy")}
}

// phasePrint is the fingerprint of a phase's flow and the hooks around it, or "none".
func (a *API) phasePrint(d *Decl, phase string) string {
	var prints []string
	for _, flow := range []string{"before " + phase, phase, "after " + phase} {
		if fn := d.Flows[flow]; fn != nil {
			prints = append(prints, flow+" "+a.S.Fingerprint(fn, a.fingerprintObject))
		}
	}
	if prints == nil {
		return "none"
	}
	return strings.Join(prints, ", ")
}

// BuildFlow is Flow for a template's build: its guest is the build context,
// whatever its name is.
func (a *API) BuildFlow(fn *lua.LFunction) engine.Flow {
	if fn == nil {
		return nil
	}
	return func(ctx context.Context, g engine.Guest) error {
		_, err := a.run(ctx, "build", fn, g, false)
		return err
	}
}

// FailFlow makes the on_fail hook of a Lua function.
func (a *API) FailFlow(fn *lua.LFunction) func(ctx context.Context, g engine.Guest, cause error) error {
	if fn == nil {
		return nil
	}
	return func(ctx context.Context, g engine.Guest, cause error) error {
		_, err := a.run(ctx, "on_fail", fn, g, true, cause)
		return err
	}
}

// run calls fn with the guest, then what it deferred. causes go after the guest
// as error objects.
func (a *API) run(ctx context.Context, phase string, fn *lua.LFunction, g engine.Guest, named bool, causes ...error) (lua.LValue, error) {
	f := &flow{guest: g.Name(), phase: phase}
	result := lua.LValue(lua.LNil)
	if a.o.Debugger != nil {
		defer a.o.Debugger.Ended(f.guest, f.phase)
	}
	err := a.S.Do(context.WithValue(ctx, flowKey{}, f), func(l *lua.LState) error {
		ud := a.HandleOf(l, g)
		if named {
			ud = a.handle(l, g.Name(), g.Spec())
			h := ud.Value.(*Handle)
			if h.guest != g { // another run: what is kept may have changed
				h.data = nil
			}
			h.guest, h.spec = g, g.Spec()
		}
		args := []lua.LValue{ud}
		for _, cause := range causes {
			args = append(args, a.S.ErrorValue(l, cause))
		}
		if a.o.Debugger != nil {
			if err := a.o.Debugger.Phase(l, fn, f.guest, f.phase); err != nil {
				return err
			}
		}
		got, err := a.S.Call(l, fn, args...)
		if len(got) > 0 {
			result = got[0]
		}
		return err
	})
	if errs := a.runDeferred(ctx, f); len(errs) > 0 {
		err = errors.Join(append([]error{err}, errs...)...)
	}
	if err == nil {
		err = a.SaveData(ctx)
	}
	return result, err
}

// deferTime bounds each deferred function.
const deferTime = 60 * time.Second

// runDeferred calls what a flow deferred, the last first, whatever became of the
// flow: they clean up. One that fails does not keep the others from running.
func (a *API) runDeferred(ctx context.Context, f *flow) (errs []error) {
	ctx = context.WithoutCancel(ctx)
	for _, fn := range slices.Backward(f.deferred) {
		limited, cancel := context.WithTimeoutCause(ctx, deferTime, fmt.Errorf("a deferred function took longer than %s", deferTime))
		err := a.S.Do(limited, func(l *lua.LState) error {
			_, err := a.S.Call(l, fn)
			return err
		})
		cancel()
		if err != nil {
			errs = append(errs, fmt.Errorf("deferred: %w", err))
		}
	}
	return errs
}

// Names lists the declared guests.
func (a *API) Names() []string {
	names := make([]string, len(a.Guests))
	for i, g := range a.Guests {
		names[i] = g.Spec.Name
	}
	sort.Strings(names)
	return names
}

// ReadyFlow makes the engine's flow of a ready function. The function returns
// when the guest is ready; one that returns false is asked again, as long as the
// phase may take.
func (a *API) ReadyFlow(fn *lua.LFunction) engine.Flow {
	if fn == nil {
		return nil
	}
	return func(ctx context.Context, g engine.Guest) error {
		for pause := 50 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
			v, err := a.run(ctx, "ready", fn, g, true)
			if err != nil || v != lua.LFalse {
				return err
			}
			if err := a.o.Sleep(ctx, pause); err != nil {
				return err
			}
		}
	}
}

// sleep waits, or gives why the context ended first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
