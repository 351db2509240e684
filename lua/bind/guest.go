package bind

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
)

var stopStep = &Schema{Name: "stop step", Doc: "One more signal for every process of the guest.", Keys: []Key{
	{Name: "signal", Type: String, Required: true, Doc: "the signal", Check: checkSignal},
	{Name: "wait", Type: Duration, Required: true, Doc: "how long it has to work"},
}}

// StopSchema is how a guest is brought down.
var StopSchema = &Schema{Name: "stop", Doc: "Says how a guest is brought down.", Keys: []Key{
	{Name: "signal", Type: String, Default: "what its init understands as shut down", Doc: "the first signal to the guest's init", Check: checkSignal},
	{Name: "timeout", Type: Duration, Default: "30s", Doc: "how long it has to work; a shutdown flow has twice that, the sequence and 32s"},
	{Name: "sequence", Type: ListOf(stopStep), Doc: "what follows when it did not; killing every process at once ends each sequence"},
}}

// AddressSchema is one address written as a table.
var AddressSchema = &Schema{Name: "ip", Doc: "One address of a guest.", Keys: []Key{
	{Name: "ip", Type: String, Required: true, Doc: "the address, with or without a prefix length", Check: checkIP},
	{Name: "dev", Type: String, Default: "the device whose subnet it is in", Doc: "device of the host that carries it"},
}}

// GuestSchema is guest "name" {}.
var GuestSchema = &Schema{Name: "guest", Doc: "A virtual private server.", Keys: []Key{
	{Name: "template", Type: templateType, Default: "host()", Doc: "what the guest is cloned from"},
	{Name: "clone", Type: cloneKind, Default: "the best that the file system can do", Doc: "how the guest's own root is made"},
	{Name: "hostname", Type: String, Default: "the guest's name", Doc: "host name inside", Check: checkHostname},
	{Name: "init", Type: Argv, Default: "found by looking", Doc: "the guest's own init"},
	{Name: "command", Type: Command, Doc: "a plain command to run instead of an init"},
	{Name: "env", Type: Map, Doc: "environment of the init or command"},
	{Name: "nesting", Type: Bool, Default: "false", Doc: "its users may mount a proc of their own and FUSE, as sandboxes and containers do; the masks of /proc hide nothing then"},
	{Name: "limit", Type: Object(LimitSchema), Live: true, Doc: "what the guest may use"},
	{Name: "ip", Type: addresses, Doc: "the guest's addresses"},
	{Name: "net", Type: netMode, Default: "bind where there are addresses, else none", Doc: "the guest's network"},
	{Name: "after", Type: afterType, Doc: `guests that come first, such as { db = "ready" }`},
	{Name: "provision", Type: Func, Doc: "flow that runs once, before the first boot"},
	{Name: "boot", Type: Func, Default: "boot of vsl.flows", Doc: "flow that brings the guest up"},
	{Name: "ready", Type: readyType, Default: "sd_notify for systemd, else that init runs", Doc: "probe, flow or time to wait"},
	{Name: "run", Type: Func, Doc: "flow that runs once the guest is ready, at each boot"},
	{Name: "shutdown", Type: Func, Default: "shutdown of vsl.flows", Doc: "flow that brings the guest down"},
	{Name: "destroy", Type: Func, Doc: "flow that runs before the guest is removed, while it may still run"},
	{Name: "hooks", Type: Object(HooksSchema), Doc: "functions before and after the phases"},
	{Name: "timeout", Type: Object(TimeoutSchema), Live: true, Doc: "how long the flows may take, by phase"},
	{Name: "stop", Type: Object(StopSchema), Live: true, Doc: "signals and times of a graceful stop"},
	{Name: "secrets", Type: secretsType, Doc: "files of the guest's /run/secrets, by their names"},
}}

var cloneKind = Choice("overlay", "reflink", "copy")

var templateType = &Type{Name: "template", Want: "a template", Conv: func(_ *Decoder, at Place, v lua.LValue) (any, error) {
	if ud, ok := v.(*lua.LUserData); ok {
		switch t := ud.Value.(type) {
		case *engine.Template:
			return t, nil
		case *engine.Source:
			return Anonymous(*t, at.Pos), nil
		}
	}
	if s, ok := v.(lua.LString); ok {
		return nil, &Error{Msg: "must be a template, not " + Describe(v), Hint: fmt.Sprintf("write local t = template %q { … } and template = t", string(s))}
	}
	if f, ok := v.(*lua.LFunction); ok && f.IsG {
		return nil, &Error{Msg: "must be a template, not a function", Hint: "call it: host()"}
	}
	return nil, want("a template", v)
}}

var addresses = &Type{Name: "address or list of addresses", Want: "an address or a list of addresses", Sub: AddressSchema, Form: ItemsOrItself, Conv: convAddresses}

func convAddresses(d *Decoder, at Place, v lua.LValue) (any, error) {
	out := []engine.Address{}
	one := func(at Place, v lua.LValue) {
		switch v := v.(type) {
		case lua.LString:
			if err := checkIP(string(v)); err != nil {
				d.Failf(at, "", "%v", err)
				return
			}
			out = append(out, engine.Address{IP: string(v)})
		case *lua.LTable:
			vals := d.Table(AddressSchema, at, v)
			out = append(out, engine.Address{IP: Get[string](vals, "ip"), Dev: Get[string](vals, "dev")})
		default:
			if !isBad(v) {
				d.Failf(at, "", "must be an address, not %s", Describe(v))
			}
		}
	}
	t, ok := v.(*lua.LTable)
	if _, isString := v.(lua.LString); isString || (ok && t.Len() == 0 && t.RawGetString("ip") != lua.LNil) {
		one(at, v)
		return out, nil
	}
	if !ok {
		return nil, want("an address or a list of addresses", v)
	}
	n := t.Len()
	Each(t, func(k, e lua.LValue) {
		here := at
		here.Pos = d.where(t, k, at.Pos)
		if i, isNum := k.(lua.LNumber); isNum && i >= 1 && int(i) <= n {
			one(here.item(int(i)), e)
			return
		}
		d.Failf(here, `write { ip = "198.51.100.5", dev = "eth0" }`, "must be a list of addresses; it has the key %s", k)
	})
	return out, nil
}

