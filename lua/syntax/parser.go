package syntax

import (
	"fmt"
	"slices"
	"strings"
)

// maxDepth bounds how deep a text may be nested.
const maxDepth = 1000

// Error is a place at which a text is no Lua.
type Error struct {
	Span
	Msg, Hint string
}

// File is a text that was taken apart.
type File struct {
	Text     string
	Lines    *Lines
	Tokens   []Token // without comments; the last is EOF
	Comments []Token
	Body     *Block
	Errors   []Error // in the order of the text
	Locals   []*Local
	Globals  []*Ident // uses of names that are no locals
	Broken   bool     // nested too deeply: the tree is not whole
}

// Parse takes a text apart. It always gives a tree: what is missing is left out.
func Parse(text string) *File {
	f := &File{Text: text, Lines: NewLines(text)}
	p := &parser{f: f}
	for _, t := range Lex(text) {
		if t.Broken != "" {
			p.fail(t.Span, t.Broken, "")
		}
		switch t.Kind {
		case Comment:
			f.Comments = append(f.Comments, t)
		case Bad:
		default:
			f.Tokens = append(f.Tokens, t)
		}
	}
	p.lexical = len(f.Errors)
	f.Body = p.block(Span{})
	for p.tok().Kind != EOF {
		p.fail(p.tok().Span, fmt.Sprintf("unexpected %s", p.tok().words()), p.surplus())
		p.i++
		more := p.block(Span{})
		f.Body.Stmts = append(f.Body.Stmts, more.Stmts...)
	}
	f.Body.Span = Span{0, len(text)}
	f.sortErrors()
	resolve(f)
	return f
}

// sortErrors puts what the lexer and the parser found in one order.
func (f *File) sortErrors() {
	slices.SortStableFunc(f.Errors, func(a, b Error) int { return a.From - b.From })
}

type parser struct {
	f       *File
	i       int
	depth   int
	fn      *Func
	loops   int
	lexical int
	reach   int
}

func (p *parser) tok() Token { return p.f.Tokens[p.i] }

func (p *parser) ahead() Token { return p.f.Tokens[min(p.i+1, len(p.f.Tokens)-1)] }

// end is where the last token that was taken ends, or what was left open.
func (p *parser) end() int {
	if p.i == 0 {
		return p.reach
	}
	return max(p.f.Tokens[p.i-1].To, p.reach)
}

// open gives where the next token begins, to which an open block or table reaches.
func (p *parser) open() int {
	p.reach = p.tok().From
	return p.reach
}

// gap is where something is missing: up to the next token.
func (p *parser) gap() Span { return Span{p.open(), p.open()} }

func (p *parser) is(text string) bool {
	t := p.tok()
	return t.Text == text && (t.Kind == Op || t.Kind == Keyword)
}

func (p *parser) take(text string) bool {
	if !p.is(text) {
		return false
	}
	p.i++
	return true
}

// fail notes a mistake; of those at one place the first counts.
func (p *parser) fail(at Span, msg, hint string) {
	if n := len(p.f.Tokens); n > 1 && at.From == len(p.f.Text) { // behind the last word, which is what can be seen
		at = p.f.Tokens[n-2].Span
	}
	if n := len(p.f.Errors); n > p.lexical && p.f.Errors[n-1].From == at.From {
		return
	}
	p.f.Errors = append(p.f.Errors, Error{at, msg, hint})
}

func (t Token) words() string {
	switch t.Kind {
	case EOF:
		return "end of the file"
	case String:
		return "string"
	}
	return fmt.Sprintf("%q", t.Text)
}

// want takes a word that must come. open is what it closes.
func (p *parser) want(text string, open Span) bool {
	if p.take(text) {
		return true
	}
	msg := fmt.Sprintf("%q expected before the %s", text, p.tok().words())
	if p.tok().Kind != EOF {
		msg = fmt.Sprintf("%q expected before %s", text, p.tok().words())
	}
	if open.To > open.From {
		if line, _ := p.f.Lines.At(open.From); line > 0 {
			msg += fmt.Sprintf(", to close what %q begins in line %d", strings.TrimSpace(p.f.Text[open.From:open.To]), line)
		}
	}
	p.fail(p.tok().Span, msg, "")
	return false
}

// surplus says what a word that ends nothing may mean.
func (p *parser) surplus() string {
	if p.is("end") {
		return "nothing is open here that end could close"
	}
	return ""
}

// blockEnds are the words that end a block.
func (p *parser) blockEnds() bool {
	t := p.tok()
	if t.Kind == EOF {
		return true
	}
	if t.Kind != Keyword {
		return false
	}
	switch t.Text {
	case "end", "else", "elseif", "until":
		return true
	}
	return false
}

// block takes statements up to a word that ends them, which it leaves.
func (p *parser) block(open Span) *Block {
	b := &Block{Span: Span{From: p.end()}}
	if !p.enter() {
		b.To = p.end()
		return b
	}
	defer p.leave()
	for !p.blockEnds() {
		if p.take(";") {
			continue
		}
		before := p.i
		s := p.stmt()
		if s != nil {
			b.Stmts = append(b.Stmts, s)
		}
		if p.i == before { // nothing begins like this
			p.fail(p.tok().Span, fmt.Sprintf("a statement cannot begin with %s", p.tok().words()), "")
			p.i++
			continue
		}
		if last(s) {
			p.take(";")
			if !p.blockEnds() {
				p.fail(p.tok().Span, fmt.Sprintf("code after %s is never reached", map[bool]string{true: "return", false: "break"}[isReturn(s)]),
					"it ends its block; write do return end to leave early while looking for something")
			}
		}
	}
	b.To = p.open()
	return b
}

func isReturn(s Stmt) bool { _, ok := s.(*Return); return ok }

func last(s Stmt) bool {
	switch s.(type) {
	case *Return, *Break:
		return true
	}
	return false
}

// enter bounds nesting: a text of brackets alone must not use up the stack.
func (p *parser) enter() bool {
	if p.depth++; p.depth <= maxDepth {
		return true
	}
	p.depth--
	if !p.f.Broken {
		p.f.Broken = true
		p.fail(p.tok().Span, "nested too deeply", "")
	}
	p.i = len(p.f.Tokens) - 1 // nothing below this makes sense any more
	return false
}

func (p *parser) leave() { p.depth-- }

func (p *parser) name(what string) *Ident {
	t := p.tok()
	if t.Kind != Name {
		at := p.gap()
		msg := fmt.Sprintf("%s expected before %s", what, t.words())
		if t.Kind == Keyword {
			msg += ", which is a word of Lua"
		}
		p.fail(t.Span, msg, "")
		return &Ident{Span: at}
	}
	p.i++
	return &Ident{Span: t.Span, Name: t.Text}
}
