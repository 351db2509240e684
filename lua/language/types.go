package language

import (
	"vsl/lua/bind"
	"vsl/lua/syntax"
)

// Type is what is known of an expression's value. The zero Type is nothing.
type Type struct {
	Kind    string       // of object, or "string", "table", "function"
	Word    *Word        // that it is
	Module  *Module      // whose table it is
	Export  *Export      // of a module
	Schema  *bind.Schema // that it was declared by, as g.spec is
	Choices []string     // the texts that it can be

	method *Word // that a call calls
	guess  bool  // by its name alone
}

// Guess says that the kind follows from the name alone: enough to suggest something,
// not to call anything wrong.
func (t Type) Guess() bool { return t.guess }

// maxTyping bounds how far names are followed.
const maxTyping = 20

// TypeOf finds out what an expression's value is.
func (a *Analysis) TypeOf(e syntax.Expr) Type {
	if a.typing++; a.typing > maxTyping {
		a.typing--
		return Type{}
	}
	defer func() { a.typing-- }()
	switch e := e.(type) {
	case *syntax.Ident:
		return a.nameType(e)
	case *syntax.Const:
		if _, ok := e.Value.(string); ok {
			return Type{Kind: "string"}
		}
	case *syntax.Table:
		return Type{Kind: "table"}
	case *syntax.Func:
		return Type{Kind: "function"}
	case *syntax.Paren:
		return a.TypeOf(e.X)
	case *syntax.Index:
		return a.indexType(e)
	case *syntax.Call:
		return a.callType(e)
	case *syntax.Binary:
		if e.Op == ".." {
			return Type{Kind: "string"}
		}
		if e.Op == "or" {
			if t := a.TypeOf(e.L); t.Kind != "" {
				return Type{Kind: t.Kind, guess: t.guess}
			}
			return Type{Kind: a.TypeOf(e.R).Kind}
		}
	}
	return Type{}
}

func (a *Analysis) nameType(id *syntax.Ident) Type {
	l := id.Local
	if l == nil {
		if g := a.globals[id.Name]; g != nil {
			t := a.TypeOf(g.value)
			t.guess, t.Choices = true, nil
			return t
		}
		return wordType(a.Lang.Globals[id.Name])
	}
	switch {
	case l.Kind == syntax.Parameter:
		if role := a.Roles[l.Func]; role == Flow && len(l.Func.Params) > 0 && l.Func.Params[0] == l.Decl {
			return Type{Kind: "guest"}
		}
		if l.Name == "g" || l.Name == "guest" {
			return Type{Kind: "guest", guess: true}
		}
	case l.Value != nil && len(l.Writes) == 0:
		return a.TypeOf(l.Value)
	case l.Value != nil:
		t := a.TypeOf(l.Value)
		t.guess, t.Choices = true, nil
		return t
	}
	return Type{}
}

// wordType is what a word stands for.
func wordType(w *Word) Type {
	switch {
	case w == nil:
		return Type{}
	case w.Function:
		return Type{Kind: "function", Word: w}
	case w.Members != nil:
		return Type{Kind: "table", Word: w}
	}
	return Type{Kind: w.Gives, Word: w, Schema: w.Schema, Choices: w.Names}
}

func (a *Analysis) indexType(e *syntax.Index) Type {
	obj := a.TypeOf(e.Obj)
	c, _ := e.Key.(*syntax.Const)
	if c == nil {
		if obj.Kind == "pool" {
			return Type{Kind: "guest", guess: true}
		}
		return Type{}
	}
	name, ok := c.Value.(string)
	switch {
	case !ok && obj.Kind == "pool":
		return Type{Kind: "guest", guess: true}
	case !ok:
		return Type{}
	case obj.Module != nil:
		if x := obj.Module.Members[name]; x != nil {
			t := wordType(&x.Word)
			t.Export = x
			return t
		}
	case obj.Kind == "status" && name == "state":
		return Type{Kind: "string", Choices: a.Lang.Objects["guest"]["state"].Names}
	case obj.Word != nil && obj.Word.Members != nil:
		return wordType(obj.Word.Members[name])
	case obj.Schema != nil:
		return specType(obj.Schema, name)
	}
	if w := a.Lang.Objects[obj.Kind][name]; w != nil {
		t := wordType(w)
		t.guess = obj.guess
		return t
	}
	return Type{}
}

