package syntax

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/yuin/gopher-lua/parse"

	"vsl/recipes"
	"vsl/stdlib"
)

// texts are Lua that this project has, and pieces of wrong Lua.
func texts(t testing.TB) []string {
	var out []string
	for _, from := range []fs.FS{recipes.FS, stdlib.FS} {
		err := fs.WalkDir(from, ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".lua") {
				return err
			}
			text, err := fs.ReadFile(from, path)
			out = append(out, string(text))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	mistakes, err := os.ReadFile("../testdata/mistakes.txt")
	if err != nil {
		t.Fatal(err)
	}
	return append(append(out, strings.Split(string(mistakes), "---\n")...), pieces...)
}

var pieces = []string{
	"\ufeff", "\ufeffx = 1", "#!", "#!/usr/bin/env -S vsl up\nx = 1", "#!x\r\nx = 1", "\ufeff#! y\nx =", " #!x\nx = 1", "\n#!x", "#x\ny = 1", "x = 1 \ufeff", "\ufeff\ufeff",
	"", ";", "x", "x =", "x = 1", "local", "local x", "local x, y = 1", "local function f() end", "local function f(a, b, ...) return ... end",
	"f()", "f{}", "f'x'", "f.a.b:c(1)(2){3}[4].d = 5", "a, b.c, d[1] = 1, 2, 3", "(f)()", "(f)", "(f())", "((f)())", "(a).b = 1", "(a) = 1", "f() = 1",
	"if a then elseif b then else end", "if a then", "if a", "while true do break end", "while true do break x() end", "repeat local x until x",
	"for i = 1, 2 do end", "for i = 1, 2, 3 do end", "for i = 1 do end", "for a, b in pairs(x) do end", "for i = 1, 2, 3, 4 do end",
	"do return end", "return", "return;", "return 1, 2;", "return return", "return x y", "do return 1 end f()", "break", "goto x", "::x::", "goto", ":: x ::",
	"x = -a^2 .. b * c + d == e and f or not g", "x = 2^-3^4", "x = # # a", "x = - - 1", "x = a < b < c", "x = {1, 2; 3, a = 4, ['b'] = 5, f(), ...}",
	"x = {,}", "x = {a = }", "x = {1 2}", "x = {a = 1 b = 2}", "x = {", "x = {{}", "x = }", "x = [[ a\nb ]]", "x = [==[ ]] ]==]", "x = [=x", "x = [[",
	"x = 'a\\'b\\\\' .. \"\\65\\n\\\n\"", "x = 'a", "x = \"a\nb\"", "-- x", "--[[ x", "--[[ x ]] y = 1", "--[==[ x ]] ]==]", "--[ x", "--[=x", "--",
	"x = 0x1F + 1e3 + 1.5e-3 + .5 + 3.", "x = 3..2", "x = 1 .. 2", "x = 0x", "x = a ~= b", "x = a != b", "x = a ~ b", "x = @", "x = é", "x = a.", "x = a:", "a:b", "a:b()",
	"a.b", "a.end", "a.end()", "function a.b.c:d() end", "function a:b.c() end", "function a() return self end", "function f(a, ) end", "function f(..., a) end", "function f(a b) end", "function (a) end",
	"x = function(...) return ... end", "x = function() return ... end", "f\n(x)", "f()\n(x)()", "end", "x = 1 end", "until x", "else", "#!x", "x = 1 ; ; y = 2", "\ufeffx = 1",
	"x = a and b or c and d", "local x <const> = 1", "x += 1", "a.b.c", "a[1]", "a[1", "f(", "f(1,", "f(1 2)", "f(,)", "x = (1", "x = (1, 2)", "x = ()", "local 1", "local x = = 1", "\r\nx\r=\r1\n\r",
}

// TestAgrees compares with the interpreter's own parser: what one accepts, the other
// must.
func TestAgrees(t *testing.T) {
	for _, text := range texts(t) {
		agrees(t, text)
	}
}

func agrees(t *testing.T, text string) {
	t.Helper()
	_, err := parse.Parse(strings.NewReader(Blank(text)), "x")
	f := Parse(text)
	if (err == nil) == (len(f.Errors) == 0) {
		return
	}
	if err == nil { // these are refused on purpose: the interpreter lets them pass, or finds them later
		for _, e := range f.Errors {
			if e.Msg == "a number without its exponent" || e.Msg == "nested too deeply" || strings.HasPrefix(e.Msg, "... is only there") {
				return
			}
		}
	}
	t.Errorf("%q: the interpreter says %v, we say %v", text, err, f.Errors)
}

// whole checks that spans lie within each other.
func whole(t *testing.T, text string) {
	t.Helper()
	f := Parse(text)
	Walk(f.Body, func(n Node) bool {
		at := n.Where()
		if at.From < 0 || at.To > len(text) || at.From > at.To {
			t.Fatalf("%q: %T spans %v", text, n, at)
		}
		for _, c := range Children(n) {
			if in := c.Where(); in.From < at.From || in.To > at.To {
				t.Fatalf("%q: %T %v is in %T %v", text, c, in, n, at)
			}
		}
		return true
	})
	for at := range len(text) + 1 {
		f.Path(at)
		f.Visible(at)
		line, col := f.Lines.UTF16(at)
		if got := f.Lines.FromUTF16(line, col); utf8.RuneStart((text + " ")[at]) && got != at && at-got != 1 {
			t.Fatalf("%q: offset %d is %d:%d is %d", text, at, line, col, got)
		}
	}
	for _, e := range f.Errors {
		if e.From < 0 || e.To > len(text) || e.Msg == "" {
			t.Fatalf("%q: %+v", text, e)
		}
	}
}

func TestWhole(t *testing.T) {
	for _, text := range texts(t) {
		whole(t, text)
	}
}

// TestHalfTyped cuts every recipe off at each byte.
func TestHalfTyped(t *testing.T) {
	for _, text := range texts(t) {
		step := 1
		if testing.Short() {
			step = 11
		}
		for at := 0; at < len(text); at += step {
			agrees(t, text[:at])
			Parse(text[:at] + "\n" + text[at:])
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range texts(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		whole(t, text)
		agrees(t, text)
	})
}

func TestUTF16(t *testing.T) {
	text := "a = 'é😀x'\r\nb = 1\rc"
	l := NewLines(text)
	for at, r := range text {
		line, col := l.UTF16(at)
		if got := l.FromUTF16(line, col); got != at && r != '\n' {
			t.Errorf("offset %d is %d:%d, which is %d", at, line, col, got)
		}
	}
	if line, col := l.UTF16(strings.Index(text, "x")); line != 0 || col != len(utf16.Encode([]rune("a = 'é😀"))) {
		t.Error(line, col)
	}
	if line, col := l.At(strings.Index(text, "c")); line != 3 || col != 1 {
		t.Error(line, col)
	}
	if at := l.FromUTF16(1, 99); text[at] != '\r' || l.FromUTF16(99, 0) != len(text) || l.FromUTF16(-1, 4) != 0 {
		t.Error(at)
	}
}

func TestScopes(t *testing.T) {
	f := Parse(`local a = 1
local function f(b) a = b; return f end
for i, v in pairs(t) do local a = i + v end
repeat local done = f() until done
local g = function() return g end
`)
	if len(f.Errors) > 0 {
		t.Fatal(f.Errors)
	}
	got := map[string]int{}
	for _, l := range f.Locals {
		got[l.Name] += len(l.Reads)*100 + len(l.Writes)*10
		if l.Hides != nil {
			got[l.Name]++
		}
	}
	for name, want := range map[string]int{"a": 11, "f": 200, "b": 100, "i": 100, "v": 100, "done": 100, "g": 100} {
		if got[name] != want {
			t.Errorf("%s: %d, want %d", name, got[name], want)
		}
	}
	if len(f.Globals) != 2 || f.Globals[0].Name != "pairs" || f.Globals[1].Name != "t" {
		t.Error(f.Globals)
	}
	var names []string
	for _, l := range f.Visible(strings.Index(f.Text, "i + v")) {
		names = append(names, l.Name)
	}
	if strings.Join(names, " ") != "v i f a" {
		t.Error(names)
	}
}
