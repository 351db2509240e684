package complete

import (
	"slices"
	"strconv"
	"strings"

	"vsl/lua/bind"
	"vsl/lua/language"
	"vsl/lua/syntax"
)

// valueOf is the key whose value is being typed; nil is none.
func (c *cursor) valueOf(t *syntax.Table, use *language.Use) *bind.Key {
	if t == nil || use == nil || use.Schema == nil {
		return nil
	}
	for _, f := range t.Fields {
		name, ok := f.Name()
		if !ok || f.From > c.at || f.To < c.at || !c.begins(f.Value) {
			continue
		}
		for i := range use.Schema.Keys {
			if k := &use.Schema.Keys[i]; k.Name == name {
				return k
			}
		}
	}
	return nil
}

// begins says that what is typed is the whole value.
func (c *cursor) begins(v syntax.Expr) bool {
	switch v.(type) {
	case *syntax.Missing:
		return true
	case *syntax.Ident, *syntax.Const:
		return v.Where().From == c.word.From || c.quoted && v.Where().From == c.f.Tokens[c.token].From
	}
	return false
}

// values are what a key can be given.
func values(k *bind.Key) []Item {
	var out []Item
	add := func(text, doc string) {
		out = append(out, Item{Label: text, Kind: Value, Detail: k.Type.Want, Doc: doc})
	}
	if k.Type.Form == bind.Itself {
		for _, name := range k.Type.Names {
			add(strconv.Quote(name), k.Doc)
		}
	}
	switch k.Type {
	case bind.Bool:
		add("true", k.Doc)
		add("false", k.Doc)
	}
	if strings.Contains(k.Type.Name, "function") {
		add("function(g) end", k.Doc)
	}
	if k.Type.Sub != nil {
		add("{ }", k.Doc)
	}
	return out
}

// texts are what a string can be: what its key or its comparison takes, or a module.
func (c *cursor) texts() []Item {
	choices, doc := []string(nil), ""
	if t, use := c.table(); t != nil && use != nil {
		if k := c.valueOf(t, use); k != nil && k.Type.Form == bind.Itself {
			choices, doc = k.Type.Names, k.Doc
		}
	}
	kind := Value
	at := c.f.Tokens[c.token].From
	path := c.f.Path(c.at)
	for i := len(path) - 1; i >= 0 && choices == nil; i-- {
		switch n := path[i].(type) {
		case *syntax.Call:
			if w := c.a.Callee(n); w != nil && w.Name == "require" && len(n.Args) == 1 && n.Args[0].Where().From == at {
				choices, kind = language.StdlibModules(), File
			}
		case *syntax.Binary:
			if other := n.L; n.R.Where().From == at {
				choices = c.a.TypeOf(other).Choices
			} else if n.L.Where().From == at {
				choices = c.a.TypeOf(n.R).Choices
			}
		}
	}
	var out []Item
	for _, s := range choices {
		out = append(out, Item{Label: s, Kind: kind, Doc: doc})
	}
	return out
}

// names are the variables, words of the language and keywords that can stand here.
func (c *cursor) names() []Item {
	var out []Item
	for _, l := range c.f.Visible(c.word.From) {
		if l.Decl.From == c.word.From {
			continue
		}
		item := Item{Label: l.Name, Kind: Variable, Detail: "local"}
		t := c.a.TypeOf(&syntax.Ident{Name: l.Name, Local: l})
		switch {
		case t.Module != nil:
			item.Kind, item.Detail = Module, "module "+t.Module.Name
		case t.Kind != "":
			item.Detail = t.Kind
		}
		if fn, ok := l.Value.(*syntax.Func); ok {
			item.Kind, item.Detail = Function, language.Params(fn)
		}
		if l.Stmt != nil && (l.Kind == syntax.Variable || l.Kind == syntax.Function) {
			item.Doc = language.CommentAbove(c.f, l.Stmt.Where().From)
		}
		out = append(out, item)
	}
	local := func(name string) bool { return slices.ContainsFunc(out, func(i Item) bool { return i.Label == name }) }
	for _, name := range c.a.Assigned() {
		if !local(name) && name != c.f.Text[c.word.From:c.word.To] {
			out = append(out, Item{Label: name, Kind: Variable, Detail: c.a.TypeOf(&syntax.Ident{Name: name}).Kind})
		}
	}
	for _, name := range c.a.Lang.Known() {
		if !strings.HasPrefix(name, "_") && !local(name) {
			out = append(out, wordItem(name, c.a.Lang.Globals[name]))
		}
	}
	keywords := syntax.Keywords()
	slices.Sort(keywords)
	for _, w := range keywords {
		out = append(out, Item{Label: w, Kind: Keyword})
	}
	return out
}
