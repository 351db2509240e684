package runtime

import (
	"reflect"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"

	"vsl/lua/syntax"
)

// numbered is a text compiled once more, with the number of each node of its tree
// where the compiler takes the node's line. So every instruction leads back to the
// expression that it was made for, which the line alone does not say.
type numbered struct {
	nodes []ast.PositionHolder // by number, in the order of the text
	last  []int                // the number of the last node in each
	chunk []ast.Stmt
	kinds map[*ast.IdentExpr]string
	alias map[*ast.IdentExpr]ast.Expr               // what our temporaries stand for
	of    map[*lua.FunctionProto]*lua.FunctionProto // the one with numbers, of the one that runs
}

// numberedOf gives what a text's instructions were made for, nil where that is not
// known. It takes as long as compiling does, once for each text.
func (s *State) numberedOf(file string) *numbered {
	src := s.sources[file]
	if src == nil || src.proto == nil {
		return nil
	}
	if src.numbered == nil {
		src.numbered = src.number(file)
	}
	return src.numbered
}

func (src *source) number(file string) *numbered {
	n := &numbered{kinds: map[*ast.IdentExpr]string{}, alias: map[*ast.IdentExpr]ast.Expr{}, of: map[*lua.FunctionProto]*lua.FunctionProto{}}
	chunk, err := parse.Parse(strings.NewReader(syntax.Blank(string(src.text))), file)
	if err != nil {
		return n // it was read before: this does not happen
	}
	again := src.walked
	again.kinds, again.standsFor = n.kinds, n.alias
	chunk = again.chunk(chunk)
	n.chunk = chunk
	n.visit(reflect.ValueOf(chunk))
	proto, err := lua.Compile(chunk, file)
	if err != nil {
		return n
	}
	n.pair(src.proto, proto)
	return n
}

// visit numbers a part of the tree.
func (n *numbered) visit(v reflect.Value) {
	switch v.Kind() {
	case reflect.Interface:
		n.visit(v.Elem())
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		node, ok := v.Interface().(ast.PositionHolder)
		if !ok {
			n.visit(v.Elem())
			return
		}
		n.nodes, n.last = append(n.nodes, node), append(n.last, 0)
		no := len(n.nodes)
		node.SetLine(no)
		node.SetLastLine(no)
		n.visit(v.Elem())
		n.last[no-1] = len(n.nodes)
	case reflect.Slice:
		for i := range v.Len() {
			n.visit(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				n.visit(v.Field(i))
			}
		}
	}
}

// pair finds the numbered function of each that runs. Both are made of one text by
// one way; where they differ all the same, nothing is said of them.
func (n *numbered) pair(runs, with *lua.FunctionProto) {
	if !slices.Equal(runs.Code, with.Code) || len(runs.FunctionPrototypes) != len(with.FunctionPrototypes) {
		return
	}
	n.of[runs] = with
	for i, inner := range runs.FunctionPrototypes {
		n.pair(inner, with.FunctionPrototypes[i])
	}
}

// at is the node that an instruction was made for, nil of one that is not known.
func (n *numbered) at(proto *lua.FunctionProto, pc int) ast.PositionHolder {
	if n == nil || n.of[proto] == nil {
		return nil
	}
	if no := n.of[proto].DbgSourcePositions[pc]; no >= 1 && no <= len(n.nodes) {
		return n.nodes[no-1]
	}
	return nil
}

// written is the function's part of the syntax tree, nil where it is not known.
func (s *State) written(proto *lua.FunctionProto) *ast.FunctionExpr {
	n := s.numberedOf(proto.SourceName)
	if n == nil || n.of[proto] == nil {
		return nil
	}
	no := n.of[proto].LineDefined
	if no < 1 || no > len(n.nodes) {
		return nil
	}
	f, _ := n.nodes[no-1].(*ast.FunctionExpr)
	return f
}

// name is what Lua 5.1 calls an expression's value by: "local 'x'", "field 'y'"; ""
// is one without a name.
func (n *numbered) name(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.IdentExpr:
		if of := n.alias[e]; of != nil {
			return n.name(of)
		}
		if kind := n.kinds[e]; kind != "" && e.Value[0] != '(' {
			return kind + " '" + e.Value + "'"
		}
	case *ast.AttrGetExpr:
		if key, ok := e.Key.(*ast.StringExpr); ok {
			return "field '" + key.Value + "'"
		}
		return "field '?'"
	}
	return ""
}
