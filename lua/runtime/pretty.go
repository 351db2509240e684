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
)

// Pretty prints a value for a person: tables as constructors, keys sorted, with
// what contains itself marked and what is large cut short.
func Pretty(l *lua.LState, v lua.LValue) string {
	p := &prettier{l: l, open: map[*lua.LTable]bool{}}
	return p.value(v, 0)
}

type prettier struct {
	l    *lua.LState
	open map[*lua.LTable]bool
}

func (p *prettier) value(v lua.LValue, depth int) string {
	switch v := v.(type) {
	case lua.LString:
		return strings.ReplaceAll(quoteLua(string(v)), "\\\n", `\n`)
	case *lua.LTable:
		if p.l.GetMetaField(v, "__tostring") != lua.LNil {
			return p.l.ToStringMeta(v).String()
		}
		return p.table(v, depth)
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
	var named []string
	t.ForEach(func(k, v lua.LValue) {
		if i, ok := k.(lua.LNumber); ok && i >= 1 && int(i) <= n && lua.LNumber(int(i)) == i {
			return
		}
		if len(named) > prettyItems {
			return
		}
		key := "[" + p.value(k, depth+1) + "]"
		if s, ok := k.(lua.LString); ok && identifier().MatchString(string(s)) {
			key = string(s)
		}
		named = append(named, key+" = "+p.value(v, depth+1))
	})
	sort.Strings(named)
	parts = append(parts, named...)
	if n > prettyItems || len(named) > prettyItems {
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
