package api

import (
	"fmt"
	"slices"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
	"vsl/lua/bind"
)

// poolHandle stands for a pool in Lua: web[1] is its first guest.
type poolHandle struct{ *engine.Pool }

// LuaType names the kind in errors.
func (poolHandle) LuaType() string { return "pool" }

// GuestName makes a pool stand where after wants a guest: it is all of them.
func (p poolHandle) GuestName() string { return p.Name }

func (a *API) openPool() {
	fields := a.noField("pool", map[string]func(any) lua.LValue{
		"name": func(v any) lua.LValue { return lua.LString(v.(poolHandle).Name) },
		"size": func(v any) lua.LValue { return lua.LNumber(v.(poolHandle).Size) },
	})
	a.NewType("pool", func(l *lua.LState) int {
		i, ok := l.Get(2).(lua.LNumber)
		if !ok {
			return fields(l)
		}
		p := l.CheckUserData(1).Value.(poolHandle)
		for _, g := range a.Guests {
			if g.Spec.Name == p.Member(int(i)) {
				l.Push(a.handle(l, g.Spec.Name, g.Spec))
				return 1
			}
		}
		l.Push(lua.LNil)
		return 1
	}, func(_ *lua.LState, v any) string { return "pool " + v.(poolHandle).Name })
	a.S.SetGlobal("pool", a.named("pool", a.declarePool))
}

func (a *API) declarePool(l *lua.LState, pos engine.Pos, name string, t *lua.LTable) lua.LValue {
	if !a.S.Reading() && !a.S.Session() {
		a.S.Raisef(l, "", "pool %q: pools are declared while the recipe is read, not inside a flow", name)
	}
	d := a.decoder(l)
	d.Pos = pos
	p, each := d.Pool(name, t)
	for _, other := range a.Pools {
		if other.Name == name && !a.S.Session() {
			d.Failf(bind.Place{What: fmt.Sprintf("pool %q", name)}, "", "is declared twice, first at %s", other.Pos)
		}
	}
	if !a.settle(l, d) {
		return a.bad(l)
	}
	a.Pools = append(slices.DeleteFunc(a.Pools, func(o *engine.Pool) bool { return o.Name == name }), p)
	a.Guests = slices.DeleteFunc(a.Guests, func(g *Decl) bool { return a.S.Session() && g.Spec.Pool == name })
	for i := 1; i <= p.Size; i++ {
		a.member(l, p, each, i)
	}
	return a.Object(l, "pool", poolHandle{p})
}

// member declares one guest of a pool.
func (a *API) member(l *lua.LState, p *engine.Pool, each *lua.LFunction, i int) {
	l.Push(each)
	l.Push(lua.LNumber(i))
	l.Call(1, 1)
	t, ok := l.Get(-1).(*lua.LTable)
	if !ok {
		a.S.Raisef(l, "write each = function(i) return { … } end", "pool %q: each(%d) must return a guest's table, not %s", p.Name, i, bind.Describe(l.Get(-1)))
	}
	l.Pop(1)
	a.declareGuest(l, p.Pos, p.Member(i), t)
	a.Guests[len(a.Guests)-1].Spec.Pool = p.Name
}

// ExpandAfter replaces the pools that a guest comes after by their guests.
func (a *API) ExpandAfter(s *engine.Spec) {
	for _, p := range a.Pools {
		state, ok := s.After[p.Name]
		if !ok {
			continue
		}
		delete(s.After, p.Name)
		for _, name := range a.Members(p.Name) {
			if _, own := s.After[name]; !own {
				s.After[name] = state
			}
		}
	}
	if len(s.After) == 0 {
		s.After = nil // as it comes back from the record
	}
}

// Members are the guests that a name stands for: those of a pool, or the one.
func (a *API) Members(name string) []string {
	for _, p := range a.Pools {
		if p.Name == name {
			var names []string
			for i := 1; i <= p.Size; i++ {
				names = append(names, p.Member(i))
			}
			return names
		}
	}
	return []string{name}
}

// finishPools reports pools that cannot be told from a guest.
func (a *API) finishPools() {
	for _, p := range a.Pools {
		for _, g := range a.Guests {
			if g.Spec.Name == p.Name {
				a.S.Report(&bind.Error{Pos: p.Pos, Msg: fmt.Sprintf("pool %q: a guest at %s has the same name", p.Name, g.Spec.Pos), Hint: "after could not tell them apart"})
			}
		}
	}
}
