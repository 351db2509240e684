package lua

import (
	"errors"
	"fmt"
	"os"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"vsl/engine"
)

// Every mistake is reported at its line, with its suggestion, all at once.
func TestMistakes(t *testing.T) {
	data, err := os.ReadFile("testdata/mistakes.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(data), ";;.\n")
	for i, chunk := range strings.Split(text, "---\n") {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			var want []string
			for n, line := range strings.Split(chunk, "\n") {
				if _, msgs, ok := strings.Cut(line, "--! "); ok {
					for _, m := range strings.Split(msgs, " ;; ") {
						want = append(want, fmt.Sprintf("recipe.lua:%d: %s", n+1, m))
					}
				}
			}
			_, _, err := load(t, chunk, Options{})
			if err == nil {
				t.Fatalf("no error:\n%s", chunk)
			}
			got := strings.Split(err.Error(), "\n")
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
				var m *Mistake
				var r *RuntimeError
				if !errors.As(e, &m) && !errors.As(e, &r) {
					t.Errorf("%T: %v", e, e)
				}
			}
		})
	}
}

func TestSyntaxError(t *testing.T) {
	_, _, err := load(t, "guest \"a\" {\n  ip = ,\n}\n", Options{})
	if err == nil || err.Error() != `recipe.lua:2: syntax error: an expression expected before ","` {
		t.Error(err)
	}
	var m *Mistake
	if !errors.As(err, &m) || m.Pos != (engine.Pos{File: "recipe.lua", Line: 2}) {
		t.Errorf("%#v", err)
	}
}

func TestParams(t *testing.T) {
	text := `
local n = param.int("count", { default = 3, min = 1, max = 9, doc = "how many" })
local s = param.string("color", { default = "red", choices = { "red", "green" } })
local b = param.bool("fast", { default = false })
local f = param.number("ratio", { default = 0.5 })
local l = param.list("names", { default = { "a" } })
guest("g" .. n) { env = { s = s, b = b, f = f, l = table.concat(l, "+") } }
`
	for _, c := range []struct {
		params map[string]string
		want   string // of the guest, or
		err    string
	}{
		{nil, "g3 map[b:false f:0.5 l:a s:red]", ""},
		{map[string]string{"count": "5", "color": "green", "fast": "yes", "ratio": "2", "names": "x, y"}, "g5 map[b:true f:2 l:x+y s:green]", ""},
		{map[string]string{"count": "0"}, "", `recipe.lua:2: parameter "count": 0 is less than 1`},
		{map[string]string{"count": "x"}, "", `recipe.lua:2: parameter "count": "x" is not a whole number`},
		{map[string]string{"color": "gren"}, "", `recipe.lua:3: parameter "color": "gren" is none of red, green (did you mean "green"?)`},
		{map[string]string{"fast": "maybe"}, "", `recipe.lua:4: parameter "fast": "maybe" is not true or false`},
		{map[string]string{"ratio": "NaN"}, "", `recipe.lua:5: parameter "ratio": "NaN" is not a number`},
		{map[string]string{"cuont": "1"}, "", `the recipe has no parameter "cuont" (did you mean "count"?)`},
	} {
		r, _, err := load(t, text, Options{Params: c.params})
		if err != nil {
			if err.Error() != c.err {
				t.Errorf("%v: %v", c.params, err)
			}
			continue
		}
		s := r.Guests[0].Spec
		if got := fmt.Sprint(s.Name, " ", s.Env); got != c.want || c.err != "" {
			t.Errorf("%v: %s", c.params, got)
		}
		if len(r.Params) != 5 || r.Params[0].Doc != "how many" {
			t.Errorf("params: %+v", r.Params)
		}
	}
}

// Reading ends, whatever a recipe does.
func TestReadingIsBounded(t *testing.T) {
	defer func(d time.Duration) { readTime = d }(readTime)
	readTime = 50 * time.Millisecond
	_, _, err := load(t, "\nwhile true do end", Options{})
	if err == nil || err.Error() != "recipe.lua:2: reading the recipe took longer than 50ms" {
		t.Error(err)
	}
}

// A recipe that takes more and more memory is stopped where it does so, also
// where it catches errors, and what it took is free again.
func TestMemoryIsBounded(t *testing.T) {
	defer func(d time.Duration) { readTime = d }(readTime)
	readTime = 5 * time.Minute // this is not about time, and the machine may be busy
	for _, text := range []string{
		"local t = {}\nwhile true do t[#t + 1] = ('x'):rep(1000) .. #t end",
		"local t = {}\nwhile true do pcall(function() t[#t + 1] = ('x'):rep(100000) end) end",
	} {
		_, _, err := load(t, text, Options{})
		if err == nil || err.Error() != "recipe.lua:2: the recipe uses more than 512 MB of memory" {
			t.Errorf("%s: %v", text, err)
		}
		goruntime.GC()
	}
	if _, _, err := load(t, "local s = 0 for i = 1, 20000 do s = s + #(('x'):rep(100000) .. i) end", Options{}); err != nil {
		t.Error("garbage counts:", err)
	}
}
