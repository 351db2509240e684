package bind

import (
	"errors"
	"fmt"
	"time"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
)

var (
	within = Key{Name: "within", Type: Duration, Default: "the guest's timeout.ready, else 60s", Doc: "how long to wait before giving up"}
	every  = Key{Name: "every", Type: Duration, Default: "5ms, growing to 1s", Doc: "pause between two tries"}
	each   = Key{Name: "timeout", Type: Duration, Default: "5s", Doc: "how long one try may take; a command is killed then, with all that it started", Check: positive}
	port   = Key{Name: "port", Type: Int, Required: true, Doc: "the port, 1 to 65535", Check: inRange(1, 65535)}
)

// ProbeSchemas are the kinds of probe.
var ProbeSchemas = map[string]*Schema{
	"tcp": {Name: "probe.tcp", Doc: "Ready when the port accepts a connection.", Keys: []Key{port, within, every, each}},
	"http": {Name: "probe.http", Doc: "Ready when the port answers an HTTP request.", Keys: []Key{port,
		{Name: "path", Type: String, Default: "/", Doc: "path to ask for"},
		{Name: "status", Type: Int, Default: "200 to 399", Doc: "wanted status", Check: inRange(100, 599)}, within, every, each}},
	"exec": {Name: "probe.exec", Doc: "Ready when the command exits with 0.", Items: String, Keys: []Key{within, every, each}},
	"file": {Name: "probe.file", Doc: "Ready when the file exists in the guest.", Items: String, Keys: []Key{
		{Name: "path", Type: String, Doc: "path in the guest"}, within, every}},
	"log": {Name: "probe.log", Doc: "Ready when a line of the guest's log contains the text.", Items: String, Keys: []Key{
		{Name: "match", Type: String, Doc: "the text"}, within, every}},
	"notify":  {Name: "probe.notify", Doc: "Ready when the guest's init says so (sd_notify).", Keys: []Key{within}},
	"started": {Name: "probe.started", Doc: "Ready as soon as the guest's init runs.", Keys: []Key{within}},
}

// Probe makes a probe of the argument of probe.<kind>.
func (d *Decoder) Probe(kind string, arg lua.LValue) *engine.Probe {
	s := ProbeSchemas[kind]
	at := Place{What: s.Name, Pos: d.Pos}
	p := &engine.Probe{Kind: kind}
	text := ""
	var t *lua.LTable
	switch a := arg.(type) {
	case *lua.LTable:
		t = a
	case lua.LString:
		text = string(a)
	case lua.LNumber:
		if len(s.Keys) > 0 && s.Keys[0].Name == "port" {
			t = &lua.LTable{Metatable: lua.LNil}
			t.RawSetString("port", a)
		}
	case *lua.LNilType:
		t = &lua.LTable{Metatable: lua.LNil}
	}
	if t == nil && (text == "" || s.Items == nil) {
		d.Failf(at, "", "must be given a table, not %s", Describe(arg))
		return p
	}
	if t != nil {
		v := d.Table(s, at, t)
		p.Port, p.Status = int(Get[int64](v, "port")), int(Get[int64](v, "status"))
		p.Path, p.Match = Get[string](v, "path"), Get[string](v, "match")
		p.Within, p.Every = Get[time.Duration](v, "within"), Get[time.Duration](v, "every")
		p.Timeout = Get[time.Duration](v, "timeout")
		for _, e := range Get[[]any](v, "") {
			p.Argv = append(p.Argv, e.(string))
		}
	} else {
		p.Argv = []string{text}
	}
	d.probeText(at, p)
	return p
}

// probeText puts the list part where the kind wants it.
func (d *Decoder) probeText(at Place, p *engine.Probe) {
	first := func(dst *string, what string) {
		if len(p.Argv) > 0 && *dst == "" {
			*dst = p.Argv[0]
		}
		p.Argv = nil
		if *dst == "" {
			d.Failf(at, "", "%s is missing", what)
		}
	}
	switch p.Kind {
	case "exec":
		if len(p.Argv) == 0 {
			d.Failf(at, `write probe.exec { "program", "argument" }`, "the command is missing")
		}
	case "file":
		first(&p.Path, "path")
	case "log":
		first(&p.Match, "match")
	}
}

// Ready is what a guest's ready key converts to. A time alone is a probe of the
// kind "default": what the guest would be asked without it, for that long.
type Ready struct {
	Probe *engine.Probe
	Flow  *lua.LFunction
}

var readyType = &Type{Name: "probe, function or duration", Want: "a probe, a function or a duration",
	Conv: func(d *Decoder, at Place, v lua.LValue) (any, error) {
		switch v := v.(type) {
		case *lua.LFunction:
			if v.IsG {
				return nil, &Error{Msg: "must be a probe, not a function", Hint: "call it: probe.tcp { port = 80 }"}
			}
			return Ready{Probe: &engine.Probe{Kind: "flow"}, Flow: v}, nil
		case *lua.LUserData:
			if p, ok := v.Value.(*engine.Probe); ok {
				return Ready{Probe: p}, nil
			}
		case lua.LNumber, lua.LString:
			t, err := convDuration(d, at, v)
			if err != nil {
				return nil, &Error{Msg: "must be a probe, a function or a time to wait, not " + Describe(v),
					Hint: `write ready = probe.http { port = 80 } or another probe, or a duration, such as "10s"`}
			}
			if t == time.Duration(0) {
				return nil, errors.New("must be more than 0")
			}
			return Ready{Probe: &engine.Probe{Kind: "default", Within: t.(time.Duration)}}, nil
		}
		return nil, want(`a probe, a function, or a time to wait, such as "10s"`, v)
	}}

// ProbeArg reads a probe given to wait_ready: a probe or a table {within=…}.
func ProbeArg(v lua.LValue) (engine.Probe, error) {
	if ud, ok := v.(*lua.LUserData); ok {
		if p, ok := ud.Value.(*engine.Probe); ok {
			return *p, nil
		}
	}
	if v == lua.LNil {
		return engine.Probe{}, nil
	}
	return engine.Probe{}, fmt.Errorf("wait_ready: must be a probe, not %s", Describe(v))
}
