// Package complete says what can be typed at a place of a text, and what stands
// there means. Editors and the prompt ask it alike; it runs nothing.
package complete

import (
	"slices"
	"strings"

	"vsl/lua/bind"
	"vsl/lua/language"
	"vsl/lua/syntax"
)

// Kind is what kind of thing an item is.
type Kind int

// The kinds of item.
const (
	Key Kind = iota + 1
	Value
	Function
	Method
	Field
	Module
	Variable
	Keyword
	File
)

// Item is one thing that can be typed.
type Item struct {
	Label  string
	Kind   Kind
	Detail string // in a few words: of a key what it takes
	Doc    string
	Insert string // what is typed for it; "" is the label
}

// At gives what can be typed at an offset, best first, and the word that is typed
// already, which it takes the place of. Whether the word fits is for the caller.
func At(a *language.Analysis, at int) ([]Item, syntax.Span) {
	c := newCursor(a, at)
	switch {
	case c.comment:
		return nil, c.word
	case c.quoted:
		return c.texts(), c.word
	case c.before(".") || c.before(":"):
		return c.members(), c.word
	}
	var out []Item
	t, use := c.table()
	if t != nil && use != nil && c.keyPlace(t) {
		if out = c.keys(t, use); use.Schema == nil || !c.takesItems(use) {
			return out, c.word
		}
	} else if key := c.valueOf(t, use); key != nil {
		out = values(key)
	}
	return append(out, c.names()...), c.word
}

// Matching keeps the items that begin with what is typed. Where none does, those
// that contain it are kept.
func Matching(items []Item, typed string) []Item {
	typed = strings.ToLower(typed)
	out := slices.DeleteFunc(slices.Clone(items), func(i Item) bool { return !strings.HasPrefix(strings.ToLower(i.Label), typed) })
	if len(out) == 0 && typed != "" {
		out = slices.DeleteFunc(slices.Clone(items), func(i Item) bool { return !strings.Contains(strings.ToLower(i.Label), typed) })
	}
	return out
}

// cursor is a place in a text.
type cursor struct {
	a       *language.Analysis
	f       *syntax.File
	at      int
	word    syntax.Span // the name that is being typed
	prev    int         // the token before it, -1 is none
	token   int         // the string that the cursor is in
	comment bool
	quoted  bool
}

func newCursor(a *language.Analysis, at int) *cursor {
	c := &cursor{a: a, f: a.File, at: min(max(at, 0), len(a.File.Text)), prev: -1}
	c.word = syntax.Span{From: c.at, To: c.at}
	for _, t := range c.f.Comments {
		if t.From < c.at && (c.at < t.To || c.at == t.To && !strings.HasPrefix(t.Text, "--[[")) {
			c.comment = true
		}
	}
	for i, t := range c.f.Tokens {
		if t.From >= c.at || t.Kind == syntax.EOF {
			break
		}
		inside := c.at < t.To || t.Broken != "" && c.at == t.To
		switch {
		case t.Kind == syntax.String && inside:
			c.quoted, c.token = true, i
			from := t.From + 1
			c.word = syntax.Span{From: min(from, c.at), To: max(c.at, t.To-1)}
			if t.Broken != "" {
				c.word.To = t.To
			}
		case c.at <= t.To && (t.Kind == syntax.Name || t.Kind == syntax.Keyword):
			c.word = syntax.Span{From: t.From, To: c.at}
		default:
			c.prev = i
		}
	}
	return c
}

func (c *cursor) before(text string) bool {
	if c.prev < 0 {
		return false
	}
	t := c.f.Tokens[c.prev]
	return t.Kind == syntax.Op && t.Text == text
}

// members are what the object before . or : has.
func (c *cursor) members() []Item {
	obj := c.object()
	if obj == nil {
		return nil
	}
	t := c.a.TypeOf(obj)
	if t.Schema != nil {
		var out []Item
		for _, k := range t.Schema.Keys {
			out = append(out, Item{Label: k.Name, Kind: Field, Detail: k.Type.Want, Doc: k.Doc})
		}
		return out
	}
	var out []Item
	colon := c.before(":")
	all := c.a.MembersOf(t)
	for _, name := range language.Names(all) {
		w := all[name]
		if strings.HasPrefix(name, "__") || colon && !w.Function || !colon && w.Method {
			continue
		}
		if t.Kind == "string" && !colon {
			continue
		}
		item := wordItem(name, w)
		if t.Module != nil {
			if e := t.Module.Members[name]; e.Params != "" {
				item.Detail = e.Params
			}
		}
		out = append(out, item)
	}
	if !colon && len(out) == 0 { // g.exec is nothing, g:exec is: say so by offering it
		for _, name := range language.Names(all) {
			if all[name].Method {
				out = append(out, wordItem(name, all[name]))
			}
		}
	}
	return out
}