func checkIP(v any) error {
	s := v.(string)
	bad := fmt.Errorf(`%q is not an address, such as "198.51.100.5" or "2001:db8::5/64"`, s)
	addr, err := netip.ParseAddr(s)
	if strings.Contains(s, "/") {
		var p netip.Prefix
		p, err = netip.ParsePrefix(s)
		addr = p.Addr()
	}
	switch {
	case err != nil || addr.Zone() != "":
		return bad
	case addr.IsUnspecified() || addr.IsMulticast():
		return fmt.Errorf("%q cannot be a guest's own address", s)
	}
	return nil
}

var hostnameRE = LazyRE(`^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,62}[a-zA-Z0-9])?$`)

func checkHostname(v any) error {
	if s := v.(string); !hostnameRE().MatchString(s) {
		return fmt.Errorf("%q is not a host name of at most 64 letters, digits, - and .", s)
	}
	return nil
}

// Named is a value that stands for a guest or a pool: a handle.
type Named interface{ GuestName() string }

var afterState = Choice("started", "ready")

var afterType = &Type{Name: "guests", Want: `guests or pools, such as { db = "ready" }`, Conv: convAfter}

func convAfter(d *Decoder, at Place, v lua.LValue) (any, error) {
	nameOf := func(v lua.LValue) (string, bool) {
		if s, ok := v.(lua.LString); ok {
			return string(s), true
		}
		if ud, ok := v.(*lua.LUserData); ok {
			if n, ok := ud.Value.(Named); ok {
				return n.GuestName(), true
			}
		}
		return "", false
	}
	if name, ok := nameOf(v); ok {
		return map[string]string{name: "ready"}, nil
	}
	t, ok := v.(*lua.LTable)
	if !ok {
		return nil, want(`guests, such as { db = "ready" }`, v)
	}
	out := map[string]string{}
	Each(t, func(k, e lua.LValue) {
		here := at
		here.Pos = d.where(t, k, at.Pos)
		if _, isNum := k.(lua.LNumber); isNum {
			if name, ok := nameOf(e); ok {
				out[name] = "ready"
				d.note(here, at.Key+"."+name)
				return
			}
			if !isBad(e) {
				d.Failf(here, "", "must be a guest, not %s", Describe(e))
			}
			return
		}
		name, ok := nameOf(k)
		if isBad(k) {
			d.conv(afterState, here, e)
			return
		}
		if !ok {
			d.Failf(here, "", "must be a guest, not %s", Describe(k))
			return
		}
		here.Key = at.Key + "." + name
		d.note(here, here.Key)
		if state, ok := d.conv(afterState, here, e); ok {
			out[name] = state.(string)
		}
	})
	return out, nil
}

func (d *Decoder) note(at Place, key string) {
	if d.Keys != nil {
		d.Keys[key] = at.Pos
	}
}

// Guest makes a spec of guest's argument.
func (d *Decoder) Guest(name string, t *lua.LTable) (*engine.Spec, Flows) {
	at := Place{What: fmt.Sprintf("guest %q", name), Pos: d.Pos}
	if err := CheckName(name); err != nil {
		d.Failf(at, "", "%v", err)
	}
	d.Keys = map[string]engine.Pos{}
	v := d.Table(GuestSchema, at, t)
	s := &engine.Spec{
		Name: name, Template: Get[*engine.Template](v, "template"), Clone: Get[string](v, "clone"),
		Hostname: Get[string](v, "hostname"), Init: Get[[]string](v, "init"), Command: Get[[]string](v, "command"),
		Env: Get[map[string]string](v, "env"), Nesting: Get[bool](v, "nesting"), Limits: Limits(Get[Values](v, "limit")),
		Net:  engine.Net{Mode: Get[string](v, "net"), Addrs: Get[[]engine.Address](v, "ip")},
		Stop: stop(Get[Values](v, "stop")), After: Get[map[string]string](v, "after"),
		Secrets: Get[map[string]engine.Secret](v, "secrets"),
		Pos:     d.Pos, KeyPos: d.Keys,
	}
	if s.Template == nil {
		s.Template = Anonymous(engine.Source{Kind: "host"}, d.Pos)
	}
	if s.Init != nil && s.Command != nil {
		here := at
		here.Pos = d.Keys["command"]
		d.Failf(here, "", "has both init and command; only one of them can be the first process")
	}
	ready := Get[Ready](v, "ready")
	s.Ready = ready.Probe
	return s, d.flows(v, ready.Flow, s)
}

func stop(v Values) engine.Stop {
	s := engine.Stop{Signal: Get[string](v, "signal"), Timeout: Get[time.Duration](v, "timeout")}
	for _, e := range Get[[]Values](v, "sequence") {
		s.Sequence = append(s.Sequence, engine.StopStep{Signal: Get[string](e, "signal"), Wait: Get[time.Duration](e, "wait")})
	}
	return s
}
