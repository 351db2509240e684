package runtime

// What gopher-lua's compiler gets wrong is rewritten before it sees it. Each
// function here says what goes wrong, and a test compares with lua5.1.

import (
	"strconv"

	"github.com/yuin/gopher-lua/ast"
)

// together rewrites an assignment to several targets, or of several values. gopher-lua's compiler
// writes each value as soon as it has computed it, so that x, y = y, x reads what
// it has just overwritten. Lua evaluates all expressions first, those of the
// targets too, and then assigns, the last target first (manual, section 2.4.3; the
// order is lua5.1's own). So the statement becomes
//
//	do
//	  local (table 1), (key 1) = t, k      -- of a target t[k]
//	  local (value 1), (value 2) = y, x
//	  y = (value 2)
//	  t[k] = (value 1)
//	end
func (w *walker) together(s *ast.AssignStmt) ast.Stmt {
	before := &ast.LocalAssignStmt{}
	values := &ast.LocalAssignStmt{Exprs: s.Rhs}
	var after []ast.Stmt
	aside := func(kind string, no int, e ast.Expr) ast.Expr {
		if constant(e) || w.stays(e, s) {
			return e
		}
		oneValue(e)
		before.Exprs = append(before.Exprs, e)
		return w.temporary(before, kind, no, e)
	}
	for i, target := range s.Lhs {
		if at, ok := target.(*ast.AttrGetExpr); ok {
			at.Object, at.Key = aside("table", i, at.Object), aside("key", i, at.Key)
		}
		assign := &ast.AssignStmt{Lhs: []ast.Expr{target}, Rhs: []ast.Expr{w.temporary(values, "value", i, nil)}}
		assign.SetLine(target.Line())
		assign.SetLastLine(target.LastLine())
		after = append([]ast.Stmt{assign}, after...)
	}
	block := &ast.DoBlockStmt{Stmts: append([]ast.Stmt{values}, after...)}
	if len(before.Names) > 0 {
		block.Stmts = append([]ast.Stmt{before}, block.Stmts...)
	}
	for _, n := range []ast.PositionHolder{before, values, block} {
		n.SetLine(s.Line())
		n.SetLastLine(s.LastLine())
	}
	return block
}

// temporary adds a variable that no text can name, and gives a use of it. An error
// in that use speaks of the expression which it stands for.
func (w *walker) temporary(local *ast.LocalAssignStmt, kind string, no int, of ast.Expr) ast.Expr {
	name := "(" + kind + " " + strconv.Itoa(no+1) + ")"
	local.Names = append(local.Names, name)
	id := &ast.IdentExpr{Value: name}
	if of != nil {
		id.SetLine(of.Line())
		id.SetLastLine(of.LastLine())
		if w.standsFor != nil {
			w.standsFor[id] = of
		}
	}
	return id
}

func constant(e ast.Expr) bool {
	switch e.(type) {
	case *ast.StringExpr, *ast.NumberExpr, *ast.NilExpr, *ast.TrueExpr, *ast.FalseExpr:
		return true
	}
	return false
}

// stays says whether a variable in a target can be read where the assignment
// happens: a local that the statement does not assign. lua5.1 reads it there, too.
func (w *walker) stays(e ast.Expr, s *ast.AssignStmt) bool {
	id, ok := e.(*ast.IdentExpr)
	if !ok || w.kind(id.Value) != "local" {
		return false
	}
	for _, target := range s.Lhs {
		if t, ok := target.(*ast.IdentExpr); ok && t.Value == id.Value {
			return false
		}
	}
	return true
}

// folded decides and and or whose left side is a constant: the compiler makes
// jumps to nowhere of (2 or 3) and x.
func folded(x *ast.LogicalOpExpr) ast.Expr {
	if !constant(x.Lhs) {
		return x
	}
	if truth(x.Lhs) == (x.Operator == "or") {
		return x.Lhs
	}
	oneValue(x.Rhs)
	return x.Rhs
}

// negated is not of a constant.
func negated(x *ast.UnaryNotOpExpr) ast.Expr {
	if !constant(x.Expr) {
		return x
	}
	var out ast.Expr = &ast.TrueExpr{}
	if truth(x.Expr) {
		out = &ast.FalseExpr{}
	}
	out.SetLine(x.Line())
	out.SetLastLine(x.LastLine())
	return out
}

// decided is an if whose condition is a constant. Where it is the first statement
// of a for loop over an iterator, the compiler takes its jump for the loop's own.
func decided(s *ast.IfStmt) ast.Stmt {
	switch {
	case !constant(s.Condition):
		return s
	case truth(s.Condition):
		return blockOf(s, s.Then)
	}
	return blockOf(s, s.Else)
}

func blockOf(s ast.Stmt, stmts []ast.Stmt) ast.Stmt {
	block := &ast.DoBlockStmt{Stmts: stmts}
	block.SetLine(s.Line())
	block.SetLastLine(s.LastLine())
	return block
}

// truth is what a constant counts as.
func truth(e ast.Expr) bool {
	switch e.(type) {
	case *ast.NilExpr, *ast.FalseExpr:
		return false
	}
	return true
}

// oneValue has a call, or ..., give one value. gopher-lua's compiler appends all
// values of a constructor's last field to the table's array, even where the field
// has a key, as in { g, template = host() }.
func oneValue(e ast.Expr) {
	switch e := e.(type) {
	case *ast.FuncCallExpr:
		e.AdjustRet = true
	case *ast.Comma3Expr:
		e.AdjustRet = true
	}
}

// plainCall says that a for loop's expressions are one call of a named function,
// as pairs(t) is.
func plainCall(exprs []ast.Expr) bool {
	call, ok := firstExpr(exprs).(*ast.FuncCallExpr)
	if !ok {
		return false
	}
	_, named := call.Func.(*ast.IdentExpr)
	return named
}

// hoist evaluates a for loop's expressions before the loop: gopher-lua's
// compiler reserves the loop's registers first and then overwrites the results
// of calls in them, as in for l in (f() .. x):gmatch(p).
func hoist(loop *ast.GenericForStmt) ast.Stmt {
	names := []string{"(for 1)", "(for 2)", "(for 3)"}
	local := &ast.LocalAssignStmt{Names: names, Exprs: loop.Exprs}
	block := &ast.DoBlockStmt{Stmts: []ast.Stmt{local, loop}}
	loop.Exprs = nil
	at := func(n ast.PositionHolder) {
		n.SetLine(loop.Line())
		n.SetLastLine(loop.LastLine())
	}
	for _, name := range names {
		id := &ast.IdentExpr{Value: name}
		at(id)
		loop.Exprs = append(loop.Exprs, id)
	}
	at(local)
	at(block)
	return block
}
