package lua

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"vsl/engine/enginetest"
	"vsl/tests/fixture"
)

// runaways are code that would go on for ever, or take all there is. want is the
// error of its own that it ends with; "" is code that only the clock ends.
var runaways = []struct{ name, code, want string }{
	{"loop", `while true do end`, ""},
	{"goto", `::again:: goto again`, ""},
	{"rep", `local s = ("x"):rep(1e9)`, "string.rep: the result is longer than 64 MB"},
	{"concat", `local s = "x" while true do s = s .. s end`, "..: the result is longer than 64 MB"},
	{"concat of much", `local s = ("x"):rep(3e7) local t = s .. s .. s .. s .. s .. s .. s .. s`, "..: the result is longer than 64 MB"},
	{"pattern", `return ("a"):rep(40):match(("a?"):rep(40) .. ("a"):rep(41))`, "the pattern takes too long on this text"},
	{"pattern with a large set", `return ("b"):rep(1e5):match("[" .. ("a"):rep(1e6) .. "]")`, "the pattern takes too long on this text"},
	{"recursion", `local function f() return 1 + f() end f()`, "stack overflow: the calls nest too deep"},
	{"recursion of metamethods", `local t = setmetatable({}, { __index = function(t, k) return t[k] end }) return t.x`, "stack overflow: the calls nest too deep"},
	{"recursion of coroutines", `local function f() coroutine.wrap(f)() end f()`, "stack overflow: more than 200 coroutines within each other"},
	{"arguments", `local function f(...) return 1 + f(1, 2, 3, 4, 5, 6, 7, 8, 9, ...) end f()`, "registry overflow"},
	{"table.concat", `local t, s = {}, ("x"):rep(1e6) for i = 1, 100 do t[i] = s end return table.concat(t)`, "table.concat: the result is longer than 64 MB"},
	{"format", `return ("%1000000000d"):format(1)`, "string.format: %1000000000d: width or precision is not valid"},
	{"unpack", `return unpack({}, 1, 1e9)`, "unpack: more than 524288 values"},
	{"sort", `local t = {} for i = 1, 3e5 do t[i] = -i end while true do table.sort(t, function(a, b) return a < b end) table.sort(t, function(a, b) return a > b end) end`, ""},
	{"calls that multiply", `local function f() pcall(f) pcall(f) end f()`, ""},
	{"handlers that fail", `local function f() while true do xpcall(error, function() while true do end end) end end f()`, ""},
}

// wrappers are where such code may stand. caught says that its own errors are
// swallowed again and again, so that nothing but the clock ends it.
var wrappers = []struct {
	name, text string
	caught     bool
}{
	{"as it is", "%s", false},
	{"in a pcall loop", "while true do pcall(function() %s end) end", true},
	{"in a coroutine", "coroutine.wrap(function() %s end)()", false},
	{"in coroutines in a loop", "while true do coroutine.resume(coroutine.create(function() %s end)) end", true},
}

// Whatever runs away ends with an error at its line within a second of its bound,
// while the recipe is read and in a flow, also where it catches errors.
func TestRunaways(t *testing.T) {
	defer func(d time.Duration) { readTime = d }(readTime)
	for _, c := range runaways {
		for _, w := range wrappers {
			if testing.Short() && w.name != "as it is" {
				continue
			}
			bound := 100 * time.Millisecond
			own := c.want != "" && !w.caught
			if own { // the clock must not be what ends it
				bound = fixture.Patience(time.Minute)
			}
			code := strings.Replace(w.text, "%s", "do "+c.code+" end", 1)
			check := func(where string, err error, took time.Duration, clock string) {
				t.Helper()
				want := clock
				if own {
					want = "recipe.lua:2: " + c.want
				}
				if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "recipe.lua:2: ") {
					t.Errorf("%s %s, %s: %v", c.name, w.name, where, err)
				}
				// By itself it is a second at most; here others may have the machine, too.
				if !own && took > bound+fixture.Patience(10*time.Second) {
					t.Errorf("%s %s, %s: took %s", c.name, w.name, where, took)
				}
			}
			readTime = bound
			start := time.Now()
			_, _, err := load(t, "\n"+code, Options{})
			check("read", err, time.Since(start), fmt.Sprintf("recipe.lua:2: reading the recipe took longer than %s", bound))

			readTime = fixture.Patience(10 * time.Second)
			boom := errors.New("the flow took too long")
			ctx, cancel := context.WithTimeoutCause(context.Background(), bound, boom)
			start = time.Now()
			calls, err := boot(t, ctx, "guest \"g\" { boot = function(g)\n"+code+" end }", Options{}, func(*enginetest.Engine) {})
			cancel()
			check("in a flow", err, time.Since(start), boom.Error())
			if len(calls) > 0 {
				t.Errorf("%s %s: %v", c.name, w.name, calls)
			}
		}
	}
}

// Texts that would take the compiler for ever, or the whole stack, are refused.
func TestRunawayTexts(t *testing.T) {
	numbers := strings.Builder{}
	for i := range 100_000 {
		fmt.Fprintf(&numbers, "%d.5,", i)
	}
	for _, c := range []struct{ name, text, want string }{
		{"not", "return " + strings.Repeat("not ", 200_000) + "1", "recipe.lua:1: the text nests more than 1000 levels deep"},
		{"tables", "return " + strings.Repeat("{", 500_000) + strings.Repeat("}", 500_000), "recipe.lua:1: the text nests more than 1000 levels deep"},
		{"if", strings.Repeat("if print then ", 50_000) + strings.Repeat("end ", 50_000), "recipe.lua:1: the text nests more than 1000 levels deep"},
		{"functions", strings.Repeat("return function() ", 40_000) + strings.Repeat("end ", 40_000), "recipe.lua:1: the text nests more than 1000 levels deep"},
		{"sum", "return 1" + strings.Repeat(" + 1", 200_000), "recipe.lua:1: the text nests more than 1000 levels deep"},
		{"constants", "return {" + numbers.String() + "}", "recipe.lua:1: a function has 100000 different names, numbers and strings, which takes too long to compile"},
		{"size", strings.Repeat("local x ", 1<<20), "recipe.lua: larger than 1 MB"},
	} {
		start := time.Now()
		_, _, err := load(t, c.text, Options{})
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: %.300v", c.name, err)
		}
		if took := time.Since(start); took > fixture.Patience(5*time.Second) {
			t.Errorf("%s: took %s", c.name, took)
		}
	}
}
