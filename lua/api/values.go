package api

import (
	"encoding/json"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
	"vsl/engine/cgroup"
	"vsl/lua/runtime"
)

// fromGo makes plain Lua data of a Go value, by way of its JSON.
func (a *API) fromGo(l *lua.LState, v any) lua.LValue {
	data, err := json.Marshal(v)
	if err != nil {
		a.S.Raise(l, err)
	}
	out, err := runtime.DecodeJSON(l, string(data), lua.LNil)
	if err != nil {
		a.S.Raise(l, err)
	}
	return out
}

// specTable is g.spec: the declaration as a table with the recipe's keys, sizes
// in bytes and durations in seconds, so that its parts can be given to the
// primitives again.
func (a *API) specTable(l *lua.LState, s *engine.Spec) *lua.LTable {
	t := l.NewTable()
	set := func(k, v string) {
		if v != "" {
			t.RawSetString(k, lua.LString(v))
		}
	}
	list := func(k string, v []string) {
		if v != nil {
			t.RawSetString(k, stringList(l, v))
		}
	}
	set("name", s.Name)
	set("pool", s.Pool)
	if s.Template != nil {
		t.RawSetString("template", a.Object(l, "template", s.Template))
	}
	set("clone", s.Clone)
	set("hostname", s.Hostname)
	set("net", s.Net.Mode)
	list("init", s.Init)
	list("command", s.Command)
	if s.Env != nil {
		t.RawSetString("env", a.fromGo(l, s.Env))
	}
	t.RawSetString("limit", a.limitTable(l, s.Limits))
	if len(s.Net.Addrs) > 0 {
		t.RawSetString("ip", a.fromGo(l, s.Net.Addrs))
	}
	if len(s.After) > 0 {
		t.RawSetString("after", a.fromGo(l, s.After))
	}
	stop := l.NewTable()
	if s.Stop.Signal != "" {
		stop.RawSetString("signal", lua.LString(s.Stop.Signal))
	}
	if s.Stop.Timeout != 0 {
		stop.RawSetString("timeout", lua.LNumber(s.Stop.Timeout.Seconds()))
	}
	if len(s.Stop.Sequence) > 0 {
		seq := l.NewTable()
		for _, e := range s.Stop.Sequence {
			step := l.NewTable()
			step.RawSetString("signal", lua.LString(e.Signal))
			step.RawSetString("wait", lua.LNumber(e.Wait.Seconds()))
			seq.Append(step)
		}
		stop.RawSetString("sequence", seq)
	}
	t.RawSetString("stop", stop)
	return t
}

func (a *API) limitTable(l *lua.LState, lim engine.Limits) lua.LValue {
	t := a.fromGo(l, lim).(*lua.LTable)
	if lim.CPUBurst != nil {
		t.RawSetString("cpu_burst", lua.LNumber(lim.CPUBurst.Seconds()))
	}
	sayUnlimited(t)
	return t
}

// sayUnlimited writes -1 as a recipe does: "unlimited".
func sayUnlimited(t *lua.LTable) {
	t.ForEach(func(k, v lua.LValue) {
		switch sub := v.(type) {
		case *lua.LTable:
			sayUnlimited(sub)
		case lua.LNumber:
			if sub == cgroup.Unlimited && k != lua.LString("nice") {
				t.RawSet(k, lua.LString("unlimited"))
			}
		}
	})
}
