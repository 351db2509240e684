package test

import (
	"fmt"
	"slices"

	glua "github.com/yuin/gopher-lua"

	"vsl/lua/bind"
)

// Word is one thing that test files are written with, for documentation.
type Word struct{ Name, Use, Doc string }

// Words lists the globals of test files.
func Words() []Word {
	return []Word{
		{"describe", `describe("what", function() … end)`, "groups tests; its name comes before theirs"},
		{"it", `it("does this", function() … end)`, "a test"},
		{"before_each", `before_each(function() … end)`, "runs before each test of the group"},
		{"after_each", `after_each(function() … end)`, "runs after each test of the group, also of one that fails"},
		{"expect", `expect(value):equals(other)`, "fails the test unless the matcher holds; expect(value).never turns it round"},
		{"recipe", `recipe { params = { count = 2 } }`, "reads recipe.lua beside the test, or file = \"other.lua\", or source = \"guest …\""},
		{"skip", `skip "why"`, "leaves the test at this line, as neither passed nor failed"},
		{"real", `if real then … end`, "whether guests run on the kernel (vsl test --real) or in memory"},
	}
}

func (r *run) openWords() {
	s := r.a.S
	s.SetGlobal("describe", s.Func("describe", r.describe))
	s.SetGlobal("it", s.Func("it", r.it))
	s.SetGlobal("before_each", s.Func("before_each", func(l *glua.LState) int {
		g := r.inner(l, "before_each")
		g.before = append(g.before, r.function(l, 1, "before_each"))
		return 0
	}))
	s.SetGlobal("after_each", s.Func("after_each", func(l *glua.LState) int {
		g := r.inner(l, "after_each")
		g.after = append(g.after, r.function(l, 1, "after_each"))
		return 0
	}))
	s.SetGlobal("skip", s.Func("skip", func(l *glua.LState) int {
		r.running(l, "skip")
		s.Raise(l, &errSkip{r.text(l, 1, "skip", "reason")})
		return 0
	}))
	s.SetGlobal("real", glua.LBool(r.o.Real != nil))
}

func (r *run) describe(l *glua.LState) int {
	r.inner(l, "describe")
	g := &group{name: r.text(l, 1, "describe", "name")}
	r.groups = append(r.groups, g)
	_, err := r.a.S.Call(l, r.function(l, 2, "describe"))
	r.groups = r.groups[:len(r.groups)-1]
	if err != nil {
		r.a.S.Reraise(l, err)
	}
	return 0
}

func (r *run) it(l *glua.LState) int {
	r.inner(l, "it")
	t := &testCase{pos: r.a.S.Pos(l), groups: slices.Clone(r.groups), fn: r.function(l, 2, "it")}
	t.name = fullName(t.groups, r.text(l, 1, "it", "name"))
	for _, other := range r.tests {
		if other.name == t.name {
			r.a.S.Raisef(l, "give it another name", "test %q is there twice, first at %s", t.name, other.pos)
		}
	}
	r.tests = append(r.tests, t)
	return 0
}

// inner is the group that is being read.
func (r *run) inner(l *glua.LState, word string) *group {
	if r.now != nil {
		r.a.S.Raisef(l, "call it outside of it(…)", "%s: a test runs already", word)
	}
	return r.groups[len(r.groups)-1]
}

// running refuses words that only a test may use.
func (r *run) running(l *glua.LState, word string) {
	if r.bench == nil {
		r.a.S.Raisef(l, `write it("…", function() … end) around it`, "%s can only be called inside a test", word)
	}
}

func (r *run) function(l *glua.LState, i int, word string) *glua.LFunction {
	fn, ok := l.Get(i).(*glua.LFunction)
	if !ok {
		r.a.S.Raisef(l, "", "%s must be given a function, not %s", word, bind.Describe(l.Get(i)))
	}
	return fn
}

func (r *run) text(l *glua.LState, i int, word, what string) string {
	v, ok := l.Get(i).(glua.LString)
	if !ok {
		r.a.S.Raisef(l, "", "%s: the %s must be a string, not %s", word, what, bind.Describe(l.Get(i)))
	}
	return string(v)
}

// texts are the arguments from i on.
func (r *run) texts(l *glua.LState, i int, word, what string) (out []string) {
	for ; i <= l.GetTop(); i++ {
		out = append(out, r.text(l, i, word, what))
	}
	return out
}

// failf fails the test at the line that runs.
func (r *run) failf(l *glua.LState, format string, args ...any) {
	r.a.S.Raisef(l, "", "%s", fmt.Sprintf(format, args...))
}
