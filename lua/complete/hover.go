package complete

import (
	"fmt"
	"strings"

	"vsl/lua/bind"
	"vsl/lua/language"
	"vsl/lua/syntax"
)

// Hover says in Markdown what stands at an offset, and where it begins and ends;
// "" is that nothing is known.
func Hover(a *language.Analysis, at int) (string, syntax.Span) {
	path := a.File.Path(at)
	leaf := path[len(path)-1]
	where := leaf.Where()
	var up syntax.Node
	if len(path) > 1 {
		up = path[len(path)-2]
	}
	switch n := leaf.(type) {
	case *syntax.Ident:
		return nameText(a, n), where
	case *syntax.Const:
		switch up := up.(type) {
		case *syntax.Index:
			if up.Key == leaf {
				return typeText(a, a.TypeOf(up)), where
			}
		case *syntax.Call:
			if up.Method == leaf {
				return wordText(a.Callee(up)), where
			}
		case *syntax.Field:
			if up.Key == leaf && len(path) > 2 {
				return fieldText(a, path[len(path)-3], up), where
			}
		}
	}
	return "", where
}

// fieldText is a key of a table whose schema is known.
func fieldText(a *language.Analysis, table syntax.Node, f *syntax.Field) string {
	t, ok := table.(*syntax.Table)
	name, ok2 := f.Name()
	use := a.Tables[t]
	if !ok || !ok2 || use == nil || use.Schema == nil {
		return ""
	}
	for i := range use.Schema.Keys {
		if k := &use.Schema.Keys[i]; k.Name == name {
			return keyText(use.Schema, k)
		}
	}
	return ""
}

func keyText(s *bind.Schema, k *bind.Key) string {
	text := fmt.Sprintf("**%s.%s**: %s\n\n%s", s.Name, k.Name, keyDetail(k), keyDoc(k))
	if k.Type.Sub != nil {
		text += schemaText(k.Type.Sub)
	}
	if len(k.Type.Names) > 0 && k.Type.Form == bind.ByName {
		text += "\n\n" + strings.Join(k.Type.Names, ", ")
	}
	return text
}

// schemaText lists a table's keys.
func schemaText(s *bind.Schema) string {
	var b strings.Builder
	b.WriteString("\n")
	for i := range s.Keys {
		k := &s.Keys[i]
		fmt.Fprintf(&b, "\n- `%s`: %s; %s", k.Name, keyDetail(k), k.Doc)
	}
	return b.String()
}

func wordText(w *language.Word) string {
	if w == nil {
		return ""
	}
	text := "**" + w.Name + "**"
	if w.Sig != "" {
		text = "`" + w.Name + w.Sig + "`"
	}
	if w.Doc != "" {
		text += ": " + w.Doc
	}
	if len(w.Names) > 0 {
		text += "\n\n" + strings.Join(w.Names, ", ")
	}
	if w.Acts {
		text += "\n\nCan only be called inside a flow or at the prompt."
	}
	if w.Function && w.Schema != nil {
		text += schemaText(w.Schema)
	}
	if w.Members != nil && len(w.Members) > 0 {
		text += "\n\n" + strings.Join(language.Names(w.Members), ", ")
	}
	return text
}

func typeText(a *language.Analysis, t language.Type) string {
	switch {
	case t.Export != nil && (t.Export.Sig != "" || t.Export.Members != nil): // one made in Go
		return wordText(&t.Export.Word)
	case t.Export != nil:
		return "**" + t.Export.Name + t.Export.Params + "**\n\n" + t.Export.Doc
	case t.Module != nil:
		return "module **" + t.Module.Name + "**\n\n" + strings.Join(language.Names(a.MembersOf(t)), ", ")
	case t.Word != nil:
		return wordText(t.Word)
	case t.Schema != nil:
		return "**" + t.Schema.Name + "**: " + t.Schema.Doc + schemaText(t.Schema)
	case len(t.Choices) > 0:
		return "one of: " + strings.Join(t.Choices, ", ")
	case t.Kind != "":
		return "a " + t.Kind
	}
	return ""
}

func nameText(a *language.Analysis, id *syntax.Ident) string {
	l := id.Local
	if l == nil {
		if w := a.Lang.Globals[id.Name]; w != nil {
			return wordText(w)
		}
		return typeText(a, a.TypeOf(id))
	}
	head := "local **" + l.Name + "**"
	if fn, ok := l.Value.(*syntax.Func); ok {
		head = "local function **" + l.Name + "**" + language.Params(fn)
	}
	if l.Kind == syntax.Parameter {
		head = "parameter **" + l.Name + "**"
	}
	t := a.TypeOf(id)
	if t.Kind != "" && t.Kind != "function" && t.Module == nil {
		head += ": a " + t.Kind
	}
	if l.Stmt != nil {
		if doc := language.CommentAbove(a.File, l.Stmt.Where().From); doc != "" && (l.Kind == syntax.Variable || l.Kind == syntax.Function) {
			head += "\n\n" + doc
		}
	}
	if t.Module != nil {
		head += "\n\n" + typeText(a, t)
	}
	return head
}