func wordItem(name string, w *language.Word) Item {
	item := Item{Label: name, Kind: Field, Doc: w.Doc, Detail: strings.Join(w.Names, ", ")}
	switch {
	case w.Method:
		item.Kind = Method
	case w.Function:
		item.Kind = Function
	case w.Members != nil:
		item.Kind = Module
	}
	if w.Function {
		item.Detail = w.Sig
	}
	return item
}

// object is the expression before the . or : before the cursor.
func (c *cursor) object() (found syntax.Expr) {
	if c.prev < 1 {
		return nil
	}
	end, dot := c.f.Tokens[c.prev-1].To, c.f.Tokens[c.prev].To
	look := func(obj syntax.Expr, name syntax.Node) {
		if obj.Where().To == end && name.Where().From >= dot {
			found = obj
		}
	}
	syntax.Walk(c.f.Body, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Index:
			look(n.Obj, n.Key)
		case *syntax.Call:
			if n.Method != nil {
				look(n.Func, n.Method)
			}
		case *syntax.FuncStmt:
			if n.Method != nil {
				look(n.Target, n.Method)
			}
		}
		return n.Where().From <= c.at && end <= n.Where().To
	})
	return found
}

// table is the innermost one around the cursor, and what it is for.
func (c *cursor) table() (*syntax.Table, *language.Use) {
	path := c.f.Path(c.at)
	for i := len(path) - 1; i >= 0; i-- {
		switch n := path[i].(type) {
		case *syntax.Func:
			return nil, nil
		case *syntax.Table:
			if n.From < c.at && (c.at < n.To || !n.Closed) {
				return n, c.a.Tables[n]
			}
		}
	}
	return nil, nil
}

// keyPlace says that a key of the table can begin where the word does.
func (c *cursor) keyPlace(t *syntax.Table) bool {
	if c.before("{") || c.before(",") || c.before(";") {
		return true
	}
	for _, f := range t.Fields { // its comma is missing
		if id, ok := f.Value.(*syntax.Ident); ok && f.Key == nil && id.From == c.word.From && c.word.To > c.word.From {
			return true
		}
		if f.Named && f.From == c.word.From {
			return true
		}
	}
	return false
}

func (c *cursor) takesItems(use *language.Use) bool {
	return use.Schema.Items != nil || use.Word != nil && use.Word.Acts && !use.Word.Method
}

// keys are those that the table does not have yet.
func (c *cursor) keys(t *syntax.Table, use *language.Use) []Item {
	has := map[string]bool{}
	for _, f := range t.Fields {
		if name, ok := f.Name(); ok && f.From != c.word.From {
			has[name] = true
		}
	}
	assign := " = "
	if next, ok := c.next(); ok && next == "=" {
		assign = ""
	}
	var out []Item
	if use.ByName != nil {
		for _, name := range use.ByName.Names {
			if !has[name] {
				out = append(out, Item{Label: name, Kind: Key, Insert: name + assign})
			}
		}
		return out
	}
	for i := range use.Schema.Keys {
		if k := &use.Schema.Keys[i]; !has[k.Name] {
			out = append(out, Item{Label: k.Name, Kind: Key, Detail: keyDetail(k), Doc: keyDoc(k), Insert: k.Name + assign})
		}
	}
	return out
}

// next is the token behind the word that is typed.
func (c *cursor) next() (string, bool) {
	for _, t := range c.f.Tokens {
		if t.From >= c.at && t.From > c.word.From {
			return t.Text, t.Kind == syntax.Op
		}
	}
	return "", false
}

func keyDetail(k *bind.Key) string {
	d := k.Type.Want
	if k.Required {
		d += " (required)"
	}
	return d
}

// keyDoc is all that is known of a key but what it takes.
func keyDoc(k *bind.Key) string {
	doc := k.Doc
	if k.Default != "" {
		doc += "; default: " + k.Default
	}
	if k.Live {
		doc += "; takes effect on a running guest"
	}
	return doc
}
