package api

import (
	"context"
	"fmt"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
	"vsl/lua/bind"
)

// Handle is a guest as Lua sees it. There is one per guest and state; that of
// a template's build context stands for itself alone.
type Handle struct {
	name  string
	spec  *engine.Spec // nil where only the name is known
	guest engine.Guest // nil until something acts
	data  *keptData    // nil until something asks for it
}

// GuestName makes a handle usable where a guest is named.
func (h *Handle) GuestName() string { return h.name }

// LuaType names the kind in errors.
func (h *Handle) LuaType() string { return "guest" }

// method is one method of a handle.
type method struct {
	name string
	sig  string // as FunctionDoc.Sig
	doc  string
	// options is the schema of the table it takes, for documentation; nil where it takes none.
	options *bind.Schema
	fn      func(a *API, l *lua.LState, h *Handle, g engine.Guest) int
}

// HandleNames lists what g. has, or with calls what g: has.
func HandleNames(calls bool) []string {
	var names []string
	if !calls {
		for _, f := range Fields() {
			names = append(names, f.Name)
		}
		return names
	}
	for _, m := range handleMethods() {
		names = append(names, m.name)
	}
	return names
}

func (a *API) handle(l *lua.LState, name string, spec *engine.Spec) *lua.LUserData {
	ud := a.handles[name]
	if ud == nil {
		ud = a.Object(l, "guest", &Handle{name: name})
		a.handles[name] = ud
	}
	if h := ud.Value.(*Handle); spec != nil && h.spec == nil {
		h.spec = spec
	}
	return ud
}

// Declared gives the handles of the declared guests by name.
func (a *API) Declared(l *lua.LState) map[string]*lua.LUserData {
	all := map[string]*lua.LUserData{}
	for _, d := range a.Guests {
		all[d.Spec.Name] = a.handle(l, d.Spec.Name, d.Spec)
	}
	return all
}

// HandleOf makes a handle of g that stands for itself alone.
func (a *API) HandleOf(l *lua.LState, g engine.Guest) *lua.LUserData {
	return a.Object(l, "guest", &Handle{name: g.Name(), spec: g.Spec(), guest: g})
}

// Remember gives the handle for g and makes it act on g.
func (a *API) Remember(l *lua.LState, g engine.Guest) *lua.LUserData {
	ud := a.handle(l, g.Name(), g.Spec())
	ud.Value.(*Handle).guest = g
	return ud
}

// guestOf finds what a handle acts on.
func (a *API) guestOf(l *lua.LState, h *Handle) engine.Guest {
	if h.guest != nil {
		return h.guest
	}
	if a.o.Engine == nil {
		a.S.Raisef(l, "", "guest %q: no engine to act with", h.name)
	}
	var g engine.Guest
	err := a.S.Block(l, func(context.Context) (err error) {
		if g, err = a.o.Engine.Lookup(h.name); err != nil && h.spec != nil {
			g, err = a.o.Engine.New(h.spec)
		}
		return err
	})
	if err != nil {
		a.S.Raise(l, err)
	}
	h.guest = g
	return g
}

func (a *API) checkHandle(l *lua.LState, v lua.LValue) *Handle {
	if ud, ok := v.(*lua.LUserData); ok {
		if h, ok := ud.Value.(*Handle); ok {
			return h
		}
	}
	return nil
}

// handleIndex is g.field and g:method.
func (a *API) handleIndex(l *lua.LState) int {
	h := a.checkHandle(l, l.Get(1))
	name := l.Get(2).String()
	for i := range a.methods {
		if m := &a.methods[i]; m.name == name {
			l.Push(a.method(m))
			return 1
		}
	}
	v, ok := a.field(l, h, name)
	if !ok {
		names := []string{}
		for _, f := range Fields() {
			names = append(names, f.Name)
		}
		for _, m := range a.methods {
			names = append(names, m.name)
		}
		a.S.Raisef(l, bind.DidYouMean(name, names), "a guest has no %q", name)
	}
	l.Push(v)
	return 1
}

func (a *API) method(m *method) *lua.LFunction {
	return a.S.Func(m.name, func(l *lua.LState) int {
		h := a.checkHandle(l, l.Get(1))
		if h == nil {
			a.S.Raisef(l, fmt.Sprintf("write g:%s, with a colon", m.name), "%s must be called on a guest", m.name)
		}
		a.acting(l, "g:"+m.name)
		return m.fn(a, l, h, a.guestOf(l, h))
	})
}

