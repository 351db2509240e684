package api

import (
	"fmt"
	"slices"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
	"vsl/lua/bind"
)

// named makes the function behind `kind "name" { … }`.
func (a *API) named(kind string, declare func(l *lua.LState, pos engine.Pos, name string, t *lua.LTable) lua.LValue) *lua.LFunction {
	return a.S.Func(kind, func(l *lua.LState) int {
		name, ok := l.Get(1).(lua.LString)
		if ud, isUD := l.Get(1).(*lua.LUserData); isUD && ud.Value == (bind.Bad{}) {
			l.Push(l.Get(1)) // of which the mistake was told
			return 1
		}
		if !ok {
			a.S.Raisef(l, fmt.Sprintf("write %s \"name\" { … }", kind), "%s must be given a name, not %s", kind, bind.Describe(l.Get(1)))
		}
		pos := a.S.Pos(l)
		if t, ok := l.Get(2).(*lua.LTable); ok {
			l.Push(declare(l, pos, string(name), t))
			return 1
		}
		p := &pending{kind, string(name), pos}
		if a.S.Reading() {
			a.pending = append(a.pending, p)
		}
		l.Push(a.S.Func(kind, func(l *lua.LState) int {
			a.pending = slices.DeleteFunc(a.pending, func(q *pending) bool { return p == q })
			t, ok := l.Get(1).(*lua.LTable)
			if !ok {
				a.S.Raisef(l, fmt.Sprintf("write %s %q { … }", kind, p.name), "%s %q must be given a table, not %s", kind, p.name, bind.Describe(l.Get(1)))
			}
			l.Push(declare(l, p.pos, p.name, t))
			return 1
		}))
		return 1
	})
}

func (a *API) openDeclarations() {
	s := a.S
	s.SetGlobal("guest", a.named("guest", a.declareGuest))
	s.SetGlobal("template", a.named("template", a.declareTemplate))
	s.SetGlobal("host", s.Func("host", func(l *lua.LState) int {
		if t, ok := l.Get(1).(*lua.LTable); l.GetTop() > 0 && (!ok || t.Len() > 0) {
			s.Raisef(l, "write host()", "host takes nothing")
		}
		l.Push(a.Object(l, "source", &engine.Source{Kind: "host"}))
		return 1
	}))
	s.SetGlobal("debian", s.Func("debian", func(l *lua.LState) int {
		t, ok := l.Get(1).(*lua.LTable)
		if !ok && l.GetTop() > 0 {
			s.Raisef(l, `write debian { suite = "bookworm" }`, "debian must be given a table, not %s", bind.Describe(l.Get(1)))
		}
		if !ok {
			t = l.NewTable()
		}
		return a.source(l, func(d *bind.Decoder) *engine.Source { return d.Debian(t) })
	}))
	s.SetGlobal("tar", s.Func("tar", func(l *lua.LState) int {
		return a.source(l, func(d *bind.Decoder) *engine.Source { return d.Tar(l.Get(1)) })
	}))
}

func (a *API) source(l *lua.LState, decode func(d *bind.Decoder) *engine.Source) int {
	d := a.decoder(l)
	src := decode(d)
	if !a.settle(l, d) {
		l.Push(a.bad(l))
		return 1
	}
	l.Push(a.Object(l, "source", src))
	return 1
}

func (a *API) declareGuest(l *lua.LState, pos engine.Pos, name string, t *lua.LTable) lua.LValue {
	if !a.S.Reading() && !a.S.Session() {
		a.S.Raisef(l, "", "guest %q: guests are declared while the recipe is read, not inside a flow", name)
	}
	d := a.decoder(l)
	d.Pos = pos
	spec, flows := d.Guest(name, t)
	a.settle(l, d)
	if a.S.Session() {
		a.Guests = slices.DeleteFunc(a.Guests, func(g *Decl) bool { return g.Spec.Name == name })
		delete(a.handles, name)
	}
	a.Guests = append(a.Guests, &Decl{Spec: spec, Flows: flows})
	return a.handle(l, name, spec)
}

func (a *API) declareTemplate(l *lua.LState, pos engine.Pos, name string, t *lua.LTable) lua.LValue {
	if !a.S.Reading() && !a.S.Session() {
		a.S.Raisef(l, "", "template %q: templates are declared while the recipe is read, not inside a flow", name)
	}
	d := a.decoder(l)
	d.Pos = pos
	tmpl, build := d.Template(name, t)
	if first, ok := a.building[name]; ok && !a.S.Session() {
		d.Failf(bind.Place{Pos: pos}, "", "template %q is declared twice, first at %s", name, first)
	}
	a.building[name] = pos
	a.settle(l, d)
	if build != nil {
		tmpl.Build = a.S.Fingerprint(build, a.fingerprintObject)
		a.Builds[name] = build
	}
	a.Templates = slices.DeleteFunc(a.Templates, func(o *engine.Template) bool { return o.Name == name })
	a.Templates = append(a.Templates, tmpl)
	return a.Object(l, "template", tmpl)
}
