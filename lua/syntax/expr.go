package syntax

import (
	"fmt"
	"strconv"
)

// How tightly operators bind, to the left and to the right.
var binary = map[string][2]int{
	"or": {1, 1}, "and": {2, 2},
	"<": {3, 3}, ">": {3, 3}, "<=": {3, 3}, ">=": {3, 3}, "~=": {3, 3}, "==": {3, 3},
	"..": {5, 4}, "+": {6, 6}, "-": {6, 6}, "*": {7, 7}, "/": {7, 7}, "%": {7, 7},
	"^": {10, 9},
}

const unary = 8

func (p *parser) exprs() []Expr {
	list := []Expr{p.expr(0)}
	for p.take(",") {
		list = append(list, p.expr(0))
	}
	return list
}

// expr takes an expression of operators that bind tighter than limit.
func (p *parser) expr(limit int) Expr {
	if !p.enter() {
		return &Missing{p.gap()}
	}
	defer p.leave()
	t := p.tok()
	var e Expr
	if p.is("-") || p.is("not") || p.is("#") {
		p.i++
		x := p.expr(unary)
		e = &Unary{Span{t.From, p.end()}, t.Text, x}
	} else {
		e = p.simple()
	}
	for {
		op := p.tok()
		power, ok := binary[op.Text]
		if !ok || op.Kind != Op && op.Kind != Keyword || power[0] <= limit {
			return e
		}
		p.i++
		r := p.expr(power[1])
		e = &Binary{Span{t.From, p.end()}, op.Text, e, r}
	}
}

func (p *parser) simple() Expr {
	t := p.tok()
	switch t.Kind {
	case Number:
		p.i++
		return &Const{t.Span, number(t.Text)}
	case String:
		p.i++
		return &Const{t.Span, t.Value}
	case Keyword:
		switch t.Text {
		case "nil":
			p.i++
			return &Const{t.Span, nil}
		case "true", "false":
			p.i++
			return &Const{t.Span, t.Text == "true"}
		case "function":
			p.i++
			return p.function(t.Span, false)
		}
	case Op:
		switch t.Text {
		case "...":
			p.i++
			if p.fn != nil && !p.fn.Vararg {
				p.fail(t.Span, "... is only there in a function that takes ...", "")
			}
			return &Vararg{t.Span}
		case "{":
			return p.table()
		}
	}
	return p.suffixed()
}

func number(text string) float64 {
	if len(text) > 2 && (text[1] == 'x' || text[1] == 'X') {
		n, _ := strconv.ParseUint(text[2:], 16, 64) // the lexer has looked at the digits
		return float64(n)
	}
	n, _ := strconv.ParseFloat(text, 64) // too large is infinity
	return n
}

// suffixed is a name or (…), with what is called and taken of it.
func (p *parser) suffixed() Expr {
	t := p.tok()
	var e Expr
	switch {
	case t.Kind == Name:
		p.i++
		e = &Ident{Span: t.Span, Name: t.Text}
	case p.take("("):
		x := p.expr(0)
		p.want(")", t.Span)
		e = &Paren{Span{t.From, p.end()}, x}
	default:
		p.fail(t.Span, fmt.Sprintf("an expression expected before %s", t.words()), "")
		return &Missing{p.gap()}
	}
	for {
		next, ok := p.suffix(e)
		if !ok {
			return e
		}
		e = next
	}
}

func (p *parser) suffix(e Expr) (Expr, bool) {
	t, from := p.tok(), e.Where().From
	switch {
	case p.take("."):
		return p.dotted(e), true
	case p.take("["):
		key := p.expr(0)
		p.want("]", t.Span)
		return &Index{Span{from, p.end()}, e, key, false}, true
	case p.take(":"):
		n := p.name("the method's name")
		c := &Call{Func: e, Method: &Const{n.Span, n.Name}}
		if p.callArgs(c); c.Args == nil {
			p.fail(p.tok().Span, fmt.Sprintf("arguments of the method expected before %s", p.tok().words()), "")
		}
		c.Span = Span{from, p.end()}
		return c, true
	case t.Kind == String, p.is("{"), p.is("("):
		c := &Call{Func: e}
		p.callArgs(c)
		c.Span = Span{from, p.end()}
		return c, true
	}
	return nil, false
}

// dotted is .name after e; the dot was taken.
func (p *parser) dotted(e Expr) Expr {
	n := p.name("a name")
	return &Index{Span{e.Where().From, p.end()}, e, &Const{n.Span, n.Name}, true}
}

func (p *parser) callArgs(c *Call) {
	t := p.tok()
	switch {
	case t.Kind == String:
		p.i++
		c.Args = []Expr{&Const{t.Span, t.Value}}
	case p.is("{"):
		c.Args = []Expr{p.table()}
	case p.take("("):
		c.Args = []Expr{}
		if !p.is(")") {
			c.Args = p.exprs()
		}
		p.want(")", t.Span)
	}
}

// function is the parameters and the body; open is the word function.
func (p *parser) function(open Span, method bool) *Func {
	f := &Func{Up: p.fn, Method: method}
	paren := p.tok().Span
	if p.want("(", Span{}) {
		for !p.is(")") {
			if p.take("...") {
				f.Vararg = true
				break
			}
			n := p.name("a parameter")
			if f.Params = append(f.Params, n); n.Name == "" || !p.take(",") {
				break
			}
			if p.is(")") {
				p.fail(p.tok().Span, "a parameter expected before \")\"", "")
			}
		}
		p.want(")", paren)
	}
	p.fn = f
	f.Body = p.block(open)
	p.fn = f.Up
	p.want("end", open)
	f.Span = Span{open.From, p.end()}
	return f
}

func (p *parser) table() Expr {
	open := p.tok()
	p.i++
	t := &Table{}
	if !p.enter() {
		t.Span = Span{open.From, p.end()}
		return t
	}
	defer p.leave()
	for !p.is("}") && !p.leavesTable() {
		before := p.i
		t.Fields = append(t.Fields, p.field())
		if p.take(",") || p.take(";") {
			for p.take(",") || p.take(";") { // the interpreter takes several, too
			}
			continue
		}
		if p.is("}") || p.leavesTable() {
			break
		}
		p.fail(p.tok().Span, fmt.Sprintf("a comma expected before %s", p.tok().words()), "")
		if p.i == before {
			p.i++
		}
	}
	if t.Closed = p.want("}", open.Span); !t.Closed { // what is typed next belongs to it
		p.open()
	}
	t.Span = Span{open.From, p.end()}
	return t
}

// leavesTable says that a statement begins, or a block ends: the closing brace is missing.
func (p *parser) leavesTable() bool {
	t := p.tok()
	if t.Kind == EOF {
		return true
	}
	if t.Kind != Keyword {
		return false
	}
	switch t.Text {
	case "nil", "true", "false", "not", "function":
		return false
	}
	return true
}

func (p *parser) field() *Field {
	t := p.tok()
	f := &Field{}
	switch {
	case t.Kind == Name && p.ahead().Kind == Op && p.ahead().Text == "=":
		p.i += 2
		f.Key, f.Named = &Const{t.Span, t.Text}, true
		f.Value = p.expr(0)
	case p.take("["):
		f.Key = p.expr(0)
		p.want("]", t.Span)
		p.want("=", Span{})
		f.Value = p.expr(0)
	default:
		f.Value = p.expr(0)
	}
	f.Span = Span{t.From, p.end()}
	return f
}
