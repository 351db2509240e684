package language

import (
	"maps"
	"slices"

	"vsl/lua/bind"
	"vsl/lua/syntax"
)

// Role is when a function runs.
type Role int

// The roles. An outer function's role counts for those in it that have none.
const (
	Unknown Role = iota
	Reading      // while the recipe is read
	Flow         // while something acts; its first parameter is a guest
	Acting       // while something acts
)

// Use is what a table constructor declares.
type Use struct {
	Schema *bind.Schema
	Key    *bind.Key // whose value it is; nil is an argument
	// ByName says that its own keys are names of the recipe's, and what they hold.
	ByName *bind.Type
	// Call is the call that it is an argument of; nil within another table. Name is
	// the text before it, as in guest "name" { … }.
	Call *syntax.Call
	Word *Word
	Name syntax.Expr
}

// Analysis is what was found out about a text.
type Analysis struct {
	Lang   *Language
	File   *syntax.File
	Tables map[*syntax.Table]*Use
	Roles  map[*syntax.Func]Role
	Calls  []*syntax.Call // in the order of the text

	find    Finder
	modules map[string]*Module
	inside  map[*syntax.Call]*syntax.Func
	globals map[string]*assignment
	typing  int // how deep TypeOf is in itself
}

// Analyse finds out what a text's tables and functions are for.
func Analyse(lang *Language, f *syntax.File, find Finder) *Analysis {
	a := &Analysis{Lang: lang, File: f, Tables: map[*syntax.Table]*Use{}, Roles: map[*syntax.Func]Role{}, find: find, modules: map[string]*Module{}, inside: map[*syntax.Call]*syntax.Func{}, globals: map[string]*assignment{}}
	a.collect(f.Body, nil)
	for roles := -1; roles < len(a.Roles); { // what a function is given may be known only from a later call
		roles = len(a.Roles)
		for _, c := range a.Calls {
			a.call(c)
		}
	}
	for changed := true; changed; { // functions that are called while reading run while reading
		changed = false
		for _, c := range a.Calls {
			changed = a.readingCall(c) || changed
		}
	}
	return a
}

// collect lists the calls, with the function that each is in.
func (a *Analysis) collect(n syntax.Node, fn *syntax.Func) {
	switch n := n.(type) {
	case *syntax.Call:
		a.Calls = append(a.Calls, n)
		a.inside[n] = fn
	case *syntax.Func:
		fn = n
	case *syntax.Assign:
		for i, t := range n.Targets {
			if i < len(n.Values) {
				a.assign(t, n.Values[i])
			}
		}
	case *syntax.FuncStmt:
		if n.Method == nil {
			a.assign(n.Target, n.Func)
		}
	}
	for _, c := range syntax.Children(n) {
		a.collect(c, fn)
	}
}

// assignment is where a global gets its value: at a prompt it is allowed.
type assignment struct {
	at    syntax.Span
	value syntax.Expr
}

func (a *Analysis) assign(target, value syntax.Expr) {
	if id, ok := target.(*syntax.Ident); ok && id.Local == nil && id.Name != "" {
		a.globals[id.Name] = &assignment{id.Span, value}
	}
}

// Assigned lists the globals that the text assigns to, sorted.
func (a *Analysis) Assigned() []string { return slices.Sorted(maps.Keys(a.globals)) }

// AssignedAt is where a global gets its value, at last.
func (a *Analysis) AssignedAt(name string) (syntax.Span, bool) {
	g := a.globals[name]
	if g == nil {
		return syntax.Span{}, false
	}
	return g.at, true
}

// Module gives a module by its name, nil where there is none.
func (a *Analysis) Module(name string) *Module {
	m, ok := a.modules[name]
	if !ok {
		m = FindModule(name, a.find)
		a.modules[name] = m
	}
	return m
}

// callee is the word that a call names, and for guest "x" { … } the name.
func (a *Analysis) callee(c *syntax.Call) (w *Word, name syntax.Expr) {
	if c.Method != nil {
		return a.TypeOf(c).method, nil
	}
	if inner, ok := c.Func.(*syntax.Call); ok {
		if w := a.declares(inner); w != nil {
			return w, inner.Args[0]
		}
		return nil, nil
	}
	w = a.TypeOf(c.Func).Word
	if w != nil && w.Declares && len(c.Args) == 2 {
		return w, c.Args[0]
	}
	return w, nil
}

// declares gives the word of guest "name", which waits for its table.
func (a *Analysis) declares(c *syntax.Call) *Word {
	if _, chain := c.Func.(*syntax.Call); chain || c.Method != nil || len(c.Args) != 1 {
		return nil
	}
	if w := a.TypeOf(c.Func).Word; w != nil && w.Declares {
		return w
	}
	return nil
}

// Callee is the word that a call names; nil is not known.
func (a *Analysis) Callee(c *syntax.Call) *Word {
	w, _ := a.callee(c)
	return w
}

// call gives the tables and functions among a call's arguments their meaning.
func (a *Analysis) call(c *syntax.Call) {
	w, name := a.callee(c)
	if w == nil {
		return
	}
	for _, arg := range c.Args {
		switch w.Name {
		case "timeout", "defer", "it", "before_each", "after_each":
			a.function(arg, Acting)
		case "describe":
			a.function(arg, Reading)
		}
		if w.Schema != nil {
			a.table(arg, Use{Schema: w.Schema, Call: c, Word: w, Name: name})
		}
	}
}

