package lint

import (
	"fmt"
	"maps"
	"strings"

	"vsl/lua/syntax"
)

// live is a set of variables whose values may still be read.
type live map[*syntax.Local]bool

func (s live) with(o live) live {
	out := maps.Clone(s)
	if out == nil {
		out = live{}
	}
	maps.Copy(out, o)
	return out
}

// liveness goes backwards through one function's statements and notes values that
// nothing reads. Variables that inner functions use are left alone, and so are
// functions with goto.
type liveness struct {
	l      *linter
	breaks []live
	silent bool // not the last round of a loop
	steps  int  // statements that were gone through, each as often
}

// maxSteps bounds them for one function: loops within loops are gone round twice and
// more each, which doubles with each level. What is behind the bound is not looked at.
const maxSteps = 300_000

// values looks for values that are assigned and never read.
func (l *linter) values() {
	bodies := []*syntax.Block{l.f.Body}
	syntax.Walk(l.f.Body, func(n syntax.Node) bool {
		if fn, ok := n.(*syntax.Func); ok {
			bodies = append(bodies, fn.Body)
		}
		return true
	})
	for _, b := range bodies {
		if !jumps(b) {
			(&liveness{l: l}).block(b, live{})
		}
	}
}

func jumps(b *syntax.Block) bool {
	found := false
	syntax.Walk(b, func(n syntax.Node) bool {
		_, isGoto := n.(*syntax.Goto)
		_, isFunc := n.(*syntax.Func)
		found = found || isGoto
		return !isFunc
	})
	return found
}

// block gives what is live before a block, of what is live behind it.
func (v *liveness) block(b *syntax.Block, after live) live {
	if b == nil {
		return after
	}
	now := after
	for i := len(b.Stmts) - 1; i >= 0; i-- {
		now = v.stmt(b.Stmts[i], now)
	}
	return now
}

func (v *liveness) stmt(s syntax.Stmt, after live) live {
	if v.steps++; v.steps > maxSteps {
		return after
	}
	switch s := s.(type) {
	case *syntax.LocalStmt:
		now := maps.Clone(after)
		for i, n := range s.Names {
			v.write(n, after, i < len(s.Values) && !isNil(s.Values[i]))
			delete(now, n.Local)
		}
		return v.read(now, s.Values...)
	case *syntax.Assign:
		return v.assign(s, after)
	case *syntax.Do:
		return v.block(s.Body, after)
	case *syntax.While:
		return v.loop(after, func(again live) live {
			return v.read(v.block(s.Body, again).with(after), s.Cond)
		})
	case *syntax.Repeat:
		return v.loop(after, func(again live) live {
			return v.block(s.Body, v.read(again.with(after), s.Cond))
		})
	case *syntax.For:
		inner := v.loop(after, func(again live) live { return v.block(s.Body, again.with(after)).with(after) })
		return v.read(inner, s.Values...)
	case *syntax.If:
		then, other := v.block(s.Then, after), v.block(s.Else, after)
		return v.read(then.with(other), s.Cond)
	case *syntax.Return:
		return v.read(live{}, s.Values...)
	case *syntax.Break:
		if n := len(v.breaks); n > 0 {
			return v.breaks[n-1]
		}
		return after
	case *syntax.FuncStmt:
		return v.read(after, s.Target)
	case *syntax.CallStmt:
		return v.read(after, s.X)
	}
	return after
}

// loop goes round until nothing new is live, and only then notes anything.
func (v *liveness) loop(after live, round func(again live) live) live {
	v.breaks = append(v.breaks, after)
	defer func() { v.breaks = v.breaks[:len(v.breaks)-1] }()
	silent := v.silent
	v.silent = true
	again := after
	for {
		last := round(again)
		next := again.with(last)
		if len(next) == len(again) {
			if silent { // nobody would hear what another round notes
				return last.with(after)
			}
			break
		}
		again = next
	}
	v.silent = silent
	return round(again).with(after)
}

func (v *liveness) assign(s *syntax.Assign, after live) live {
	now := maps.Clone(after)
	for i, t := range s.Targets {
		id, ok := t.(*syntax.Ident)
		if !ok {
			continue
		}
		v.write(id, after, i >= len(s.Values) || !isNil(s.Values[i]))
		delete(now, id.Local)
	}
	for _, t := range s.Targets {
		if _, ok := t.(*syntax.Ident); !ok {
			now = v.read(now, t)
		}
	}
	return v.read(now, s.Values...)
}

// write notes a value that nothing reads. That of a variable which is never read at
// all is told elsewhere.
func (v *liveness) write(id *syntax.Ident, after live, value bool) {
	l := id.Local
	if v.silent || v.steps > maxSteps || !value || l == nil || l.Captured || after[l] || len(l.Reads) == 0 || strings.HasPrefix(l.Name, "_") {
		return
	}
	if l.Kind != syntax.Variable {
		return
	}
	v.l.add("unused-value", id.Span, fmt.Sprintf("the value given to %q here is never read", l.Name), "leave the assignment out, or read it before the next")
}

// read adds what expressions read. What an inner function reads is captured.
func (v *liveness) read(now live, list ...syntax.Expr) live {
	out := maps.Clone(now)
	for _, e := range list {
		syntax.Walk(e, func(n syntax.Node) bool {
			if id, ok := n.(*syntax.Ident); ok && id.Local != nil {
				out[id.Local] = true
			}
			_, inner := n.(*syntax.Func)
			return !inner
		})
	}
	return out
}

func isNil(e syntax.Expr) bool {
	c, ok := e.(*syntax.Const)
	return ok && c.Value == nil
}
