package runtime

import (
	"strings"
	"testing"
)

// slips are mistakes whose messages Lua 5.1 has as well. more is what ours says
// behind Lua's words.
var slips = []struct{ name, text, more string }{
	{"index of a local", `local post; return post.title`, ""},
	{"index of a parameter", `local function f(post) return post.title end f()`, ""},
	{"index of a field", `local t = {}; return t.x.y`, ""},
	{"index of a field of a field", `local t = { a = {} }; return t.a.b.c`, ""},
	{"index of an upvalue", `local up; local function f() return up.x end f()`, ""},
	{"index of a library's field", `return math.pi.x.y`, ""},
	{"index of an item", `local t = {}; return t[1].x`, ""},
	{"index by a variable", `local t, k = {}, "a"; return t[k].x`, ""},
	{"index of a result", `local function f() end; return f().x`, ""},
	{"index of a boolean", `local ok = true; return ok.x`, ""},
	{"index of a choice", `local t = {}; return (t.a or t.b).x`, ""},
	{"arithmetic with a choice", `local t = {}; return (t.a and t.b) + 1`, ""},
	{"minus a text", `local t = { x = "y" }; return -t.x`, ""},
	{"index by what is nil too", `local t = {}; local k; return t.x[k]`, ""},
	{"after blocks", `local a = 1; do local b, c = 2, 3 end do local d, e = 4; return e.x end`, ""},
	{"behind an end", `local a = 1; do local b = 2 end local t = {}; return t.x.y`, ""},
	{"shadowed", `local x = {}; do local x; return x.y end`, ""},
	{"in a loop", `for i, v in ipairs({ {} }) do local y = v.a.b end`, ""},
	{"two on a line", `local a, b = { x = {} }, {}; return a.x.y, b.x.y`, ""},
	{"assignment to a local's field", `local t; t.x = 1`, ""},
	{"assignment to a field's field", `local t = {}; t.a.b = 1`, ""},
	{"assignment of many", `local a, b = {}; a.x, b.x = 1, 2`, ""},
	{"a method's definition", `local t = {}; function t.a:b() end`, ""},
	{"a method's definition in nil", `local t; function t.a:b() end`, ""},
	{"a function's definition", `local t; function t.f() end`, ""},
	{"method of a local", `local g; g:exec("x")`, ""},
	{"method of a field", `local t = {}; t.g:exec("x")`, ""},
	{"call of a local", `local f; f()`, ""},
	{"call of an upvalue", `local f; local function g() f() end g()`, ""},
	{"call of a global", `_VERSION()`, ""},
	{"call of a field", `local t = {}; t.f()`, ""},
	{"call of a field of an upvalue", `local t = {}; local function g() t.f(1, 2) end g()`, ""},
	{"call of a method", `local t = {}; t:f(1)`, ""},
	{"call of a table", `local t = {}; t()`, ""},
	{"call of a result", `local function f() end f()()`, ""},
	{"tail call of a field", `local t = {}; return t.f()`, ""},
	{"arithmetic with a local", `local n; return n + 1`, ""},
	{"arithmetic with a field", `local t = {}; return 1 - t.x`, ""},
	{"arithmetic with an upvalue", `local n; local function f() return 2 * n end f()`, ""},
	{"arithmetic with texts", `local a, b = "1", "x"; return a + b`, ""},
	{"arithmetic with nil", `return "1" + nil`, ""},
	{"arithmetic with a table", `local t = {}; return t / 2`, ""},
	{"modulo and power", `local t = {}; return (2 ^ 3) % t.x`, ""},
	{"minus a field", `local t = {}; return -t.x`, ""},
	{"length of a local", `local t; return #t`, ""},
	{"length of a field", `local t = {}; return #t.x`, ""},
	{"joining a local", `local s; return "a" .. s`, ""},
	{"joining a field", `local t = {}; return "a" .. t.x .. "b"`, ""},
	{"joining an upvalue", `local s; local function f() return s .. "a" end f()`, ""},
	{"joining a field first", `local t = {}; return t.x .. "b" .. "c"`, ""},
	{"joining a table", `local t = {}; return 1 .. t`, ""},
	{"comparing a local", `local n; return n < 1`, " (local 'n' is nil)"},
	{"comparing a field", `local t = {}; if 1 <= t.x then end`, " (field 'x' is nil)"},
	{"comparing the other way", `local t = {}; return 1 > t.x`, " (field 'x' is nil)"},
	{"comparing with at least", `local t = {}; return t.x >= 1`, " (field 'x' is nil)"},
	{"comparing nils", `local a, b; return a < b`, " (local 'a' is nil)"},
	{"comparing tables", `return {} < {}`, ""},
	{"comparing a text with a number", `local s = "1"; return s < 2`, ""},
	{"a loop from nil", `local t = {}; for i = t.x, 2 do end`, " (field 'x' is a nil value)"},
	{"a loop to nil", `local n; for i = 1, n do end`, " (local 'n' is a nil value)"},
	{"a loop by nil", `local t = {}; for i = 1, 2, t.x do end`, " (field 'x' is a nil value)"},
	{"a loop over nil", `for k in nil do end`, ""},
	{"a loop over a table", `local t = {}; for k in t do end`, " (write in pairs(t) or in ipairs(t))"},
	{"in a coroutine", `local co = coroutine.create(function() local t; return t.x end); local _, err = coroutine.resume(co); error(err, 0)`, ""},
	{"in a wrapped coroutine", `coroutine.wrap(function() local t = {}; return t.x.y end)()`, ""},
	{"in a coroutine that went on", `local f = coroutine.wrap(function() local t; coroutine.yield(); t.x = 1 end); f() f()`, ""},
	{"in pcall in a coroutine", `coroutine.wrap(function() local ok, err = pcall(function() local t; t.x = 1 end) error(err, 0) end)()`, ""},
	{"in xpcall", `local _, err = xpcall(function() local t; t.x = 1 end, function(e) return e end) error(err, 0)`, ""},
	{"a text that says the same", `error("attempt to call a non-function object", 0)`, ""},
}

// TestNamesLikeLua51 compares what is said of operands with what Lua 5.1 says.
func TestNamesLikeLua51(t *testing.T) {
	needLua(t)
	s := New(Options{})
	defer s.Close()
	for _, c := range slips {
		t.Run(c.name, func(t *testing.T) {
			for _, protect := range []bool{false, true} {
				chunk := "local _, err = pcall(function() " + c.text + "\nend) return (err:gsub('^.-:1: ', ''))"
				theirs, err := thePeer.eval(chunk)
				if err != nil || len(theirs) != 1 {
					t.Fatalf("lua5.1: %v, %v", theirs, err)
				}
				want := theirs[0].text + c.more
				if i := strings.LastIndex(want, "]:1: "); i >= 0 { // of a wrapped coroutine it tells where twice
					want = want[i+len("]:1: "):]
				}
				if !protect {
					chunk = c.text
				}
				ours, err := here(s, chunk)
				if err != nil || len(ours) != 1 {
					t.Fatalf("%s: %v, %v", chunk, ours, err)
				}
				if got := strings.TrimPrefix(ours[0].text, "differ.lua:1: "); got != want {
					t.Errorf("%s\n got  %q\n want %q", chunk, got, want)
				}
			}
		})
	}
}
