package lsp

import (
	"fmt"

	"vsl/lua/bind"
	"vsl/lua/complete"
	"vsl/lua/language"
	"vsl/lua/syntax"
)

// kinds are the protocol's numbers of what can be typed.
var kinds = map[complete.Kind]int{
	complete.Key: 10, complete.Value: 12, complete.Function: 3, complete.Method: 2, complete.Field: 5,
	complete.Module: 9, complete.Variable: 6, complete.Keyword: 14, complete.File: 17,
}

func (s *Server) completion(p placeParams) any {
	d, at := s.at(p)
	list := completionList{Items: []completionItem{}}
	if d == nil {
		return list
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := d.analysis()
	items, word := complete.At(a, at)
	for i, item := range items {
		insert := item.Insert
		if insert == "" {
			insert = item.Label
		}
		c := completionItem{Label: item.Label, Kind: kinds[item.Kind], Detail: item.Detail, FilterText: item.Label,
			SortText: fmt.Sprintf("%04d", i), TextEdit: &textEdit{rangeOf(a.File.Lines, word), insert}}
		if item.Doc != "" {
			c.Documentation = &markup{"markdown", item.Doc}
		}
		list.Items = append(list.Items, c)
	}
	return list
}

func (s *Server) hover(p placeParams) any {
	d, at := s.at(p)
	if d == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := d.analysis()
	text, where := complete.Hover(a, at)
	if text == "" {
		return nil
	}
	return hover{markup{"markdown", text}, rangeOf(a.File.Lines, where)}
}

func (s *Server) definition(p placeParams) any {
	d, at := s.at(p)
	if d == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := d.analysis()
	t, ok := complete.Definition(a, at)
	if !ok {
		return nil
	}
	if t.Module == nil {
		return location{d.uri, rangeOf(a.File.Lines, t.Span)}
	}
	if t.Module.Path == "" || !isFile(t.Module.Path) { // part of vsl itself
		return nil
	}
	return location{uriOf(t.Module.Path), rangeOf(t.Module.File.Lines, t.Span)}
}

// The protocol's numbers of symbols.
const (
	symbolModule   = 2
	symbolClass    = 5
	symbolFunction = 12
	symbolEvent    = 24
)

func (s *Server) symbols(p openParams) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []symbol{}
	d := s.docs[p.TextDocument.URI]
	if d == nil {
		return out
	}
	a := d.analysis()
	for _, c := range a.Calls {
		if sym, ok := declared(a, c); ok {
			out = append(out, sym)
		}
	}
	for _, st := range a.File.Body.Stmts {
		switch st := st.(type) {
		case *syntax.LocalStmt:
			if fn, ok := one(st.Values); ok {
				out = append(out, function(a, st.Names[0].Name, fn, st.Span, st.Names[0].Span))
			}
		case *syntax.FuncStmt:
			at := st.Target.Where()
			out = append(out, function(a, a.File.Text[at.From:at.To], st.Func, st.Span, at))
		}
	}
	return out
}

func one(values []syntax.Expr) (*syntax.Func, bool) {
	if len(values) != 1 {
		return nil, false
	}
	fn, ok := values[0].(*syntax.Func)
	return fn, ok
}

func function(a *language.Analysis, name string, fn *syntax.Func, all, at syntax.Span) symbol {
	l := a.File.Lines
	if name == "" {
		name = "function"
	}
	return symbol{Name: name, Detail: language.Params(fn), Kind: symbolFunction, Range: rangeOf(l, all), SelectionRange: rangeOf(l, at)}
}

// declared is guest "name" { … } and its kin, with the flows in it.
func declared(a *language.Analysis, c *syntax.Call) (symbol, bool) {
	for _, arg := range c.Args {
		t, ok := arg.(*syntax.Table)
		use := a.Tables[t]
		if !ok || use == nil || use.Call != c || use.Word == nil || !use.Word.Declares || use.Name == nil {
			continue
		}
		l := a.File.Lines
		at := use.Name.Where()
		name := a.File.Text[at.From:at.To]
		if k, ok := use.Name.(*syntax.Const); ok {
			if text, ok := k.Value.(string); ok && text != "" {
				name = text
			}
		}
		if name == "" {
			name = use.Word.Name
		}
		sym := symbol{Name: name, Detail: use.Word.Name, Kind: symbolClass, Range: rangeOf(l, c.Span), SelectionRange: rangeOf(l, at)}
		if use.Word.Name == "template" {
			sym.Kind = symbolModule
		}
		sym.Children = flows(a, t)
		return sym, true
	}
	return symbol{}, false
}

// flows are the functions in a declaration's table, and in those within it.
func flows(a *language.Analysis, t *syntax.Table) []symbol {
	var out []symbol
	for _, f := range t.Fields {
		name, ok := f.Name()
		if !ok {
			continue
		}
		switch v := f.Value.(type) {
		case *syntax.Func:
			sym := function(a, name, v, f.Span, f.Key.Where())
			sym.Kind = symbolEvent
			out = append(out, sym)
		case *syntax.Table:
			if use := a.Tables[v]; use != nil && use.Schema == bind.HooksSchema {
				out = append(out, flows(a, v)...)
			}
		}
	}
	return out
}
