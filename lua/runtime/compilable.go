package runtime

import (
	"fmt"

	"vsl/engine"
	"vsl/lua/bind"
)

const (
	// maxSyntax bounds how deep a text may nest: gopher-lua's compiler follows it
	// on the Go stack, which no error can unwind once it is full.
	maxSyntax = 1000
	// maxConstants bounds the squares of how many names, numbers and strings each
	// function has, all together: the compiler compares each with all before it.
	maxConstants = 1_000_000_000
	// maxOperands is how many operands of .. one call takes; each needs a register.
	maxOperands = 50
)

// limits keep from the compiler what would take it too long, or too deep.
type limits struct {
	file      string
	depth     int
	cost      int
	functions []map[string]bool // the constants of the function, and of those around it
	refused   error
}

func (b *limits) refuse(line int, format string, args ...any) {
	if b.refused == nil {
		b.refused = &bind.Error{Pos: engine.Pos{File: b.file, Line: line}, Msg: fmt.Sprintf(format, args...)}
	}
}

// enter says whether to go on into a part of the text.
func (b *limits) enter(line int) bool {
	if b.refused != nil {
		return false
	}
	if b.depth >= maxSyntax {
		b.refuse(line, "the text nests more than %d levels deep", maxSyntax)
		return false
	}
	b.depth++
	return true
}

func (b *limits) leave() { b.depth-- }

func (b *limits) enterFunction() { b.functions = append(b.functions, map[string]bool{}) }

func (b *limits) constant(text string) { b.functions[len(b.functions)-1][text] = true }

func (b *limits) leaveFunction(line int) {
	last := len(b.functions) - 1
	n := len(b.functions[last])
	b.functions = b.functions[:last]
	if b.cost += n * n; b.cost > maxConstants {
		b.refuse(line, "a function has %d different names, numbers and strings, which takes too long to compile", n)
	}
}
