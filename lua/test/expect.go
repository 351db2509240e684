package test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	glua "github.com/yuin/gopher-lua"

	"vsl/lua/bind"
	"vsl/lua/modules"
	"vsl/lua/runtime"
)

// expectation is expect(value).
type expectation struct {
	value glua.LValue
	never bool
}

// LuaType names the kind in errors.
func (*expectation) LuaType() string { return "expectation" }

// matcher is one method of expect(value). It says whether the value matches, and
// in words what was expected of it.
type matcher struct {
	Word
	match func(r *run, l *glua.LState, v glua.LValue) (ok bool, want string)
}

func matchers() []matcher {
	return []matcher{
		{Word{"equals", "expect(v):equals(other)", "the same value; tables by what is in them"}, (*run).equals},
		{Word{"contains", `expect(v):contains "text"`, "a string that holds a text, or a list that holds a value"}, (*run).contains},
		{Word{"matches", `expect(v):matches "^%d+$"`, "a string with a match of a Lua pattern"}, (*run).matches},
		{Word{"has", `expect(t):has "key"`, "a table, or the guests of a recipe, with a key"}, (*run).has},
		{Word{"is_nil", "expect(v):is_nil()", "nil"}, func(_ *run, _ *glua.LState, v glua.LValue) (bool, string) { return v == glua.LNil, "to be nil" }},
		{Word{"is_true", "expect(v):is_true()", "true, or any value but false and nil"}, func(_ *run, _ *glua.LState, v glua.LValue) (bool, string) {
			return glua.LVAsBool(v), "to be true"
		}},
		{Word{"is_false", "expect(v):is_false()", "false or nil"}, func(_ *run, _ *glua.LState, v glua.LValue) (bool, string) { return glua.LVIsFalse(v), "to be false" }},
		{Word{"at_least", "expect(v):at_least(3)", "a number that is no less"}, bound("at_least", func(v, n glua.LNumber) bool { return v >= n })},
		{Word{"at_most", "expect(v):at_most(3)", "a number that is no more"}, bound("at_most", func(v, n glua.LNumber) bool { return v <= n })},
		{Word{"fails", `expect(function() … end):fails "text"`, "a function that raises an error, with the text in it"}, (*run).fails},
		{Word{"golden", `expect(text):golden "plan.golden"`, "the same text as in a file beside the test, which vsl test --update writes"}, (*run).golden},
	}
}

// Matchers lists the methods of expect(value), for documentation.
func Matchers() (out []Word) {
	for _, m := range matchers() {
		out = append(out, m.Word)
	}
	return out
}

func (r *run) openExpect() {
	s, all := r.a.S, matchers()
	names := []string{"never"}
	methods := map[string]*glua.LFunction{}
	for _, m := range all {
		names = append(names, m.Name)
		methods[m.Name] = s.Func(m.Name, func(l *glua.LState) int { return r.matcher(l, m) })
	}
	r.a.NewType("expectation", func(l *glua.LState) int {
		e, name := l.CheckUserData(1).Value.(*expectation), l.Get(2).String()
		switch fn := methods[name]; {
		case fn != nil:
			l.Push(fn)
		case name == "never":
			l.Push(r.a.Object(l, "expectation", &expectation{e.value, !e.never}))
		default:
			s.Raisef(l, bind.DidYouMean(name, names), "expect has no %q", name)
		}
		return 1
	}, func(l *glua.LState, v any) string { return "expect(" + runtime.Pretty(l, v.(*expectation).value) + ")" })
	s.SetGlobal("expect", s.Func("expect", func(l *glua.LState) int {
		l.Push(r.a.Object(l, "expectation", &expectation{value: l.Get(1)}))
		return 1
	}))
}

func (r *run) matcher(l *glua.LState, m matcher) int {
	ud, ok := l.Get(1).(*glua.LUserData)
	var e *expectation
	if ok {
		e, ok = ud.Value.(*expectation)
	}
	if !ok {
		r.a.S.Raisef(l, "write "+m.Use, "%s must be called on expect(…), with a colon", m.Name)
	}
	ok, want := m.match(r, l, e.value)
	if ok == e.never {
		not := ""
		if e.never {
			not = "not "
		}
		r.failf(l, "expected %s\n%s%s", runtime.Pretty(l, e.value), not, want)
	}
	l.SetTop(1)
	return 1
}

func (r *run) equals(l *glua.LState, v glua.LValue) (bool, string) {
	want := l.Get(2)
	got, err := r.a.S.Call(l, r.std(l, "deep_equal"), v, want)
	if err != nil {
		r.a.S.Reraise(l, err)
	}
	a, b := readable(l, v), readable(l, want)
	words := "to equal " + runtime.Pretty(l, want)
	if strings.Contains(a+b, "\n") {
		words += "\n" + difference("got", a, "want", b)
	}
	return glua.LVAsBool(got[0]), words
}

// readable is a value for comparing by lines.
func readable(l *glua.LState, v glua.LValue) string {
	if s, ok := v.(glua.LString); ok {
		return string(s)
	}
	return runtime.Pretty(l, v)
}