func (a *API) field(l *lua.LState, h *Handle, name string) (lua.LValue, bool) {
	switch name {
	case "name":
		return lua.LString(h.name), true
	case "spec":
		spec := h.spec
		if h.guest != nil {
			spec = h.guest.Spec()
		}
		if spec == nil {
			return lua.LNil, true
		}
		return a.specTable(l, spec), true
	case "ip":
		return a.firstIP(l, h), true
	case "xid":
		if a.S.Reading() {
			return lua.LNil, true
		}
		if n := a.guestOf(l, h).XID(); n != 0 {
			return lua.LNumber(n), true
		}
		return lua.LNil, true
	case "state":
		return lua.LString(a.state(l, h)), true
	case "root":
		return a.root(l, h), true
	case "data":
		return a.data(l, h), true
	}
	return nil, false
}

func (a *API) firstIP(l *lua.LState, h *Handle) lua.LValue {
	spec := h.spec
	if h.guest != nil {
		spec = h.guest.Spec()
	}
	if spec == nil || len(spec.Net.Addrs) == 0 {
		if !a.S.Reading() && h.guest != nil { // bind_ip may have given it one
			if st, err := a.status(l, h); err == nil && len(st.IP) > 0 {
				return lua.LString(st.IP[0])
			}
		}
		return lua.LNil
	}
	ip, _, _ := strings.Cut(spec.Net.Addrs[0].IP, "/")
	return lua.LString(ip)
}

func (a *API) status(l *lua.LState, h *Handle) (engine.Status, error) {
	g := a.guestOf(l, h)
	var st engine.Status
	err := a.S.Block(l, func(ctx context.Context) (err error) {
		st, err = g.Status(ctx)
		return err
	})
	return st, err
}

func (a *API) state(l *lua.LState, h *Handle) engine.State {
	if a.S.Reading() || a.o.Engine == nil && h.guest == nil {
		return engine.StateDeclared
	}
	st, err := a.status(l, h)
	if err != nil {
		a.S.Raise(l, err)
	}
	return st.State
}

// root is where the host sees the guest's root while the guest runs.
func (a *API) root(l *lua.LState, h *Handle) lua.LValue {
	if a.S.Reading() {
		return lua.LNil
	}
	if r, ok := a.guestOf(l, h).(interface{ Root() string }); ok {
		return lua.LString(r.Root())
	}
	st, err := a.status(l, h)
	if err != nil {
		a.S.Raise(l, err)
	}
	if st.PID == 0 {
		return lua.LNil
	}
	return lua.LString(fmt.Sprintf("/proc/%d/root", st.PID))
}

// handleText is tostring(g). It never fails: printing a guest must work on one
// that is gone.
func (a *API) handleText(l *lua.LState, h *Handle) string {
	state := engine.StateDeclared
	if !a.S.Reading() && (h.guest != nil || a.o.Engine != nil) {
		var st engine.Status
		err := a.S.Block(l, func(ctx context.Context) (err error) {
			g := h.guest
			if g == nil {
				if g, err = a.o.Engine.Lookup(h.name); err != nil {
					return err
				}
			}
			st, err = g.Status(ctx)
			return err
		})
		if err == nil {
			state = st.State
		}
	}
	return fmt.Sprintf("guest %s (%s)", h.name, state)
}

// NameOf gives the name of a guest given as a string or a handle.
func NameOf(v lua.LValue) (string, bool) {
	if s, ok := v.(lua.LString); ok {
		return string(s), true
	}
	if ud, ok := v.(*lua.LUserData); ok {
		if n, ok := ud.Value.(bind.Named); ok {
			return n.GuestName(), true
		}
	}
	return "", false
}

// Use notes that a session acts on g.
func (a *API) Use(g engine.Guest) {
	a.usedMu.Lock()
	defer a.usedMu.Unlock()
	a.used[g.Name()] = g
}

// Acted gives the guests that primitives or Use were given.
func (a *API) Acted() []engine.Guest {
	a.usedMu.Lock()
	defer a.usedMu.Unlock()
	out := make([]engine.Guest, 0, len(a.used))
	for _, g := range a.used {
		out = append(out, g)
	}
	return out
}
