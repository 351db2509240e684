package lint

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"vsl/lua/bind"
	"vsl/lua/language"
	"vsl/lua/syntax"
)

// unreachable looks for statements behind those that never end.
func (l *linter) unreachable(b *syntax.Block) {
	syntax.Walk(b, func(n syntax.Node) bool {
		block, ok := n.(*syntax.Block)
		if !ok {
			return true
		}
		for i, s := range block.Stmts {
			if i == len(block.Stmts)-1 || !l.leaves(s) {
				continue
			}
			next := block.Stmts[i+1]
			if _, label := next.(*syntax.Label); !label {
				l.add("unreachable", next.Where(), "nothing comes by here: what stands before never gets to its end", "leave it out")
				break
			}
		}
		return true
	})
}

// leaves says that what follows a statement is never reached.
func (l *linter) leaves(s syntax.Stmt) bool {
	switch s := s.(type) {
	case *syntax.Return, *syntax.Break, *syntax.Goto:
		return true
	case *syntax.Do:
		return l.blockLeaves(s.Body)
	case *syntax.If:
		return s.Else != nil && l.blockLeaves(s.Then) && l.blockLeaves(s.Else)
	case *syntax.While:
		c, ok := s.Cond.(*syntax.Const)
		return ok && c.Value != nil && c.Value != false && !breaks(s.Body)
	case *syntax.Repeat:
		c, ok := s.Cond.(*syntax.Const)
		return ok && (c.Value == nil || c.Value == false) && !breaks(s.Body)
	case *syntax.CallStmt:
		c, ok := s.X.(*syntax.Call)
		if !ok || c.Method != nil {
			return false
		}
		id, ok := c.Func.(*syntax.Ident)
		return ok && id.Local == nil && id.Name == "error"
	}
	return false
}

func (l *linter) blockLeaves(b *syntax.Block) bool {
	return slices.ContainsFunc(b.Stmts, l.leaves)
}

// breaks says that a loop's body leaves the loop: by break, or by a goto to anywhere.
func breaks(b *syntax.Block) bool {
	found := false
	syntax.Walk(b, func(n syntax.Node) bool {
		switch n.(type) {
		case *syntax.Break, *syntax.Goto:
			found = true
		case *syntax.Func, *syntax.While, *syntax.Repeat, *syntax.For:
			// a break in there is not ours; that a goto is missed costs nothing
			return false
		}
		return true
	})
	return found
}

// calls looks at when things are called, and at fields that there are not.
func (l *linter) calls() {
	for _, c := range l.a.Calls {
		w := l.a.Callee(c)
		if w == nil {
			continue
		}
		role := l.a.RoleAt(l.a.Inside(c))
		switch {
		case w.Acts && role == language.Reading:
			hint := "a recipe only declares while it is read; move it into a flow, such as provision = function(g) … end"
			l.add("outside-flow", calleeSpan(c), fmt.Sprintf("%s can only be called inside a flow or at the REPL", w.Name), hint)
		case w.Declares && (role == language.Flow || role == language.Acting) && len(c.Args) > 0 && !curried(c):
			l.add("inside-flow", calleeSpan(c), fmt.Sprintf("%ss are declared while the recipe is read, not inside a flow", w.Name), "move it out of the function")
		case w.Name == "require":
			l.module(c)
		}
	}
	syntax.Walk(l.f.Body, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Index:
			l.member(n.Obj, n.Key, false)
		case *syntax.Call:
			if n.Method != nil {
				l.member(n.Func, n.Method, true)
			}
		}
		return true
	})
}

// curried says that a call is the second of guest "name" { … }.
func curried(c *syntax.Call) bool {
	_, ok := c.Func.(*syntax.Call)
	return ok
}

// calleeSpan is the name that a call is made by.
func calleeSpan(c *syntax.Call) syntax.Span {
	if c.Method != nil {
		return c.Method.Span
	}
	return c.Func.Where()
}

func (l *linter) module(c *syntax.Call) {
	if len(c.Args) != 1 {
		return
	}
	k, ok := c.Args[0].(*syntax.Const)
	name, isText := "", false
	if ok {
		name, isText = k.Value.(string)
	}
	std := strings.HasPrefix(name, "vsl.")
	if !isText || !std && l.o.Find == nil || l.a.Module(name) != nil {
		return
	}
	if std {
		l.add("no-module", k.Span, fmt.Sprintf("no module %q in the standard library", name), bind.DidYouMean(name, language.StdlibModules()))
		return
	}
	msg, hint := "", bind.DidYouMean(name, language.StdlibModules())
	if _, err := l.o.Find(name); err != nil {
		var mistake *bind.Error
		if msg = err.Error(); errors.As(err, &mistake) {
			msg, hint = mistake.Msg, cmp.Or(mistake.Hint, hint)
		}
	}
	l.add("no-module", k.Span, msg, hint)
}

// member looks whether an object has what is taken of it.
func (l *linter) member(obj, key syntax.Expr, method bool) {
	k, ok := key.(*syntax.Const)
	if !ok {
		return
	}
	name, ok := k.Value.(string)
	t := l.a.TypeOf(obj)
	if !ok || name == "" || t.Guess() || t.Kind == "status" || t.Kind == "exit" || t.Module != nil && t.Module.Open {
		return
	}
	if t.Word != nil && (t.Word.Name == "_G" || t.Word.Function) {
		return
	}
	what := "a " + t.Kind
	switch {
	case t.Module != nil:
		what = t.Module.Name
	case t.Word != nil && t.Word.Members != nil:
		what = t.Word.Name
	case t.Kind == "string" && !method: // s.x is nil, and rare
		return
	}
	members := l.a.MembersOf(t)
	if members == nil || members[name] != nil {
		return
	}
	l.add("unknown-field", k.Span, fmt.Sprintf("%s has no %q", what, name), bind.DidYouMean(name, language.Names(members)))
}

// comparisons looks for texts that a value cannot be.
func (l *linter) comparisons() {
	syntax.Walk(l.f.Body, func(n syntax.Node) bool {
		b, ok := n.(*syntax.Binary)
		if !ok || b.Op != "==" && b.Op != "~=" {
			return true
		}
		l.compare(b.L, b.R)
		l.compare(b.R, b.L)
		return true
	})
}

func (l *linter) compare(value, text syntax.Expr) {
	c, ok := text.(*syntax.Const)
	if !ok {
		return
	}
	s, ok := c.Value.(string)
	t := l.a.TypeOf(value)
	if !ok || t.Guess() || len(t.Choices) == 0 || slices.Contains(t.Choices, s) {
		return
	}
	hint := bind.DidYouMean(s, t.Choices)
	if hint == "" {
		hint = "it is one of: " + strings.Join(t.Choices, ", ")
	}
	l.add("never-equal", c.Span, fmt.Sprintf("the value is never %q", s), hint)
}