func difference(nameA, a, nameB, b string) string {
	end := func(s string) []byte { return []byte(strings.TrimSuffix(s, "\n") + "\n") }
	return strings.TrimSuffix(string(diff.Diff(nameA, end(a), nameB, end(b))), "\n")
}

// std gives a function of vsl.std.
func (r *run) std(l *glua.LState, name string) *glua.LFunction {
	got, err := r.a.S.Call(l, r.a.S.GetGlobal("require").(*glua.LFunction), glua.LString("vsl.std"))
	if err != nil {
		r.a.S.Reraise(l, err)
	}
	return got[0].(*glua.LTable).RawGetString(name).(*glua.LFunction)
}

func (r *run) contains(l *glua.LState, v glua.LValue) (bool, string) {
	want := l.Get(2)
	words := "to contain " + runtime.Pretty(l, want)
	switch v := v.(type) {
	case glua.LString:
		return strings.Contains(string(v), r.text(l, 2, "contains", "text")), words
	case *glua.LTable:
		equal := r.std(l, "deep_equal")
		for i := 1; i <= v.Len(); i++ {
			got, err := r.a.S.Call(l, equal, v.RawGetInt(i), want)
			if err != nil {
				r.a.S.Reraise(l, err)
			}
			if glua.LVAsBool(got[0]) {
				return true, words
			}
		}
		return false, words
	}
	r.a.S.Raisef(l, "", "contains: the value must be a string or a list, not %s", bind.Describe(v))
	return false, words
}

func (r *run) matches(l *glua.LState, v glua.LValue) (bool, string) {
	text, ok := v.(glua.LString)
	if !ok {
		r.a.S.Raisef(l, "", "matches: the value must be a string, not %s", bind.Describe(v))
	}
	pattern := r.text(l, 2, "matches", "pattern")
	find := r.a.S.GetGlobal("string").(*glua.LTable).RawGetString("find").(*glua.LFunction)
	got, err := r.a.S.Call(l, find, text, glua.LString(pattern))
	if err != nil {
		r.a.S.Reraise(l, err)
	}
	return len(got) > 0 && got[0] != glua.LNil, "to match " + runtime.Pretty(l, glua.LString(pattern))
}

func (r *run) has(l *glua.LState, v glua.LValue) (bool, string) {
	t, ok := v.(*glua.LTable)
	if !ok {
		r.a.S.Raisef(l, "", "has: the value must be a table, not %s", bind.Describe(v))
	}
	return t.RawGet(l.Get(2)) != glua.LNil, "to have " + runtime.Pretty(l, l.Get(2))
}

func bound(name string, holds func(v, n glua.LNumber) bool) func(r *run, l *glua.LState, v glua.LValue) (bool, string) {
	return func(r *run, l *glua.LState, v glua.LValue) (bool, string) {
		a, ok := v.(glua.LNumber)
		n, ok2 := l.Get(2).(glua.LNumber)
		if !ok || !ok2 {
			r.a.S.Raisef(l, "", "%s compares numbers, not %s and %s", name, bind.Describe(v), bind.Describe(l.Get(2)))
		}
		return holds(a, n), "to be " + strings.ReplaceAll(name, "_", " ") + " " + n.String()
	}
}

func (r *run) fails(l *glua.LState, v glua.LValue) (bool, string) {
	fn, ok := v.(*glua.LFunction)
	if !ok {
		r.a.S.Raisef(l, "write expect(function() … end):fails()", "fails: the value must be a function, not %s", bind.Describe(v))
	}
	text := ""
	if l.Get(2) != glua.LNil {
		text = r.text(l, 2, "fails", "text")
	}
	_, err := r.a.S.Call(l, fn)
	var skip *errSkip
	switch {
	case errors.As(err, &skip):
		r.a.S.Raise(l, skip)
	case err == nil:
		return false, "to fail"
	}
	return strings.Contains(err.Error(), text), "to fail with " + runtime.Pretty(l, glua.LString(text)) + "\nit failed with: " + err.Error()
}

func (r *run) golden(l *glua.LState, v glua.LValue) (bool, string) {
	text, ok := v.(glua.LString)
	if !ok {
		r.a.S.Raisef(l, "", "golden: the value must be a string, not %s", bind.Describe(v))
	}
	name := r.text(l, 2, "golden", "file")
	if !filepath.IsLocal(name) {
		r.a.S.Raisef(l, "golden files are beside the test", "golden: %q is outside the test's folder", name)
	}
	if r.o.Update {
		if err := r.writeGolden(name, string(text)); err != nil {
			r.a.S.Raise(l, err)
		}
		return true, ""
	}
	want, err := modules.Read(r.dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		r.a.S.Raisef(l, "vsl test --update writes it", "golden file %s is not there", name)
	}
	if err != nil {
		r.a.S.Raise(l, err)
	}
	if string(want) == string(text) {
		return true, "to differ from " + name
	}
	r.a.S.Raisef(l, "vsl test --update takes what it is now", "differs from %s:\n%s", name, difference(name, string(want), "now", string(text)))
	return false, ""
}

// writeGolden makes the file anew: what has its name may be a link to a file that is
// none of the test's, or a pipe.
func (r *run) writeGolden(name, text string) error {
	root, err := os.OpenRoot(r.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
