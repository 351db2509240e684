package syntax

// LocalKind is how a local variable came about.
type LocalKind int

// The kinds of local variable.
const (
	Variable LocalKind = iota
	Function           // local function
	Parameter
	LoopVariable
	Implied // self and arg, which are written nowhere
)

// Local is one local variable.
type Local struct {
	Name     string
	Kind     LocalKind
	Decl     *Ident
	Seen     Span // where the name means it, but for those that hide it
	Value    Expr // that it is declared with; nil where that is not one expression
	Stmt     Stmt // that declares it; nil for parameters
	Func     *Func
	Reads    []*Ident
	Writes   []*Ident // beside its declaration
	Captured bool     // used by a function within its own
	Hides    *Local   // of the same name, that was seen here before
}

// Constant gives the value of a variable that is one literal for good.
func (l *Local) Constant() (*Const, bool) {
	c, ok := l.Value.(*Const)
	return c, ok && len(l.Writes) == 0
}

type resolver struct {
	f      *File
	scopes [][]*Local
	named  map[string][]*Local // the locals of all scopes by name, the innermost last
	fn     *Func
}

// resolve finds what each name means.
func resolve(f *File) {
	r := &resolver{f: f, named: map[string][]*Local{}}
	r.block(f.Body, func() { r.implied("arg", f.Body.Span) })
}

func (r *resolver) block(b *Block, first func()) {
	r.scopes = append(r.scopes, nil)
	if first != nil {
		first()
	}
	for _, s := range b.Stmts {
		r.stmt(s, b)
	}
	r.pop()
}

func (r *resolver) find(name string) *Local {
	if all := r.named[name]; len(all) > 0 {
		return all[len(all)-1]
	}
	return nil
}

func (r *resolver) pop() {
	last := len(r.scopes) - 1
	for _, l := range r.scopes[last] {
		all := r.named[l.Name]
		r.named[l.Name] = all[:len(all)-1]
	}
	r.scopes = r.scopes[:last]
}

func (r *resolver) declare(id *Ident, l Local, from, to int) *Local {
	l.Name, l.Decl, l.Func, l.Seen = id.Name, id, r.fn, Span{from, to}
	if id.Name == "" {
		return &l
	}
	if l.Hides = r.find(id.Name); l.Hides != nil && l.Hides.Kind == Implied {
		l.Hides = nil
	}
	id.Local = &l
	r.f.Locals = append(r.f.Locals, &l)
	r.push(&l)
	return &l
}

func (r *resolver) implied(name string, at Span) {
	r.push(&Local{Name: name, Kind: Implied, Func: r.fn, Seen: at})
}

func (r *resolver) push(l *Local) {
	r.named[l.Name] = append(r.named[l.Name], l)
	r.scopes[len(r.scopes)-1] = append(r.scopes[len(r.scopes)-1], l)
}

func (r *resolver) use(id *Ident, write bool) {
	if id.Name == "" {
		return
	}
	l := r.find(id.Name)
	id.Local = l
	switch {
	case l == nil:
		r.f.Globals = append(r.f.Globals, id)
		return
	case write:
		l.Writes = append(l.Writes, id)
	default:
		l.Reads = append(l.Reads, id)
	}
	l.Captured = l.Captured || l.Func != r.fn
}

func (r *resolver) exprs(list []Expr) {
	for _, e := range list {
		r.expr(e)
	}
}

func (r *resolver) expr(e Expr) {
	switch e := e.(type) {
	case *Ident:
		r.use(e, false)
	case *Func:
		r.function(e)
	default:
		for _, c := range Children(e) {
			r.expr(c)
		}
	}
}

func (r *resolver) function(f *Func) {
	outer := r.fn
	r.fn = f
	r.block(f.Body, func() {
		if f.Method {
			r.implied("self", f.Span)
		}
		if f.Vararg {
			r.implied("arg", f.Span)
		}
		for _, p := range f.Params {
			r.declare(p, Local{Kind: Parameter}, p.To, f.To)
		}
	})
	r.fn = outer
}

func (r *resolver) stmt(s Stmt, in *Block) {
	switch s := s.(type) {
	case *LocalStmt:
		r.local(s, in)
	case *Assign:
		r.exprs(s.Values)
		for _, t := range s.Targets {
			r.target(t)
		}
	case *Repeat:
		r.repeat(s)
	case *For:
		r.exprs(s.Values)
		r.block(s.Body, func() {
			for _, n := range s.Names {
				r.declare(n, Local{Kind: LoopVariable, Stmt: s}, s.Body.From, s.Body.To)
			}
		})
	case *FuncStmt:
		if id, ok := s.Target.(*Ident); ok && s.Method != nil {
			r.use(id, false)
		} else {
			r.target(s.Target)
		}
		r.function(s.Func)
	default:
		for _, c := range Children(s) {
			if b, ok := c.(*Block); ok {
				r.block(b, nil)
			} else {
				r.expr(c)
			}
		}
	}
}

// repeat lets the condition see what the body declares.
func (r *resolver) repeat(s *Repeat) {
	r.scopes = append(r.scopes, nil)
	whole := &Block{Span: Span{s.Body.From, s.To}}
	for _, b := range s.Body.Stmts {
		r.stmt(b, whole)
	}
	r.expr(s.Cond)
	r.pop()
}

func (r *resolver) local(s *LocalStmt, in *Block) {
	value := func(i int) Expr {
		if i < len(s.Values) && (i < len(s.Values)-1 || len(s.Values) >= len(s.Names) || !many(s.Values[i])) {
			return s.Values[i]
		}
		return nil
	}
	if s.Function {
		r.declare(s.Names[0], Local{Kind: Function, Stmt: s, Value: s.Values[0]}, s.Names[0].To, in.To)
		r.exprs(s.Values)
		return
	}
	// The interpreter lets a single function see the name it is given.
	if _, ok := value(0).(*Func); ok && len(s.Names) == 1 && len(s.Values) == 1 {
		r.declare(s.Names[0], Local{Stmt: s, Value: s.Values[0]}, s.Names[0].To, in.To)
		r.exprs(s.Values)
		return
	}
	r.exprs(s.Values)
	for i, n := range s.Names {
		r.declare(n, Local{Stmt: s, Value: value(i)}, s.To, in.To)
	}
}

// many says that an expression may give several values.
func many(e Expr) bool {
	switch e.(type) {
	case *Call, *Vararg:
		return true
	}
	return false
}

func (r *resolver) target(e Expr) {
	if id, ok := e.(*Ident); ok {
		r.use(id, true)
		return
	}
	r.expr(e)
}

// Visible gives the locals that can be named at an offset, the nearest first;
// of those with one name, the one that is meant.
func (f *File) Visible(at int) []*Local {
	seen := map[string]bool{}
	var out []*Local
	for i := len(f.Locals) - 1; i >= 0; i-- {
		if l := f.Locals[i]; l.Seen.Has(at) && l.Seen.From <= at && !seen[l.Name] {
			seen[l.Name] = true
			out = append(out, l)
		}
	}
	return out
}
