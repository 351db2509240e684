package lint

import (
	"fmt"
	"strings"

	"vsl/lua/runtime"
	"vsl/lua/syntax"
)

// names looks at what each name means.
func (l *linter) names() {
	assigned := map[string]bool{}
	for _, id := range l.targets() {
		if !assigned[id.Name] {
			assigned[id.Name] = true
			l.mistake("global", id.Span, runtime.Assigned(id.Name))
		}
	}
	for _, id := range l.f.Globals {
		if l.lang.Globals[id.Name] == nil && !assigned[id.Name] {
			l.mistake("undefined", id.Span, runtime.Undefined(id.Name, l.lang.Known()))
		}
	}
	for _, v := range l.f.Locals {
		l.unused(v)
		l.shadow(v)
	}
}

// targets are the globals that are assigned to.
func (l *linter) targets() []*syntax.Ident {
	var out []*syntax.Ident
	global := func(e syntax.Expr) {
		if id, ok := e.(*syntax.Ident); ok && id.Local == nil && id.Name != "" && id.Name != "self" && id.Name != "arg" {
			out = append(out, id)
		}
	}
	syntax.Walk(l.f.Body, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Assign:
			for _, t := range n.Targets {
				global(t)
			}
		case *syntax.FuncStmt:
			if n.Method == nil {
				global(n.Target)
			}
		}
		return true
	})
	return out
}

// unused leaves parameters and loop variables alone: they say what there is.
func (l *linter) unused(v *syntax.Local) {
	if len(v.Reads) > 0 || strings.HasPrefix(v.Name, "_") || v.Kind != syntax.Variable && v.Kind != syntax.Function {
		return
	}
	what := "local variable"
	if _, ok := v.Value.(*syntax.Func); ok {
		what = "local function"
	}
	if len(v.Writes) > 0 {
		l.add("unused", v.Decl.Span, fmt.Sprintf("the %s %q is assigned to and never read", what, v.Name), "leave it out")
		return
	}
	hint := "leave it out, or call it _" + v.Name
	if s, ok := v.Stmt.(*syntax.LocalStmt); ok && len(s.Names) == 1 && len(s.Values) == 1 {
		if _, ok := s.Values[0].(*syntax.Call); ok {
			hint = fmt.Sprintf("leave out local %s =", v.Name)
		}
	}
	l.add("unused", v.Decl.Span, fmt.Sprintf("the %s %q is never used", what, v.Name), hint)
}

// shadow leaves out the idiom local x = x.
func (l *linter) shadow(v *syntax.Local) {
	if strings.HasPrefix(v.Name, "_") {
		return
	}
	if id, ok := v.Value.(*syntax.Ident); ok && id.Name == v.Name {
		return
	}
	hint := "give one of the two another name"
	if h := v.Hides; h != nil {
		line, _ := l.f.Lines.At(h.Decl.From)
		l.add("shadow", v.Decl.Span, fmt.Sprintf("%q hides the local of the same name from line %d", v.Name, line), hint)
		return
	}
	if l.lang.Globals[v.Name] != nil {
		l.add("shadow", v.Decl.Span, fmt.Sprintf("the local %q hides the word %s of the language", v.Name, v.Name), "give it another name")
	}
}
