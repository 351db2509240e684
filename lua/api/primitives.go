package api

import (
	"context"
	"errors"
	"fmt"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
	"vsl/lua/bind"
)

// primitive describes one of the six: the schema of its keys, what they make of
// the engine's arguments, and the call. given is false where only the guest is named.
type primitive struct {
	schema *bind.Schema
	args   func(s *engine.Spec, v bind.Values, given bool) any
	do     func(ctx context.Context, g engine.Guest, args any) error
}

// Primitives names the six in the order in which a boot uses them.
var Primitives = []string{"context", "cow_clone", "limit", "bind_ip", "boot", "kill"}

var primitives = map[string]primitive{
	"context": {bind.ContextSchema, func(*engine.Spec, bind.Values, bool) any { return nil },
		func(ctx context.Context, g engine.Guest, _ any) error { return g.Context(ctx) }},
	"cow_clone": {bind.CowCloneSchema, func(s *engine.Spec, v bind.Values, _ bool) any {
		args := engine.CloneArgs{Template: s.Template, Kind: s.Clone}
		if t := bind.Get[*engine.Template](v, "template"); t != nil {
			args.Template = t
		}
		if k := bind.Get[string](v, "kind"); k != "" {
			args.Kind = k
		}
		return args
	}, func(ctx context.Context, g engine.Guest, a any) error { return g.CowClone(ctx, a.(engine.CloneArgs)) }},
	"limit": {bind.LimitSchema, func(s *engine.Spec, v bind.Values, given bool) any {
		if !given {
			return s.Limits
		}
		return bind.Limits(v)
	}, func(ctx context.Context, g engine.Guest, a any) error { return g.Limit(ctx, a.(engine.Limits)) }},
	"bind_ip": {bind.BindIPSchema, func(s *engine.Spec, v bind.Values, given bool) any {
		if !given {
			return s.Net
		}
		return engine.Net{Mode: bind.Get[string](v, "net"), Addrs: bind.Get[[]engine.Address](v, "ip")}
	}, func(ctx context.Context, g engine.Guest, a any) error { return g.BindIP(ctx, a.(engine.Net)) }},
	"boot": {bind.BootSchema, func(s *engine.Spec, v bind.Values, _ bool) any { return bootArgs(s, v) },
		func(ctx context.Context, g engine.Guest, a any) error { return g.Boot(ctx, a.(engine.BootArgs)) }},
	"kill": {bind.KillSchema, func(_ *engine.Spec, v bind.Values, _ bool) any { return bind.Kill(v) },
		func(ctx context.Context, g engine.Guest, a any) error { return g.Kill(ctx, a.(engine.KillArgs)) }},
}

// bootArgs fills what the call leaves out from the spec.
func bootArgs(spec *engine.Spec, v bind.Values) engine.BootArgs {
	args := engine.BootArgs{
		Init: bind.Get[[]string](v, "init"), Command: bind.Get[[]string](v, "command"),
		Env: bind.Get[map[string]string](v, "env"), Hostname: bind.Get[string](v, "hostname"), Idle: bind.Get[bool](v, "idle"),
	}
	if args.Init == nil && args.Command == nil && !args.Idle {
		args.Init, args.Command = spec.Init, spec.Command
	}
	if args.Env == nil {
		args.Env = spec.Env
	}
	if args.Hostname == "" {
		args.Hostname = spec.Hostname
	}
	return args
}

func (a *API) openPrimitives() {
	for _, name := range Primitives {
		p := primitives[name]
		a.S.SetGlobal(name, a.S.Func(name, func(l *lua.LState) int { return a.call(l, name, p) }))
	}
}

