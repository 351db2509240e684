package runtime

import (
	"slices"
	"strconv"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"

	"vsl/engine"
	"vsl/lua/bind"
)

// walker goes over a chunk before it is compiled. It finds globals that do not
// exist, and wraps every table constructor into a call of markTable, so that
// the line of each key is known later, whichever way the table went.
type walker struct {
	state    *State
	file     string
	session  bool
	mark     bool
	lines    map[int]bool     // where a debugger can stop; nil is no debugging
	scopes   []map[string]int // each variable's function, counted from the chunk
	defined  map[string]bool  // globals assigned by a session's chunk
	assigned map[string]bool  // globals assigned by a recipe, each reported once
	unknown  []*ast.IdentExpr
	tables   int                       // the next table's number
	kinds    map[*ast.IdentExpr]string // what each name is: a text is walked once more for that, and nothing else noted
	mistakes []error
	// standsFor is the expression that a temporary of ours has the value of; kept with kinds.
	standsFor map[*ast.IdentExpr]ast.Expr
	limits
}

// chunk goes over a whole text and gives its statements as they are to be compiled.
func (w *walker) chunk(stmts []ast.Stmt) []ast.Stmt {
	w.defined, w.assigned = map[string]bool{}, map[string]bool{}
	w.enterFunction()
	stmts = w.block(stmts, "arg")
	w.leaveFunction(1)
	for _, u := range w.unknown {
		if !w.assigned[u.Value] {
			w.mistake(u.Line(), w.state.undefined(u.Value))
		}
	}
	return stmts
}

func (w *walker) block(stmts []ast.Stmt, names ...string) []ast.Stmt {
	w.push(names...)
	stmts = w.stmts(stmts)
	w.pop()
	return stmts
}

func (w *walker) stmts(list []ast.Stmt) []ast.Stmt {
	for i, s := range list {
		w.stmt(s)
		switch s := s.(type) {
		case *ast.GenericForStmt:
			if !plainCall(s.Exprs) {
				list[i] = hoist(s)
			}
		case *ast.IfStmt:
			list[i] = decided(s)
		case *ast.WhileStmt:
			if constant(s.Condition) && !truth(s.Condition) {
				list[i] = blockOf(s, nil)
			}
		case *ast.AssignStmt:
			if len(s.Lhs) > 1 || len(s.Rhs) > 1 {
				list[i] = w.together(s)
			}
		}
	}
	if w.lines == nil {
		return list
	}
	return w.stoppable(list)
}

func (w *walker) push(names ...string) {
	w.scopes = append(w.scopes, map[string]int{})
	w.local(names...)
}

func (w *walker) pop() { w.scopes = w.scopes[:len(w.scopes)-1] }

func (w *walker) local(names ...string) {
	for _, n := range names {
		w.scopes[len(w.scopes)-1][n] = len(w.functions)
	}
}

func (w *walker) isLocal(name string) bool {
	return w.kind(name) != "global"
}

// kind says in Lua's words what a name means here.
func (w *walker) kind(name string) string {
	for _, s := range slices.Backward(w.scopes) {
		switch s[name] {
		case 0:
		case len(w.functions):
			return "local"
		default:
			return "upvalue"
		}
	}
	return "global"
}

func (w *walker) exprs(list []ast.Expr) {
	for i := range list {
		w.expr(&list[i])
	}
}

func (w *walker) stmt(s ast.Stmt) {
	if !w.enter(s.Line()) {
		return
	}
	defer w.leave()
	switch s := s.(type) {
	case *ast.AssignStmt:
		w.exprs(s.Rhs)
		for i := range s.Lhs {
			w.target(&s.Lhs[i])
		}
	case *ast.LocalAssignStmt:
		if _, ok := firstExpr(s.Exprs).(*ast.FunctionExpr); ok && len(s.Names) == 1 {
			w.local(s.Names...) // a local function may call itself
		}
		w.exprs(s.Exprs)
		w.local(s.Names...)
	case *ast.FuncCallStmt:
		w.expr(&s.Expr)
	case *ast.DoBlockStmt:
		s.Stmts = w.block(s.Stmts)
	case *ast.WhileStmt:
		w.expr(&s.Condition)
		s.Stmts = w.block(s.Stmts)
	case *ast.RepeatStmt:
		w.push()
		s.Stmts = w.stmts(s.Stmts)
		w.expr(&s.Condition)
		w.pop()
	case *ast.IfStmt:
		w.expr(&s.Condition)
		s.Then = w.block(s.Then)
		s.Else = w.block(s.Else)
	case *ast.NumberForStmt:
		w.expr(&s.Init)
		w.expr(&s.Limit)
		w.expr(&s.Step)
		s.Stmts = w.block(s.Stmts, s.Name)
	case *ast.GenericForStmt:
		w.exprs(s.Exprs)
		s.Stmts = w.block(s.Stmts, s.Names...)
	case *ast.FuncDefStmt:
		w.funcDef(s)
	case *ast.ReturnStmt:
		w.exprs(s.Exprs)
	}
}

func firstExpr(list []ast.Expr) ast.Expr {
	if len(list) == 1 {
		return list[0]
	}
	return nil
}

