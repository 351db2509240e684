package runtime

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"sort"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// Fingerprint gives a short hash of what a function does: its text, and the
// values, tables and functions it uses from outside. object words the userdata
// among them. A function whose fingerprint stays the same need not run again.
func (s *State) Fingerprint(fn *lua.LFunction, object func(v any) string) string {
	h := sha256.New()
	f := &printer{state: s, w: h, object: object, seen: map[any]int{}}
	f.value(fn)
	return hex.EncodeToString(h.Sum(nil)[:8])
}

type printer struct {
	state  *State
	w      io.Writer
	object func(v any) string
	seen   map[any]int
	depth  int
}

// maxDeep bounds how far into tables and functions a fingerprint looks.
const maxDeep = 10_000

func (p *printer) value(v lua.LValue) {
	switch v := v.(type) {
	case *lua.LFunction, *lua.LTable:
		if n, ok := p.seen[v]; ok {
			fmt.Fprintf(p.w, "again %d\n", n)
			return
		}
		p.seen[v] = len(p.seen)
		if p.depth++; p.depth > maxDeep {
			p.depth--
			fmt.Fprintln(p.w, "deep")
			return
		}
		defer func() { p.depth-- }()
	}
	switch v := v.(type) {
	case nil:
		fmt.Fprintln(p.w, "nil")
	case *lua.LFunction:
		p.function(v)
	case *lua.LTable:
		p.table(v)
	case *lua.LUserData:
		fmt.Fprintf(p.w, "object %q\n", p.object(v.Value))
	default:
		fmt.Fprintf(p.w, "%s %q\n", v.Type(), v.String())
	}
}

func (p *printer) function(f *lua.LFunction) {
	if f.IsG {
		fmt.Fprintln(p.w, "builtin")
		return
	}
	lines := ""
	if src := p.state.sources[f.Proto.SourceName]; src != nil {
		all := src.lines()
		first, last := max(f.Proto.LineDefined-1, 0), min(f.Proto.LastLineDefined, len(all))
		if first < last {
			lines = strings.Join(all[first:last], "\n")
		}
	}
	fmt.Fprintf(p.w, "function %q\n", lines)
	for i, up := range f.Upvalues {
		fmt.Fprintf(p.w, "upvalue %d ", i)
		if up == nil {
			p.value(lua.LNil)
			continue
		}
		p.value(up.Value())
	}
}

// table prints the keys in an order that does not depend on how they came.
func (p *printer) table(t *lua.LTable) {
	var keys []lua.LValue
	t.ForEach(func(k, _ lua.LValue) { keys = append(keys, k) })
	sort.SliceStable(keys, func(i, j int) bool {
		a, b := keys[i], keys[j]
		if a.Type() != b.Type() {
			return a.Type() < b.Type()
		}
		if n, ok := a.(lua.LNumber); ok {
			return n < b.(lua.LNumber)
		}
		if n, ok := a.(lua.LString); ok {
			return n < b.(lua.LString)
		}
		return false
	})
	fmt.Fprintf(p.w, "table %d\n", len(keys))
	for _, k := range keys {
		p.value(k)
		p.value(t.RawGet(k))
	}
}
