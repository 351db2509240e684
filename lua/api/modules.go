package api

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"net/netip"
	"sort"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"vsl/lua/bind"
)

func (a *API) openProbe() {
	t := a.S.L().NewTable()
	for kind := range bind.ProbeSchemas {
		t.RawSetString(kind, a.S.Func("probe."+kind, func(l *lua.LState) int {
			d := a.decoder(l)
			p := d.Probe(kind, l.Get(1))
			if !a.settle(l, d) {
				l.Push(a.bad(l))
				return 1
			}
			l.Push(a.Object(l, "probe", p))
			return 1
		}))
	}
	a.S.Strict("probe", t)
	a.S.SetGlobal("probe", t)
}

// Subnet is a range of addresses to take single ones from.
type Subnet struct{ p netip.Prefix }

// LuaType names the kind in errors.
func (Subnet) LuaType() string { return "subnet" }

func (s Subnet) String() string { return s.p.String() }

// At gives the n-th address: 1 is the first that a host can have. IPv4's
// network and broadcast addresses are out of range.
func (s Subnet) At(n float64) (netip.Addr, error) {
	bits := s.p.Addr().BitLen() - s.p.Bits()
	last := new(big.Int).Lsh(big.NewInt(1), uint(bits))
	if last.Sub(last, big.NewInt(1)); s.p.Addr().Is4() && bits > 1 {
		last.Sub(last, big.NewInt(1))
	}
	if n < 1 || n > 1<<53 || n != float64(uint64(n)) || big.NewInt(int64(n)).Cmp(last) > 0 {
		return netip.Addr{}, fmt.Errorf("subnet %s has no address %v: it has 1 to %s", s.p, n, last)
	}
	raw := s.p.Addr().AsSlice()
	tailStart := max(len(raw)-8, 0)
	var low [8]byte
	copy(low[8-(len(raw)-tailStart):], raw[tailStart:])
	binary.BigEndian.PutUint64(low[:], binary.BigEndian.Uint64(low[:])+uint64(n))
	copy(raw[tailStart:], low[8-(len(raw)-tailStart):])
	addr, _ := netip.AddrFromSlice(raw)
	return addr, nil
}

func (a *API) openSubnet() {
	at := a.S.Func("at", func(l *lua.LState) int {
		ud, ok := l.Get(1).(*lua.LUserData)
		sub, ok2 := Subnet{}, false
		if ok {
			sub, ok2 = ud.Value.(Subnet)
		}
		n, ok3 := l.Get(2).(lua.LNumber)
		if !ok2 || !ok3 {
			a.S.Raisef(l, `write subnet("198.51.100.0/24"):at(5)`, "at must be called on a subnet, with a number")
		}
		addr, err := sub.At(float64(n))
		if err != nil {
			a.S.Raise(l, &bind.Error{Msg: err.Error()})
		}
		l.Push(lua.LString(addr.String()))
		return 1
	})
	a.NewType("subnet", func(l *lua.LState) int {
		switch name := l.Get(2).String(); name {
		case "at", "host":
			l.Push(at)
		case "bits":
			l.Push(lua.LNumber(l.CheckUserData(1).Value.(Subnet).p.Bits()))
		default:
			a.S.Raisef(l, bind.DidYouMean(name, []string{"at", "host", "bits"}), "a subnet has no %q", name)
		}
		return 1
	}, func(_ *lua.LState, v any) string { return v.(Subnet).String() })
	a.S.SetGlobal("subnet", a.S.Func("subnet", func(l *lua.LState) int {
		text, ok := l.Get(1).(lua.LString)
		p, err := netip.ParsePrefix(string(text))
		if !ok || err != nil {
			a.S.Raisef(l, `write subnet("198.51.100.0/24")`, "subnet: %s is not an address range", strings.TrimPrefix(bind.Describe(l.Get(1)), "the string "))
		}
		l.Push(a.Object(l, "subnet", Subnet{p.Masked()}))
		return 1
	}))
}

func (a *API) openLog() {
	t := a.S.L().NewTable()
	for _, level := range []string{"debug", "info", "warn", "error"} {
		t.RawSetString(level, a.S.Func("log."+level, func(l *lua.LState) int {
			line := level + ": " + l.ToStringMeta(l.Get(1)).String()
			if f, ok := l.Get(2).(*lua.LTable); ok {
				line += fields(l, f)
			} else if l.Get(2) != lua.LNil {
				a.S.Raisef(l, fmt.Sprintf(`write log.%s("message", { key = value })`, level), "log.%s: the fields must be a table, not %s", level, bind.Describe(l.Get(2)))
			}
			if _, err := fmt.Fprintln(a.o.Log, line); err != nil {
				a.S.Raise(l, err)
			}
			return 0
		}))
	}
	a.S.Strict("log", t)
	a.S.SetGlobal("log", t)
}

func fields(l *lua.LState, t *lua.LTable) string {
	var parts []string
	bind.Each(t, func(k, v lua.LValue) {
		text := l.ToStringMeta(v).String()
		if text == "" || strings.ContainsAny(text, " \t\n\"=") {
			text = strconv.Quote(text)
		}
		parts = append(parts, k.String()+"="+text)
	})
	sort.Strings(parts)
	if len(parts) == 0 {
		return ""
	}
	return " " + strings.Join(parts, " ")
}