func (w *walker) funcDef(s *ast.FuncDefStmt) {
	extra := []string{}
	if s.Name.Func != nil {
		w.target(&s.Name.Func)
	} else {
		w.expr(&s.Name.Receiver)
		extra = append(extra, "self")
	}
	w.function(s.Func, extra...)
}

func (w *walker) function(f *ast.FunctionExpr, extra ...string) {
	names := append(extra, f.ParList.Names...)
	if f.ParList.HasVargs {
		names = append(names, "arg")
	}
	w.enterFunction()
	f.Stmts = w.block(f.Stmts, names...)
	w.leaveFunction(f.Line())
}

// target is the left side of an assignment.
func (w *walker) target(e *ast.Expr) {
	id, ok := (*e).(*ast.IdentExpr)
	if !ok {
		w.expr(e)
		return
	}
	if w.isLocal(id.Value) {
		return
	}
	if w.session {
		w.defined[id.Value] = true
		return
	}
	if !w.assigned[id.Value] {
		w.assigned[id.Value] = true
		w.mistake(id.Line(), Assigned(id.Value))
	}
}

func (w *walker) mistake(line int, e *bind.Error) {
	e.Pos = engine.Pos{File: w.file, Line: line}
	w.mistakes = append(w.mistakes, e)
}

func (w *walker) expr(e *ast.Expr) {
	if *e == nil || !w.enter((*e).Line()) {
		return
	}
	defer w.leave()
	switch x := (*e).(type) {
	case *ast.StringExpr:
		w.constant(x.Value)
	case *ast.NumberExpr:
		w.constant(x.Value)
	case *ast.IdentExpr:
		w.constant(x.Value)
		if w.kinds != nil {
			w.kinds[x] = w.kind(x.Value)
		}
		if !w.isLocal(x.Value) && !w.defined[x.Value] && w.state.l.G.Global.RawGetString(x.Value) == lua.LNil {
			w.unknown = append(w.unknown, x)
		}
	case *ast.AttrGetExpr:
		w.expr(&x.Object)
		w.expr(&x.Key)
	case *ast.TableExpr:
		w.table(e, x)
	case *ast.FuncCallExpr:
		w.expr(&x.Func)
		w.expr(&x.Receiver)
		w.exprs(x.Args)
	case *ast.LogicalOpExpr:
		w.expr(&x.Lhs)
		w.expr(&x.Rhs)
		*e = folded(x)
	case *ast.RelationalOpExpr:
		w.expr(&x.Lhs)
		w.expr(&x.Rhs)
	case *ast.StringConcatOpExpr:
		w.concat(e, x)
	case *ast.ArithmeticOpExpr:
		w.expr(&x.Lhs)
		w.expr(&x.Rhs)
	case *ast.UnaryMinusOpExpr:
		w.expr(&x.Expr)
	case *ast.UnaryNotOpExpr:
		w.expr(&x.Expr)
		*e = negated(x)
	case *ast.UnaryLenOpExpr:
		w.expr(&x.Expr)
	case *ast.FunctionExpr:
		w.function(x)
	}
}

// concat makes one call of a chain of .., so that what it makes is bounded. A very
// long chain becomes calls of calls, as each operand needs a register.
func (w *walker) concat(e *ast.Expr, x *ast.StringConcatOpExpr) {
	operands := []ast.Expr{x.Lhs}
	rest := x.Rhs
	for inner, ok := rest.(*ast.StringConcatOpExpr); ok; inner, ok = rest.(*ast.StringConcatOpExpr) {
		operands = append(operands, inner.Lhs)
		rest = inner.Rhs
	}
	operands = append(operands, rest)
	for i := range operands {
		w.expr(&operands[i])
		oneValue(operands[i])
	}
	for len(operands) > maxOperands {
		var joined []ast.Expr
		for part := range slices.Chunk(operands, maxOperands) {
			joined = append(joined, callOf(concatFunc, x.Line(), part...))
		}
		operands = joined
	}
	*e = callOf(concatFunc, x.Line(), operands...)
}

// callOf is an expression that calls one of our functions for one value.
func callOf(name string, line int, args ...ast.Expr) *ast.FuncCallExpr {
	id := &ast.IdentExpr{Value: name}
	call := &ast.FuncCallExpr{Func: id, Args: args, AdjustRet: true}
	for _, n := range []ast.PositionHolder{id, call} {
		n.SetLine(line)
		n.SetLastLine(line)
	}
	return call
}

func (w *walker) table(e *ast.Expr, t *ast.TableExpr) {
	for _, f := range t.Fields {
		if f.Key != nil {
			w.expr(&f.Key)
		}
		w.expr(&f.Value)
		if f.Key != nil {
			oneValue(f.Value)
		}
	}
	if !w.mark {
		return
	}
	id := w.tables
	w.tables++
	if w.kinds == nil {
		w.state.tables = append(w.state.tables, origin{file: w.file, expr: t})
	}
	number := &ast.NumberExpr{Value: strconv.Itoa(id)}
	number.SetLine(t.Line())
	number.SetLastLine(t.Line())
	*e = callOf(tableFunc, t.Line(), number, t)
}
