package syntax

// Node is a part of the tree.
type Node interface{ Where() Span }

// Expr is an expression.
type Expr interface{ Node }

// Stmt is a statement.
type Stmt interface{ Node }

// Block is statements with a scope of their own. Its span ends where the word
// that ends it begins.
type Block struct {
	Span
	Stmts []Stmt
}

// The expressions.
type (
	// Ident is a name that stands for a variable.
	Ident struct {
		Span
		Name  string
		Local *Local // nil is a global
	}
	// Const is a literal: nil, a bool, a float64 or a string.
	Const struct {
		Span
		Value any
	}
	// Vararg is "...".
	Vararg struct{ Span }
	// Func is a function's parameters and body.
	Func struct {
		Span
		Params []*Ident
		Vararg bool
		Method bool // has the parameter self
		Body   *Block
		Up     *Func // that it is written in; nil is the file
	}
	// Table is a table constructor.
	Table struct {
		Span
		Fields []*Field
		Closed bool
	}
	// Index is a.b or a[b]. In a.b the key is a constant.
	Index struct {
		Span
		Obj, Key Expr
		Dot      bool
	}
	// Call is f(…), f{…}, f"…" or o:m(…).
	Call struct {
		Span
		Func   Expr   // the function, or what the method is called on
		Method *Const // its name; nil is a plain call
		Args   []Expr
	}
	// Binary is a op b.
	Binary struct {
		Span
		Op   string
		L, R Expr
	}
	// Unary is op a.
	Unary struct {
		Span
		Op string
		X  Expr
	}
	// Paren is (a).
	Paren struct {
		Span
		X Expr
	}
	// Missing is where an expression should be.
	Missing struct{ Span }
)

// Field is one entry of a table constructor.
type Field struct {
	Span
	Key   Expr // nil in the list part
	Named bool // written name = value
	Value Expr
}

// Name is the field's key where that is a constant string.
func (f *Field) Name() (string, bool) {
	if c, ok := f.Key.(*Const); ok {
		s, ok := c.Value.(string)
		return s, ok
	}
	return "", false
}

// The statements.
type (
	// LocalStmt is local a, b = x, y, or local function.
	LocalStmt struct {
		Span
		Names    []*Ident
		Values   []Expr
		Function bool
	}
	// Assign is a, b.c = x, y.
	Assign struct {
		Span
		Targets, Values []Expr
	}
	// CallStmt is a call whose values are not used.
	CallStmt struct {
		Span
		X Expr
	}
	// Do is do … end.
	Do struct {
		Span
		Body *Block
	}
	// While is while … do … end.
	While struct {
		Span
		Cond Expr
		Body *Block
	}
	// Repeat is repeat … until …, whose condition sees the body's variables.
	Repeat struct {
		Span
		Body *Block
		Cond Expr
	}
	// If is if … then … else … end; elseif is an If alone in Else.
	If struct {
		Span
		Cond Expr
		Then *Block
		Else *Block // nil is none
	}
	// For is both loops: over numbers with Values start, end and step.
	For struct {
		Span
		Names   []*Ident
		Values  []Expr
		Numeric bool
		Body    *Block
	}
	// FuncStmt is function a.b:c() … end.
	FuncStmt struct {
		Span
		Target Expr
		Method *Const // nil is none
		Func   *Func
	}
	// Return is return x, y.
	Return struct {
		Span
		Values []Expr
	}
	// Break is break.
	Break struct{ Span }
	// Label is ::name::.
	Label struct {
		Span
		Name string
	}
	// Goto is goto name.
	Goto struct {
		Span
		Name string
	}
)

// Children gives a node's parts in the order of the text.
func Children(n Node) []Node {
	var out []Node
	add := func(list ...Node) { out = append(out, list...) }
	switch n := n.(type) {
	case *Block:
		for _, s := range n.Stmts {
			add(s)
		}
	case *Func:
		out = append(out, nodes(n.Params)...)
		add(n.Body)
	case *Table:
		for _, f := range n.Fields {
			add(f)
		}
	case *Field:
		if n.Key != nil {
			add(n.Key)
		}
		add(n.Value)
	case *Index:
		add(n.Obj, n.Key)
	case *Call:
		if add(n.Func); n.Method != nil {
			add(n.Method)
		}
		out = append(out, nodes(n.Args)...)
	case *Binary:
		add(n.L, n.R)
	case *Unary:
		add(n.X)
	case *Paren:
		add(n.X)
	default:
		return stmtChildren(n)
	}
	return out
}

func nodes[N Node](list []N) []Node {
	out := make([]Node, len(list))
	for i, n := range list {
		out[i] = n
	}
	return out
}

func stmtChildren(n Node) []Node {
	var out []Node
	switch n := n.(type) {
	case *LocalStmt:
		out = append(out, nodes(n.Names)...)
		out = append(out, nodes(n.Values)...)
	case *Assign:
		out = append(out, nodes(n.Targets)...)
		out = append(out, nodes(n.Values)...)
	case *CallStmt:
		out = append(out, n.X)
	case *Do:
		out = append(out, n.Body)
	case *While:
		out = append(out, n.Cond, n.Body)
	case *Repeat:
		out = append(out, n.Body, n.Cond)
	case *If:
		if out = append(out, n.Cond, n.Then); n.Else != nil {
			out = append(out, n.Else)
		}
	case *For:
		out = append(out, nodes(n.Names)...)
		out = append(out, nodes(n.Values)...)
		out = append(out, n.Body)
	case *FuncStmt:
		if out = append(out, n.Target); n.Method != nil {
			out = append(out, n.Method)
		}
		out = append(out, n.Func)
	case *Return:
		out = append(out, nodes(n.Values)...)
	}
	return out
}

// Walk visits a node and all below it; f says whether to go below.
func Walk(n Node, f func(Node) bool) {
	if !f(n) {
		return
	}
	for _, c := range Children(n) {
		Walk(c, f)
	}
}

// Path gives the nodes that hold an offset, the file's block first.
func (f *File) Path(at int) []Node {
	var out []Node
	var down func(n Node)
	down = func(n Node) {
		out = append(out, n)
		for _, c := range Children(n) {
			if c.Where().Has(at) {
				// Of two that touch, the later begins here and the earlier ends: names win.
				if next, ok := touching(n, c, at); ok {
					c = next
				}
				down(c)
				return
			}
		}
	}
	down(f.Body)
	return out
}

// touching finds what begins where c ends, unless c is a name being typed.
func touching(n, c Node, at int) (Node, bool) {
	if c.Where().To != at || c.Where().From == at && c.Where().To == at {
		return nil, false
	}
	switch c.(type) {
	case *Ident, *Const, *Missing:
		return nil, false
	}
	for _, d := range Children(n) {
		if d != c && d.Where().From == at && d.Where().To > at {
			return d, true
		}
	}
	return nil, false
}
