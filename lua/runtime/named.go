package runtime

import (
	"fmt"
	"strings"
	"unsafe"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"

	"vsl/lua/bind"
)

// gopher-lua's words for a wrong operand name neither the operand nor, of a call,
// what it is. Here they become Lua 5.1's, which name it: attempt to index local
// 'post' (a nil value). Nothing of this costs anything before an error is raised.

var slipWords = bind.LazyRE(`(?s)^(?:attempt to (?:index a non-table object\((\w+)\) with key '(.*)'|(call) a non-function object|compare (\w+) with (\w+))` +
	`|cannot perform \w+ operation between (\w+) and (\w+)|__(unm|len) undefined|for statement (init|limit|step) must be a number)$`)

// slip is an operation that failed, where it failed.
type slip struct {
	*numbered
	l    *lua.LState
	dbg  *lua.Debug
	inst uint32
	node ast.PositionHolder
	text string
	m    []int
}

// named gives the text of an error that an operator raised, on the level of the
// stack that is told, with the operand's name. Any other value stays what it is.
func (s *State) named(l *lua.LState, obj lua.LValue, level int) lua.LValue {
	text, ok := obj.(lua.LString)
	if !ok {
		return obj
	}
	dbg, ok := l.GetStack(level)
	if !ok {
		return obj
	}
	fn, err := l.GetInfo("fl", dbg, lua.LNil)
	f, ok := fn.(*lua.LFunction)
	if err != nil || !ok || f.IsG {
		return obj // the text is that of a function, as error(text) is
	}
	where := fmt.Sprintf("%s:%d: ", f.Proto.SourceName, dbg.CurrentLine)
	rest, ok := strings.CutPrefix(string(text), where)
	if !ok {
		return obj
	}
	m := slipWords().FindStringSubmatchIndex(rest)
	pc := framePC(dbg) - 1
	if m == nil || pc < 0 {
		return obj
	}
	n := s.numberedOf(f.Proto.SourceName)
	at := &slip{numbered: n, l: l, dbg: dbg, inst: f.Proto.Code[pc], node: n.at(f.Proto, pc), text: rest, m: m}
	return lua.LString(where + at.words())
}

func (p *slip) group(i int) string {
	if p.m[2*i] < 0 {
		return ""
	}
	return p.text[p.m[2*i]:p.m[2*i+1]]
}

func (p *slip) words() string {
	switch {
	case p.group(1) != "":
		return p.attempt("index", p.indexed(p.group(2)), p.group(1))
	case p.group(3) != "":
		return p.call()
	case p.group(4) != "":
		return p.compare(p.group(4), p.group(5))
	case p.group(6) != "":
		return p.arithmetic(p.group(6), p.group(7))
	case p.group(8) != "":
		return p.unary(p.group(8))
	}
	return p.loop(p.group(9))
}

// attempt is Lua's sentence. e is what the value came from, or nil.
func (p *slip) attempt(verb string, e ast.Expr, kind string) string {
	name := ""
	if e != nil && p.numbered != nil {
		name = p.name(e)
	}
	return sentence(verb, name, kind)
}

func sentence(verb, name, kind string) string {
	if name == "" {
		return fmt.Sprintf("attempt to %s a %s value", verb, kind)
	}
	return fmt.Sprintf("attempt to %s %s (a %s value)", verb, name, kind)
}

// operand is the type of what a register holds.
func (p *slip) operand(reg int) string {
	if _, v := p.l.GetLocal(p.dbg, reg+1); v != nil {
		return v.Type().String()
	}
	return "nil"
}

// indexed is the expression that had a key asked of it.
func (p *slip) indexed(key string) ast.Expr {
	switch e := p.node.(type) {
	case *ast.AttrGetExpr:
		// The assignment of function a.b:c() has the number of a.b.
		if k, ok := e.Key.(*ast.StringExpr); ok && k.Value != key {
			return e
		}
		return e.Object
	case *ast.FuncCallExpr:
		return e.Receiver
	case *ast.IdentExpr:
		return e
	}
	return nil
}

