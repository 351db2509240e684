package runtime

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"reflect"
	"sort"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
)

// Fingerprint gives a short hash of what a function does: its syntax tree, and
// the values, tables and functions it uses from outside. How the text is laid out,
// what its comments say and what else stands on its lines is no part of it. object
// words the userdata among them. A function whose fingerprint stays the same need not run again.
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
	fmt.Fprint(p.w, "function ")
	p.tree(reflect.ValueOf(p.state.written(f.Proto)))
	fmt.Fprintln(p.w)
	for i, up := range f.Upvalues {
		fmt.Fprintf(p.w, "upvalue %d ", i)
		if up == nil {
			p.value(lua.LNil)
			continue
		}
		p.value(up.Value())
	}
}

// tree prints a part of a syntax tree without its places, and without what vsl adds
// to it: a statement for a debugger, the mark around a table.
func (p *printer) tree(v reflect.Value) {
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		if v.IsNil() {
			fmt.Fprint(p.w, "nil ")
			return
		}
		switch node := v.Interface().(type) {
		case *ast.FuncCallStmt:
			if called(node.Expr) == lineHook {
				return
			}
		case *ast.FuncCallExpr:
			if called(node) == tableFunc && len(node.Args) == 2 {
				v = reflect.ValueOf(node.Args[1])
			}
		}
		p.tree(v.Elem())
	case reflect.Slice:
		fmt.Fprint(p.w, "[")
		for i := range v.Len() {
			p.tree(v.Index(i))
		}
		fmt.Fprint(p.w, "]")
	case reflect.Struct:
		fmt.Fprintf(p.w, "%s(", v.Type().Name())
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && !f.Anonymous {
				p.tree(v.Field(i))
			}
		}
		fmt.Fprint(p.w, ")")
	case reflect.String:
		fmt.Fprintf(p.w, "%q ", v.String())
	case reflect.Bool:
		fmt.Fprintf(p.w, "%t ", v.Bool())
	}
}

// called is the name of the function that an expression calls, "" of any other.
func called(e ast.Expr) string {
	call, ok := e.(*ast.FuncCallExpr)
	if !ok {
		return ""
	}
	id, ok := call.Func.(*ast.IdentExpr)
	if !ok {
		return ""
	}
	return id.Value
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
