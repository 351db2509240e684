package runtime

import (
	"fmt"
	"sort"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"vsl/lua/bind"
)

var identifier = bind.LazyRE(`^[A-Za-z_][A-Za-z0-9_]*$`)

const (
	prettyDepth = 6
	prettyItems = 200
	prettyTotal = 1 << 20 // bytes; what is behind them is cut
)

// Pretty prints a value for a person: tables as constructors, keys sorted, with
// what contains itself marked and what is large cut short.
func Pretty(l *lua.LState, v lua.LValue) string {
	p := &prettier{l: l, open: map[*lua.LTable]bool{}, room: prettyTotal}
	return p.value(v, 0)
}

type prettier struct {
	l    *lua.LState
	open map[*lua.LTable]bool
	room int
}

// value prints what there is room for.
func (p *prettier) value(v lua.LValue, depth int) string {
	if p.room <= 0 {
		return "…"
	}
	if t, ok := v.(*lua.LTable); ok && p.l.GetMetaField(t, "__tostring") == lua.LNil {
		p.room -= 4
		return p.table(t, depth)
	}
	text := p.plain(v)
	p.room -= len(text) + 2
	return text
}

func (p *prettier) plain(v lua.LValue) string {
	switch v := v.(type) {
	case lua.LString:
		if len(v) > p.room {
			return strings.ReplaceAll(quoteLua(string(v[:p.room])), "\\\n", `\n`) + "…"
		}
		return strings.ReplaceAll(quoteLua(string(v)), "\\\n", `\n`)
	case *lua.LFunction:
		if v.IsG {
			return "function (built in)"
		}
		return fmt.Sprintf("function (%s:%d)", v.Proto.SourceName, v.Proto.LineDefined)
	}
	return p.l.ToStringMeta(v).String()
}

func (p *prettier) table(t *lua.LTable, depth int) string {
	switch {
	case p.open[t]:
		return "{ …itself… }"
	case depth >= prettyDepth:
		return "{ … }"
	}
	p.open[t] = true
	defer delete(p.open, t)
	var parts []string
	n := t.Len()
	for i := 1; i <= n && i <= prettyItems; i++ {
		parts = append(parts, p.value(t.RawGetInt(i), depth+1))
	}
	named := p.named(t, n, depth)
	for i := 0; i < len(named) && i < prettyItems && p.room > 0; i++ {
		p.room -= len(named[i].text)
		parts = append(parts, named[i].text+" = "+p.value(t.RawGet(named[i].key), depth+1))
	}
	if n > prettyItems || len(named) > prettyItems || p.room <= 0 {
		parts = append(parts, "…")
	}
	if len(parts) == 0 {
		return "{}"
	}
	line := "{ " + strings.Join(parts, ", ") + " }"
	if len(line)+2*depth <= 80 && !strings.Contains(line, "\n") {
		return line
	}
	pad := strings.Repeat("  ", depth+1)
	return "{\n" + pad + strings.Join(parts, ",\n"+pad) + "\n" + strings.Repeat("  ", depth) + "}"
}

type prettyKey struct {
	key  lua.LValue
	text string
}

// named are the keys that are not of the list of n items, sorted as they are printed.
func (p *prettier) named(t *lua.LTable, n, depth int) []prettyKey {
	var out []prettyKey
	t.ForEach(func(k, _ lua.LValue) {
		if i, ok := k.(lua.LNumber); ok && i >= 1 && int(i) <= n && lua.LNumber(int(i)) == i {
			return
		}
		key := prettyKey{k, ""}
		if s, ok := k.(lua.LString); ok && identifier().MatchString(string(s)) {
			key.text = string(s)
		} else {
			key.text = "[" + p.value(k, depth+1) + "]"
		}
		out = append(out, key)
	})
	sort.Slice(out, func(i, j int) bool { return out[i].text < out[j].text })
	return out
}
