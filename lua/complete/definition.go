package complete

import (
	"vsl/lua/language"
	"vsl/lua/syntax"
)

// Target is where something is defined.
type Target struct {
	syntax.Span
	Module *language.Module // that it is in; nil is the text itself
}

// Definition finds where what stands at an offset is defined: a variable, a function,
// a member of a module, or a module.
func Definition(a *language.Analysis, at int) (Target, bool) {
	path := a.File.Path(at)
	leaf := path[len(path)-1]
	switch n := leaf.(type) {
	case *syntax.Ident:
		if n.Local != nil {
			if n.Local.Decl == nil { // self and arg
				return Target{}, false
			}
			if m := a.TypeOf(n).Module; m != nil && n == n.Local.Decl {
				return Target{Module: m}, true
			}
			return Target{Span: n.Local.Decl.Span}, true
		}
		where, ok := a.AssignedAt(n.Name)
		return Target{Span: where}, ok
	case *syntax.Const:
		if len(path) < 2 {
			return Target{}, false
		}
		switch up := path[len(path)-2].(type) {
		case *syntax.Index:
			if obj := a.TypeOf(up.Obj); up.Key == leaf && obj.Module != nil {
				if name, ok := n.Value.(string); ok && obj.Module.Members[name] != nil {
					return Target{obj.Module.Members[name].At, obj.Module}, true
				}
			}
		case *syntax.Call:
			if m := a.TypeOf(up).Module; m != nil {
				return Target{Module: m}, true
			}
		}
	}
	return Target{}, false
}