// specType is a key of what was declared.
func specType(s *bind.Schema, name string) Type {
	for _, k := range s.Keys {
		if k.Name != name {
			continue
		}
		if k.Type.Sub != nil && k.Type.Form == bind.Itself {
			return Type{Kind: "table", Schema: k.Type.Sub}
		}
		if k.Type.Form == bind.Itself {
			return Type{Choices: k.Type.Names}
		}
	}
	return Type{}
}

// MembersOf are the fields and methods that a value of a type has, nil where that is
// not known.
func (a *Analysis) MembersOf(t Type) map[string]*Word {
	switch {
	case t.Module != nil:
		m := map[string]*Word{}
		for name, e := range t.Module.Members {
			m[name] = &e.Word
		}
		return m
	case t.Word != nil && t.Word.Members != nil:
		return t.Word.Members
	case t.Kind == "string":
		if w := a.Lang.Globals["string"]; w != nil {
			return w.Members
		}
	}
	return a.Lang.Objects[t.Kind]
}

func (a *Analysis) callType(c *syntax.Call) Type {
	if c.Method != nil {
		name, _ := c.Method.Value.(string)
		obj := a.TypeOf(c.Func)
		w := a.MembersOf(obj)[name]
		if w == nil {
			return Type{}
		}
		t := Type{Kind: w.Gives, method: w, guess: obj.guess}
		if obj.Kind == "string" && name != "find" && name != "byte" && name != "len" && name != "gmatch" && name != "match" {
			t.Kind = "string"
		}
		return t
	}
	if inner, ok := c.Func.(*syntax.Call); ok {
		if w := a.declares(inner); w != nil {
			return Type{Kind: w.Gives}
		}
		return Type{}
	}
	w := a.TypeOf(c.Func).Word
	switch {
	case w == nil:
	case w.Name == "require" && len(c.Args) == 1:
		if k, ok := c.Args[0].(*syntax.Const); ok {
			if name, ok := k.Value.(string); ok {
				if m := a.Module(name); m != nil {
					return Type{Kind: "table", Module: m}
				}
			}
		}
	case w.Name == "type":
		return Type{Kind: "string", Choices: []string{"nil", "boolean", "number", "string", "table", "function", "thread", "userdata"}}
	case w.Declares && len(c.Args) < 2: // waits for its table
		return Type{}
	case len(w.Name) > 6 && w.Name[:6] == "param.":
		return paramType(w, c)
	default:
		return Type{Kind: w.Gives}
	}
	return Type{}
}

// paramType is what a parameter gives, with the choices it was declared with.
func paramType(w *Word, c *syntax.Call) Type {
	t := Type{}
	switch w.Short() {
	case "string", "ip", "cidr":
		t.Kind = "string"
	case "secret":
		t.Kind = "secret"
	case "list":
		t.Kind = "table"
	}
	if len(c.Args) < 2 || w.Short() != "string" {
		return t
	}
	options, ok := c.Args[1].(*syntax.Table)
	if !ok {
		return t
	}
	for _, f := range options.Fields {
		list, isTable := f.Value.(*syntax.Table)
		if name, _ := f.Name(); name != "choices" || !isTable {
			continue
		}
		for _, item := range list.Fields {
			s, ok := "", false
			if k, isConst := item.Value.(*syntax.Const); isConst && item.Key == nil {
				s, ok = k.Value.(string)
			}
			if !ok {
				return t
			}
			t.Choices = append(t.Choices, s)
		}
	}
	return t
}
