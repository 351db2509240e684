package api

import (
	"context"
	"fmt"
	"sort"
	"time"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
)

// Flow makes the engine's flow of a Lua function.
func (a *API) Flow(fn *lua.LFunction) engine.Flow {
	if fn == nil {
		return nil
	}
	return func(ctx context.Context, g engine.Guest) error {
		_, err := a.run(ctx, fn, g, true)
		return err
	}
}

// BuildFlow is Flow for a template's build: its guest is the build context,
// whatever its name is.
func (a *API) BuildFlow(fn *lua.LFunction) engine.Flow {
	if fn == nil {
		return nil
	}
	return func(ctx context.Context, g engine.Guest) error {
		_, err := a.run(ctx, fn, g, false)
		return err
	}
}

func (a *API) run(ctx context.Context, fn *lua.LFunction, g engine.Guest, named bool) (lua.LValue, error) {
	result := lua.LValue(lua.LNil)
	err := a.S.Do(ctx, func(l *lua.LState) error {
		ud := a.object(l, "guest", &Handle{name: g.Name(), spec: g.Spec(), guest: g})
		if named {
			ud = a.handle(l, g.Name(), g.Spec())
			h := ud.Value.(*Handle)
			h.guest, h.spec = g, g.Spec()
		}
		got, err := a.S.Call(l, fn, ud)
		if len(got) > 0 {
			result = got[0]
		}
		return err
	})
	return result, err
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

// readyTime bounds a ready flow, as it bounds probes.
const readyTime = 60 * time.Second

// ReadyFlow makes the engine's flow of a ready function. The function returns
// when the guest is ready; one that returns false is asked again.
func (a *API) ReadyFlow(fn *lua.LFunction) engine.Flow {
	if fn == nil {
		return nil
	}
	return func(ctx context.Context, g engine.Guest) error {
		cause := fmt.Errorf("%s is not ready after %s", g.Name(), readyTime)
		ctx, cancel := context.WithTimeoutCause(ctx, readyTime, cause)
		defer cancel()
		for pause := 50 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
			v, err := a.run(ctx, fn, g, true)
			if err != nil || v != lua.LFalse {
				return err
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(pause):
			}
		}
	}
}