// call tells of a call. The first register of its instruction holds what was called.
func (p *slip) call() string {
	kind := p.operand(int(p.inst>>18) & 0xff)
	switch e := p.node.(type) {
	case *ast.FuncCallExpr:
		if e.Method != "" {
			return sentence("call", "method '"+e.Method+"'", kind)
		}
		return p.attempt("call", e.Func, kind)
	case *ast.GenericForStmt:
		text := p.attempt("call", nil, kind)
		if kind == "table" {
			text += " (write in pairs(t) or in ipairs(t))"
		}
		return text
	}
	return p.attempt("call", nil, kind)
}

func (p *slip) arithmetic(a, b string) string {
	var left, right ast.Expr
	if e, ok := p.node.(*ast.ArithmeticOpExpr); ok {
		left, right = e.Lhs, e.Rhs
	}
	if a != "number" { // the kind of a text that reads as a number is number
		return p.attempt("perform arithmetic on", left, a)
	}
	return p.attempt("perform arithmetic on", right, b)
}

// unary tells of - and #. The instruction's second register holds the operand.
func (p *slip) unary(event string) string {
	kind := p.operand(int(p.inst & 0x1ff))
	var operand ast.Expr
	switch e := p.node.(type) {
	case *ast.UnaryMinusOpExpr:
		operand = e.Expr
	case *ast.UnaryLenOpExpr:
		operand = e.Expr
	}
	verb := map[string]string{"unm": "perform arithmetic on", "len": "get length of"}[event]
	return p.attempt(verb, operand, kind)
}

// compare says more than Lua 5.1, which names no operand here.
func (p *slip) compare(a, b string) string {
	text := fmt.Sprintf("attempt to compare %s with %s", a, b)
	if a == b {
		text = fmt.Sprintf("attempt to compare two %s values", a)
	}
	e, ok := p.node.(*ast.RelationalOpExpr)
	if !ok || p.numbered == nil {
		return text
	}
	left, right := p.name(e.Lhs), p.name(e.Rhs)
	if e.Operator == ">" || e.Operator == ">=" { // compiled the other way round
		left, right = right, left
	}
	switch {
	case a == "nil" && left != "":
		return text + " (" + left + " is nil)"
	case b == "nil" && right != "":
		return text + " (" + right + " is nil)"
	}
	return text
}

func (p *slip) loop(part string) string {
	text := "'for' " + map[string]string{"init": "initial value", "limit": "limit", "step": "step"}[part] + " must be a number"
	e, ok := p.node.(*ast.NumberForStmt)
	if !ok || p.numbered == nil {
		return text
	}
	name := p.name(map[string]ast.Expr{"init": e.Init, "limit": e.Limit, "step": e.Step}[part])
	i := map[string]int{"init": 0, "limit": 1, "step": 2}[part]
	if kind := p.operand(int(p.inst>>18)&0xff + i); name != "" {
		text += fmt.Sprintf(" (%s is a %s value)", name, kind)
	}
	return text
}

// argument is the name of an operand of the operator that the function which runs on
// l stands for.
func (s *State) argument(l *lua.LState, no int) string {
	dbg, ok := l.GetStack(1)
	if !ok {
		return ""
	}
	fn, err := l.GetInfo("f", dbg, lua.LNil)
	f, ok := fn.(*lua.LFunction)
	pc := framePC(dbg) - 1
	if err != nil || !ok || f.IsG || pc < 0 {
		return ""
	}
	n := s.numberedOf(f.Proto.SourceName)
	var operands []ast.Expr
	switch e := n.at(f.Proto, pc).(type) {
	case *ast.FuncCallExpr:
		operands = e.Args
	case *ast.ArithmeticOpExpr:
		operands = []ast.Expr{e.Lhs, e.Rhs}
	case *ast.UnaryMinusOpExpr:
		operands = []ast.Expr{e.Expr}
	}
	if no < 1 || no > len(operands) {
		return ""
	}
	return n.name(operands[no-1])
}

// framePC is the instruction that the function of a level goes on with.
func framePC(dbg *lua.Debug) int {
	frame := *(*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(dbg), debugFrameOffset))
	return *(*int)(unsafe.Add(frame, pcOffset))
}
