package api

import (
	"context"
	"errors"

	"vsl/engine"
)

// Undo takes back one act of a session.
type Undo struct {
	What string // "limit web1"
	Do   func(ctx context.Context) error
}

// errNoWayBack is what cannot be taken back by itself.
type errNoWayBack struct{ why string }

func (e errNoWayBack) Error() string { return e.why }

// IsNoWayBack says that nothing was tried, since there is no way back.
func IsNoWayBack(err error) bool {
	var e errNoWayBack
	return errors.As(err, &e)
}

// Undone notes how an act can be taken back.
func (a *API) Undone(u Undo) {
	a.usedMu.Lock()
	defer a.usedMu.Unlock()
	a.undos = append(a.undos, u)
}

// LastUndo gives the latest act that was not taken back, and forgets it.
func (a *API) LastUndo() (u Undo, ok bool) {
	a.usedMu.Lock()
	defer a.usedMu.Unlock()
	n := len(a.undos)
	if n == 0 {
		return Undo{}, false
	}
	u, a.undos = a.undos[n-1], a.undos[:n-1]
	return u, true
}

// wayBack finds out, before a primitive is done, how it would be taken back.
func (a *API) wayBack(ctx context.Context, name string, g engine.Guest, args any) Undo {
	u := Undo{What: name + " " + g.Name()}
	st, err := g.Status(ctx)
	switch {
	case name == "context" && (err != nil || st.XID == 0):
		u.Do = func(ctx context.Context) error { return a.o.Remove(ctx, g.Name()) }
	case name == "context" || name == "boot":
		u.Do = func(ctx context.Context) error { return g.Kill(ctx, engine.KillArgs{}) }
	case name == "limit":
		was, now := engine.Limits{}, args.(engine.Limits)
		if st.Limits != nil {
			was = *st.Limits
		}
		u.Do = func(ctx context.Context) error { return g.Limit(ctx, was.Lifting(now)) }
	case name == "cow_clone":
		u.Do = func(context.Context) error {
			return errNoWayBack{"a root cannot be taken away alone: .undo again takes back the context, or vsl rm removes the guest"}
		}
	case name == "bind_ip":
		u.Do = func(context.Context) error {
			return errNoWayBack{"addresses are given up at the guest's end: bind_ip again for others, or kill { g }"}
		}
	default:
		u.Do = func(context.Context) error {
			return errNoWayBack{"what was killed cannot be brought back: up starts it anew"}
		}
	}
	return u
}