// table notes what a table is for, whether it stands here or behind a name.
func (a *Analysis) table(e syntax.Expr, use Use) {
	switch e := e.(type) {
	case *syntax.Table:
		if a.Tables[e] == nil {
			a.Tables[e] = &use
			a.fields(e, use)
		}
	case *syntax.Paren:
		a.table(e.X, use)
	case *syntax.Ident:
		if e.Local != nil && e.Local.Kind == syntax.Variable {
			if t, ok := e.Local.Value.(*syntax.Table); ok {
				use.Call = nil
				a.table(t, use)
			}
		}
	case *syntax.Call: // std.merge(common, { … }) is what it is made of
		if m := a.TypeOf(e.Func); m.Export != nil && m.Export.Name == "vsl.std.merge" {
			use.Call = nil
			for _, arg := range e.Args {
				a.table(arg, use)
			}
		}
	}
}

func (a *Analysis) fields(t *syntax.Table, use Use) {
	if use.ByName != nil {
		for _, f := range t.Fields {
			if f.Key != nil && use.ByName.Sub != nil {
				a.table(f.Value, Use{Schema: use.ByName.Sub, Key: use.Key})
			}
		}
		return
	}
	for i, f := range t.Fields {
		name, ok := f.Name()
		if !ok {
			a.item(f, i, use)
			continue
		}
		for k := range use.Schema.Keys {
			if key := &use.Schema.Keys[k]; key.Name == name {
				a.value(f.Value, key, use)
			}
		}
	}
}

// item is an entry of the list part.
func (a *Analysis) item(f *syntax.Field, i int, use Use) {
	switch {
	case use.Schema.Items == bind.Func:
		a.function(f.Value, Acting)
	case use.Word != nil && use.Word.Acts && !use.Word.Method && i == 1: // limit { g, spec.limit }
		a.table(f.Value, Use{Schema: use.Schema})
	}
}

// value is what a key of a schema is given.
func (a *Analysis) value(v syntax.Expr, key *bind.Key, use Use) {
	typ := key.Type
	if typ == bind.Func || use.Schema == bind.GuestSchema && key.Name == "ready" {
		role := Flow
		if use.Schema == bind.PoolSchema {
			role = Reading
		}
		if fn := a.function(v, role); fn != nil && role == Reading {
			a.returned(fn.Body, Use{Schema: bind.GuestSchema})
		}
		return
	}
	if typ.Form == bind.ByName {
		a.table(v, Use{ByName: typ, Key: key})
		return
	}
	if typ.Sub == nil {
		return
	}
	sub := Use{Schema: typ.Sub, Key: key}
	t, ok := v.(*syntax.Table)
	if !ok || typ.Form == bind.Itself || typ.Form == bind.ItemsOrItself && keyed(t) {
		a.table(v, sub)
		return
	}
	for _, f := range t.Fields {
		if f.Key == nil {
			a.table(f.Value, sub)
		}
	}
}

func keyed(t *syntax.Table) bool {
	return len(t.Fields) > 0 && t.Fields[0].Key != nil
}

// returned finds the tables that a function gives back.
func (a *Analysis) returned(b *syntax.Block, use Use) {
	syntax.Walk(b, func(n syntax.Node) bool {
		if r, ok := n.(*syntax.Return); ok && len(r.Values) == 1 {
			a.table(r.Values[0], use)
		}
		_, inner := n.(*syntax.Func)
		return !inner
	})
}

// function gives a function its role, whether it stands here or behind a name.
func (a *Analysis) function(e syntax.Expr, role Role) *syntax.Func {
	if id, ok := e.(*syntax.Ident); ok && id.Local != nil && len(id.Local.Writes) == 0 {
		e = id.Local.Value
	}
	fn, ok := e.(*syntax.Func)
	if !ok {
		return nil
	}
	if a.Roles[fn] == Unknown {
		a.Roles[fn] = role
	}
	return fn
}

// RoleAt is when the code directly in fn runs; a nil fn is the file itself. A
// function that is made in a flow cannot run before it.
func (a *Analysis) RoleAt(fn *syntax.Func) Role {
	if fn == nil {
		return Reading
	}
	for f := fn; f != nil; f = f.Up {
		switch r := a.Roles[f]; {
		case r == Flow || r == Acting:
			return r
		case r == Reading && f == fn:
			return r
		case r == Reading:
			return Unknown
		}
	}
	return Unknown
}

// readingCall notes that a local function runs while reading, as it is called then.
func (a *Analysis) readingCall(c *syntax.Call) bool {
	id, ok := c.Func.(*syntax.Ident)
	if !ok || c.Method != nil || id.Local == nil || len(id.Local.Writes) > 0 {
		return false
	}
	fn, ok := id.Local.Value.(*syntax.Func)
	if !ok || a.Roles[fn] != Unknown || a.RoleAt(a.Inside(c)) != Reading {
		return false
	}
	a.Roles[fn] = Reading
	return true
}

// Inside is the function that a call is written in; nil is none.
func (a *Analysis) Inside(c *syntax.Call) *syntax.Func { return a.inside[c] }
