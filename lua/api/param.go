package api

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
	"vsl/lua/bind"
)

func (a *API) openParam() {
	t := a.S.L().NewTable()
	for kind := range bind.ParamTypes {
		t.RawSetString(kind, a.S.Func("param."+kind, func(l *lua.LState) int { return a.param(l, kind) }))
	}
	a.S.Strict("param", t)
	a.S.SetGlobal("param", t)
}

func (a *API) param(l *lua.LState, kind string) int {
	name, ok := l.Get(1).(lua.LString)
	if !ok || name == "" {
		a.S.Raisef(l, fmt.Sprintf(`write param.%s("name", { default = … })`, kind), "param.%s must be given a name, not %s", kind, bind.Describe(l.Get(1)))
	}
	t, ok := l.Get(2).(*lua.LTable)
	if !ok && l.Get(2) != lua.LNil {
		a.S.Raisef(l, fmt.Sprintf(`write param.%s(%q, { default = … })`, kind, string(name)), "param.%s must be given a table, not %s", kind, bind.Describe(l.Get(2)))
	}
	if t == nil {
		t = l.NewTable()
	}
	d := a.decoder(l)
	p := d.Param(kind, string(name), t, a.given(kind, string(name)), a.o.Optional)
	for _, other := range a.Params {
		if other.Name == p.Name {
			d.Failf(bind.Place{What: fmt.Sprintf("parameter %q", p.Name)}, "", "is declared twice, first at %s", other.Pos)
		}
	}
	a.settle(l, d)
	a.Params = append(a.Params, p)
	l.Push(a.ParamValue(l, p))
	return 1
}

// ParamEnv is the variable that gives a parameter.
func ParamEnv(name string) string {
	return "VSL_PARAM_" + strings.ToUpper(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, name))
}

// given finds a parameter's value: the command line comes first, then what was
// given elsewhere, then the environment.
func (a *API) given(kind, name string) *bind.Given {
	if text, ok := a.o.Params[name]; ok {
		return &bind.Given{Text: text, From: "-p"}
	}
	if g, ok := a.o.More[name]; ok {
		return &g
	}
	if a.o.LookupEnv == nil {
		return nil
	}
	env := ParamEnv(name)
	text, ok := a.o.LookupEnv(env)
	if !ok {
		return nil
	}
	if kind == "secret" { // the variable holds the secret itself, and stays its place
		text = "env:" + env
	}
	return &bind.Given{Text: text, From: "$" + env}
}

// ParamValue is a parameter's value in Lua; one that has none is the zero of its
// kind, so that reading goes on to the next mistake.
func (a *API) ParamValue(l *lua.LState, p *bind.Param) lua.LValue {
	switch v := p.Value.(type) {
	case string:
		return lua.LString(v)
	case int64:
		return lua.LNumber(v)
	case float64:
		return lua.LNumber(v)
	case bool:
		return lua.LBool(v)
	case []string:
		return stringList(l, v)
	case *engine.Secret:
		return a.Object(l, "secret", v)
	}
	switch p.Type {
	case "int", "number", "size", "duration":
		if p.Min != nil {
			return lua.LNumber(*p.Min)
		}
		return lua.LNumber(0)
	case "bool":
		return lua.LFalse
	case "list":
		return l.NewTable()
	}
	return a.bad(l)
}

// finishParams reports values that no parameter takes.
func (a *API) finishParams() {
	names := make([]string, len(a.Params))
	for i, p := range a.Params {
		names[i] = p.Name
	}
	unknown := func(given string, pos engine.Pos) {
		if slices.Contains(names, given) {
			return
		}
		hint := bind.DidYouMean(given, names)
		if hint == "" && len(names) > 0 {
			hint = "known: " + strings.Join(names, ", ")
		}
		a.S.Report(&bind.Error{Pos: pos, Msg: fmt.Sprintf("the recipe has no parameter %q", given), Hint: hint})
	}
	for _, given := range slices.Sorted(maps.Keys(a.o.Params)) {
		unknown(given, engine.Pos{})
	}
	for _, given := range slices.Sorted(maps.Keys(a.o.More)) {
		unknown(given, a.o.More[given].Pos)
	}
}
