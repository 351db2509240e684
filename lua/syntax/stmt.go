package syntax

import "fmt"

func (p *parser) stmt() Stmt {
	t := p.tok()
	from := t.From
	if t.Kind == Keyword {
		switch t.Text {
		case "if":
			return p.ifStmt()
		case "while", "for", "repeat":
			return p.loop()
		case "do":
			p.i++
			s := &Do{Body: p.block(t.Span)}
			p.want("end", t.Span)
			s.Span = Span{from, p.end()}
			return s
		case "function", "local":
			return p.definition()
		case "return":
			p.i++
			s := &Return{}
			if !p.blockEnds() && !p.is(";") {
				s.Values = p.exprs()
			}
			s.Span = Span{from, p.end()}
			return s
		case "break":
			p.i++
			return &Break{t.Span}
		case "goto":
			p.i++
			n := p.name("the name of a label")
			return &Goto{Span{from, p.end()}, n.Name}
		}
	}
	if p.take("::") {
		n := p.name("the name of a label")
		p.want("::", t.Span)
		return &Label{Span{from, p.end()}, n.Name}
	}
	return p.exprStmt()
}

func (p *parser) ifStmt() Stmt {
	open := p.tok()
	p.i++
	s := &If{Cond: p.expr(0)}
	p.want("then", open.Span)
	s.Then = p.block(open.Span)
	switch {
	case p.is("elseif"):
		from := p.tok().From
		inner := p.ifStmt()
		s.Else = &Block{Span: Span{from, inner.Where().To}, Stmts: []Stmt{inner}}
		s.Span = Span{open.From, p.end()}
		return s
	case p.is("else"):
		at := p.tok().Span
		p.i++
		s.Else = p.block(at)
	}
	p.want("end", open.Span)
	s.Span = Span{open.From, p.end()}
	return s
}

func (p *parser) loop() Stmt {
	open := p.tok()
	p.i++
	switch open.Text {
	case "while":
		s := &While{Cond: p.expr(0)}
		p.want("do", open.Span)
		s.Body = p.block(open.Span)
		p.want("end", open.Span)
		s.Span = Span{open.From, p.end()}
		return s
	case "repeat":
		s := &Repeat{Body: p.block(open.Span)}
		p.want("until", open.Span)
		s.Cond = p.expr(0)
		s.Span = Span{open.From, p.end()}
		return s
	}
	s := &For{Names: []*Ident{p.name("a variable")}}
	if p.take("=") {
		s.Numeric = true
		s.Values = p.exprs()
		if n := len(s.Values); n < 2 || n > 3 {
			p.fail(p.tok().Span, "a for loop over numbers has a start, an end, and perhaps a step", "")
		}
	} else {
		for p.take(",") {
			s.Names = append(s.Names, p.name("a variable"))
		}
		p.want("in", open.Span)
		s.Values = p.exprs()
	}
	p.want("do", open.Span)
	s.Body = p.block(open.Span)
	p.want("end", open.Span)
	s.Span = Span{open.From, p.end()}
	return s
}

// definition is function …, local function … and local ….
func (p *parser) definition() Stmt {
	open := p.tok()
	p.i++
	if open.Text == "local" {
		s := &LocalStmt{}
		if at := p.tok().Span; p.take("function") {
			s.Function = true
			s.Names = []*Ident{p.name("the function's name")}
			s.Values = []Expr{p.function(at, false)}
		} else {
			s.Names = []*Ident{p.name("a name")}
			for p.take(",") {
				s.Names = append(s.Names, p.name("a name"))
			}
			if p.take("=") {
				s.Values = p.exprs()
			}
		}
		s.Span = Span{open.From, p.end()}
		return s
	}
	s := &FuncStmt{}
	s.Target = p.name("the function's name")
	for p.is(".") {
		p.i++
		s.Target = p.dotted(s.Target)
	}
	if p.take(":") {
		n := p.name("the method's name")
		s.Method = &Const{n.Span, n.Name}
	}
	s.Func = p.function(open.Span, s.Method != nil)
	s.Span = Span{open.From, p.end()}
	return s
}

// exprStmt is a call or an assignment.
func (p *parser) exprStmt() Stmt {
	from := p.tok().From
	first := p.suffixed()
	if _, missing := first.(*Missing); missing {
		return nil
	}
	targets := []Expr{first}
	for p.take(",") {
		targets = append(targets, p.suffixed())
	}
	if p.is("=") {
		for _, t := range targets {
			if !assignable(t) {
				p.fail(t.Where(), "this cannot be assigned to", "")
			}
		}
		p.i++
		s := &Assign{Targets: targets, Values: p.exprs()}
		s.Span = Span{from, p.end()}
		return s
	}
	if len(targets) > 1 {
		p.want("=", Span{})
		return &Assign{Span{from, p.end()}, targets, nil}
	}
	if !isCall(first) {
		p.fail(p.tok().Span, fmt.Sprintf("a statement is a call or an assignment: unexpected %s", p.tok().words()), "")
	}
	return &CallStmt{Span{from, p.end()}, first}
}

func assignable(e Expr) bool {
	switch e.(type) {
	case *Ident, *Index:
		return true
	}
	return false
}

func isCall(e Expr) bool {
	if q, ok := e.(*Paren); ok {
		return isCall(q.X)
	}
	_, ok := e.(*Call)
	return ok
}