// call runs one primitive: name { g, key = value }. A table after the guest
// holds further keys, so that what was declared can be passed on as it is.
func (a *API) call(l *lua.LState, name string, p primitive) int {
	a.acting(l, name)
	arg := l.Get(1)
	if h := a.checkHandle(l, arg); h != nil {
		a.S.Raisef(l, fmt.Sprintf("write %s { g }", name), "%s must be given a table", name)
	}
	t, ok := arg.(*lua.LTable)
	if !ok {
		a.S.Raisef(l, fmt.Sprintf("write %s { g, … }", name), "%s must be given a table, not %s", name, bind.Describe(arg))
	}
	merged := merge(l, t)
	d := a.decoder(l)
	v := d.Table(p.schema, bind.Place{What: name}, merged)
	if len(d.Errs) > 0 {
		a.raise(l, d.Errs)
	}
	g := a.target(l, name, t, v)
	a.Use(g)
	args := p.args(g.Spec(), v, len(v) > 0)
	a.announce(l, name, g, args)
	a.block(l, func(ctx context.Context) (err error) {
		if f := flowOf(l); f == nil && a.o.Remove != nil {
			undo := a.wayBack(ctx, name, g, args)
			defer func() {
				if err == nil {
					a.Undone(undo)
				}
			}()
		}
		err = p.do(ctx, g, args)
		if name != "cow_clone" || !errors.Is(err, engine.ErrUnknownTmpl) {
			return err
		}
		if err := a.ensureTemplate(ctx, g, v, err); err != nil {
			return err
		}
		return p.do(ctx, g, args)
	})
	l.Push(a.Remember(l, g))
	return 1
}

// ensureTemplate builds the template that cow_clone missed. That of a declared
// guest is there already; others, as at the REPL, are built when they are needed.
func (a *API) ensureTemplate(ctx context.Context, g engine.Guest, v bind.Values, missing error) error {
	t := bind.Get[*engine.Template](v, "template")
	if t == nil {
		t = g.Spec().Template
	}
	b, ok := a.o.Engine.(interface {
		EnsureTemplate(ctx context.Context, t *engine.Template, flow engine.Flow) error
	})
	if !ok || t == nil {
		return missing
	}
	return b.EnsureTemplate(ctx, t, a.BuildFlow(a.Builds[t.Name]))
}

// merge gives the keys of t[2] and t, those of t above.
func merge(l *lua.LState, t *lua.LTable) *lua.LTable {
	out := l.NewTable()
	add := func(from *lua.LTable, skip int) {
		bind.Each(from, func(k, v lua.LValue) {
			if n, ok := k.(lua.LNumber); ok && n >= 1 && int(n) <= skip {
				return
			}
			out.RawSet(k, v)
		})
	}
	skip := 1
	if more, ok := t.RawGetInt(2).(*lua.LTable); ok {
		skip = 2
		add(more, 0)
	}
	add(t, skip)
	return out
}

// target is the guest that a primitive's table names, or for context a new one.
func (a *API) target(l *lua.LState, name string, t *lua.LTable, v bind.Values) engine.Guest {
	first := t.RawGetInt(1)
	if h := a.checkHandle(l, first); h != nil {
		return a.guestOf(l, h)
	}
	if s, ok := first.(lua.LString); ok {
		return a.guestOf(l, &Handle{name: string(s), spec: a.specOf(string(s))})
	}
	guestName, ok := v["name"].(string)
	if name != "context" || !ok {
		hint := fmt.Sprintf("write %s { g, … }", name)
		if name == "context" {
			hint = `write context { g }, or context { name = "web1" } for a new guest`
		}
		a.S.Raisef(l, hint, "%s: the guest must come first, not %s", name, bind.Describe(first))
	}
	if err := bind.CheckName(guestName); err != nil {
		a.S.Raise(l, err)
	}
	if a.o.Engine == nil {
		a.S.Raisef(l, "", "context: no engine to act with")
	}
	spec := a.specOf(guestName)
	if spec == nil {
		spec = &engine.Spec{Name: guestName, Template: bind.Get[*engine.Template](v, "template"), Pos: a.S.Pos(l)}
		if spec.Template == nil {
			spec.Template = bind.Anonymous(engine.Source{Kind: "host"}, spec.Pos)
		}
	}
	var g engine.Guest
	a.block(l, func(context.Context) (err error) {
		g, err = a.o.Engine.New(spec)
		return err
	})
	return g
}

func (a *API) specOf(name string) *engine.Spec {
	for _, d := range a.Guests {
		if d.Spec.Name == name {
			return d.Spec
		}
	}
	return nil
}
