package runtime

import (
	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
)

// gopher-lua's compiler notes where a variable ends by its register and not by its
// number: once a second block has taken the registers of one before it, the names
// of both are wrong. Under a debugger they are mended, by the numbered tree.

// variable is a local of a function, and the numbers of the nodes that see it.
type variable struct {
	name        string
	first, last int
}

// mendScopes sets where the variables of a text's functions end.
func (n *numbered) mendScopes(chunk []ast.Stmt) {
	for runs, with := range n.of {
		stmts := chunk
		if no := with.LineDefined; no >= 1 && no <= len(n.nodes) {
			f, ok := n.nodes[no-1].(*ast.FunctionExpr)
			if !ok {
				continue
			}
			stmts = f.Stmts
		}
		var vars []variable
		n.declared(stmts, &vars)
		before := len(runs.DbgLocals) - len(vars) // parameters
		if before < 0 || !sameNames(runs.DbgLocals[before:], vars) {
			continue
		}
		for i, v := range runs.DbgLocals {
			if v.EndPc = len(runs.Code); i >= before {
				v.EndPc = end(with.DbgSourcePositions, v.StartPc, vars[i-before])
			}
		}
	}
}

func sameNames(locals []*lua.DbgLocalInfo, vars []variable) bool {
	for i, v := range locals {
		if v.Name != vars[i].name {
			return false
		}
	}
	return true
}

// end is the place behind the last instruction that sees a variable.
func end(numbers []int, start int, v variable) int {
	out := start
	for pc := start; pc < len(numbers); pc++ {
		if numbers[pc] >= v.first && numbers[pc] <= v.last {
			out = pc + 1
		}
	}
	return out
}

// declared appends the variables of a block and of those in it, in the order in
// which the compiler comes by them. Functions have their own.
func (n *numbered) declared(block []ast.Stmt, out *[]variable) {
	if len(block) == 0 {
		return
	}
	first, last := block[0].Line(), n.last[block[len(block)-1].Line()-1]
	for _, s := range block {
		switch s := s.(type) {
		case *ast.LocalAssignStmt:
			for _, name := range s.Names {
				*out = append(*out, variable{name, first, last})
			}
		case *ast.DoBlockStmt:
			n.declared(s.Stmts, out)
		case *ast.WhileStmt:
			n.declared(s.Stmts, out)
		case *ast.RepeatStmt:
			n.repeated(s, out)
		case *ast.IfStmt:
			n.declared(s.Then, out)
			n.declared(s.Else, out)
		case *ast.NumberForStmt:
			n.loop(s, s.Stmts, out, "(for index)", "(for limit)", "(for step)", s.Name)
		case *ast.GenericForStmt:
			n.loop(s, s.Stmts, out, append([]string{"(for generator)", "(for state)", "(for control)"}, s.Names...)...)
		}
	}
}

func (n *numbered) loop(s ast.Stmt, body []ast.Stmt, out *[]variable, names ...string) {
	for _, name := range names {
		*out = append(*out, variable{name, s.Line() + 1, n.last[s.Line()-1]})
	}
	n.declared(body, out)
}

// repeated is repeat … until …, whose condition sees the body's variables.
func (n *numbered) repeated(s *ast.RepeatStmt, out *[]variable) {
	from := len(*out)
	n.declared(s.Stmts, out)
	if len(s.Stmts) == 0 {
		return
	}
	for i := from; i < len(*out); i++ {
		if v := &(*out)[i]; v.first == s.Stmts[0].Line() {
			v.first, v.last = s.Line()+1, n.last[s.Line()-1]
		}
	}
}
