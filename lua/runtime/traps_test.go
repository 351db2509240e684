package runtime

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	lua "github.com/yuin/gopher-lua"
)

// eval runs a chunk in a fresh state and gives its values as text.
func eval(t *testing.T, o Options, text string) (string, error) {
	t.Helper()
	s := New(o)
	defer s.Close()
	return evalIn(t, s, context.Background(), text)
}

func evalIn(t *testing.T, s *State, ctx context.Context, text string) (string, error) {
	t.Helper()
	var out []string
	err := s.Do(ctx, func(l *lua.LState) error {
		fn, mistakes, err := s.Compile("test.lua", []byte(text))
		if err != nil {
			return err
		}
		if len(mistakes) > 0 {
			return errors.Join(mistakes...)
		}
		values, err := s.Call(l, fn)
		for _, v := range values {
			out = append(out, Pretty(l, v))
		}
		return err
	})
	return strings.Join(out, " "), err
}

// Where gopher-lua does something else than Lua 5.1, and what we made of it.
func TestTraps(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"upvalue of a running function after a caught error", `
			local n = 0
			local function inc() n = n + 1 end
			inc(); pcall(error, "x"); inc(); n = n + 10
			return n`, `12`},
		{"a call as the last value of a constructor with keys and without", `
			local function two(...) return ... end
			local a, b = { "g", key = two(1, 2) }, (function(...) return { "g", key = ... } end)(3, 4)
			return #a, a.key, #b, b.key, #{ "g", two(1, 2) }`, `1 1 1 3 3`},
		{"upvalue of a failed function", `
			local f
			pcall(function() local x = 1; f = function() return x end; error("a") end)
			local a, b, c, d = 9, 9, 9, 9
			return f()`, `1`},
		{"upvalues through nested protected calls", `
			local n, f = 0
			local function inc() n = n + 1 end
			pcall(function()
				local m = 5
				f = function() m = m + 1 return m end
				inc()
				pcall(function() inc() error("inner") end)
				inc() f()
				error("outer")
			end)
			inc()
			return n, f()`, `4 7`},
		{"upvalues after an error in a coroutine", `
			local n = 0
			local function inc() n = n + 1 end
			local co = coroutine.create(function() inc() pcall(error) inc() error("x") end)
			coroutine.resume(co) inc()
			return n`, `3`},
		{"xpcall", `local ok, m = xpcall(function() error("a", 0) end, function(e) return e .. "b" end) return ok, m`, `false "ab"`},
		{"xpcall passes arguments", `return xpcall(function(a, b) return a + b end, print, 1, 2)`, `true 3`},
		{"pcall gives all results", `return pcall(function(...) return ... end, 1, nil, 3)`, `true 1 nil 3`},
		{"pcall of what is no function", `return pcall(nil)`, `false "attempt to call a nil value"`},
		{"pcall of a table that can be called", `return pcall(setmetatable({}, { __call = function(_, a) return a end }), 5)`, `true 5`},
		{"numbers in texts", `return "010" + 1, "0x10" * 2, -"010", tonumber("010"), tonumber("0x1p4"), tonumber("1_0"), tonumber("0b1"), tonumber("1e1"), math.floor("010.5"), 010`, `11 32 -10 10 16 nil nil 10 10 10`},
		{"numbers in other bases", `return tonumber("ff", 16), tonumber("0xFF", 16), tonumber("-z", 36), tonumber("8", 8), tonumber(10, 2), tonumber("--1", 16), tonumber("", 16)`, `255 255 -35 nil 2 nil nil`},
		{"arithmetic of a text and an object", `local o = setmetatable({}, { __add = function(a, b) return "added" end }) return "x" + o, o + "1"`, `"added" "added"`},
		{"widths count bytes", `return ("%5s|%.1s|%-3s|%05d|%+d|%#x|%.3d"):format("é", "é", "é", -42, 7, 255, 5) == "   é|\195|é |-0042|+7|0xff|005"`, `true`},
		{"format of what is no number", `return ("%d %5.1f %g"):format(3.7, 1/0, -1/0)`, `"3   inf -inf"`},
		{"maxn of fractions", `return table.maxn { [1.5] = 1, [-2] = 2, x = 3 }`, `1.5`},
		{"error level 1", `local _, m = pcall(function() error("m") end) return m`, `"test.lua:1: m"`},
		{"error level 2 blames the caller", "local function f() error('m', 2) end\nlocal _, m = pcall(function()\n f()\nend) return m", `"test.lua:3: m"`},
		{"error with a table", `local _, e = pcall(error, { code = 7 }) return e.code`, `7`},
		{"assert keeps objects", `local _, e = pcall(assert, false, { code = 7 }) return e.code`, `7`},
		{"assert passes values on", `return assert(1, 2)`, `1 2`},
		{"long concat", `local t = {} for i = 1, 20000 do t[i] = "ab" end return #table.concat(t, ",")`, `59999`},
		{"long unpack", `local t = {} for i = 1, 20000 do t[i] = i end return select("#", unpack(t))`, `20000`},
		{"deep recursion", `local function f(n) if n == 0 then return 0 end return 1 + f(n - 1) end return f(3000)`, `3000`},
		{"gmatch called directly", `local f = ("a,b"):gmatch("%a") return f(), f(), f()`, `"a" "b" nil`},
		{"gmatch empty", `local n = 0 for _ in ("abc"):gmatch("x*") do n = n + 1 end return n`, `4`},
		{"gmatch ^ is ordinary", `return ("a^b"):gmatch("^b")()`, `"^b"`},
		{"frontier", `return ("THE (quick) fox"):find("%f[%a]%a+%f[%A]", 5)`, `6 10`},
		{"balance", `return ("f(a(b)c)d"):match("%b()")`, `"(a(b)c)"`},
		{"back reference", `return ([[say "it's" ok]]):match([[(["'])(.-)%1]])`, `"\"" "it's"`},
		{"position capture", `return ("hello"):find("l()l()")`, `3 4 4 5`},
		{"back reference to a position", `return ("aa"):find("()a%1")`, `nil`},
		{"lazy", `return ("<a><b>"):match("<(.-)>")`, `"a"`},
		{"sets", `return ("x-]9"):match("[]%-x]+"), ("abc9"):match("[^%d]+"), ("a-z"):match("[a%-z]+")`, `"x-]" "abc" "a-z"`},
		{"gsub table", `return (("$a $b"):gsub("%$(%w+)", { a = 1, b = false }))`, `"1 $b"`},
		{"gsub function", `return ("abc"):gsub("%w", function(c) return c == "b" and "[b]" or nil end)`, `"a[b]c" 3`},
		{"gsub %0 and limit", `return ("abc"):gsub("%w", "<%0>", 2)`, `"<a><b>c" 2`},
		{"gsub anchored", `return ("aaa"):gsub("^a", "b")`, `"baa" 1`},
		{"gsub empty pattern", `return ("ab"):gsub("", "-")`, `"-a-b-" 3`},
		{"find plain", `return ("a.b"):find(".", 1, true)`, `2 2`},
		{"find beyond the end", `return ("a"):find("", 10)`, `2 1`},
		{"find from the end", `return ("hello"):find("l", -2)`, `4 4`},
		{"upper is ASCII only", `return ("aé"):upper()`, `"Aé"`},
		{"format", `return ("%5.1f|%-4s|%04d|%x|%q|%c|%%|%g"):format(3.14159, "ab", 42, 255, "a\"b\n", 65, 0.1)`, `"  3.1|ab  |0042|ff|\"a\\\"b\\\n\"|A|%|0.1"`},
		{"format calls __tostring", `return ("%s"):format(setmetatable({}, { __tostring = function() return "T" end }))`, `"T"`},
		{"table.pack", `return table.pack(1, nil, 3).n`, `3`},
		{".. of many", `local t = setmetatable({}, { __concat = function(a, b) return (type(a) == "table" and "T" or a) .. "+" .. (type(b) == "table" and "T" or b) end }) return "a" .. t .. 1 .. "b", t .. t, 1 .. 2, "x" .. 0.5 .. -1`, `"aT+1b" "T+T" "12" "x0.5-1"`},
		{".. takes one value of a call", `local function two() return "p", "q" end return two() .. two(), "a" .. (...  or "z")`, `"pp" "az"`},
		{".. of more than a call takes", `return #(` + strings.Repeat(`"ab" .. `, 400) + `"c")`, `801`},
		{"sort", `local t = { 3, 1, 2 } table.sort(t) local u = { "b", "c", "a" } table.sort(u, function(a, b) return a > b end) return t[1], t[3], u[1], u[3]`, `1 3 "c" "a"`},
		{"a large index is no large list", `local t = {} t[60000000] = 1 return t[60000000], #t`, `1 0`},
		{"call within a for loop's expression", `local s, n = "a", 0 for l in (s:sub(1) .. "a"):gmatch("a") do n = n + 1 end return n`, `2`},
		{"for loop over three values", `local n = 0 for k in next, { 1, 2 }, nil do n = n + k end return n`, `3`},
		{"for loop over a table's iterator", `local t = { it = function() local i = 0 return function() i = i + 1 return i < 4 and i or nil end end } local s = 0 for i in t.it() do if i == 2 then goto next end s = s + i ::next:: end return s`, `4`},
		{"break from a for loop", `for i in ("abc"):gmatch(".") do if i == "b" then break end end return 1`, `1`},
		{"goto", `local i = 0 ::again:: i = i + 1 if i < 3 then goto again end return i`, `3`},
		{"coroutines", `local co = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * 2 end) return co(1), co(5)`, `2 10`},
		{"keys keep their order", `local t, s = { c = 1, a = 2, b = 3 }, "" for k in pairs(t) do s = s .. k end return s`, `"cab"`},
		{"local shadows a global", `local guest = 5 do local print = 1 end return guest`, `5`},
		{"method definitions have self", `local t = { n = 2 } function t:get() return self.n end return t:get()`, `2`},
		{"vararg functions have arg", `local function f(...) return arg.n end return f(1, 2)`, `2`},
		{"repeat sees its block's locals", `repeat local done = true until done return 1`, `1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := eval(t, Options{}, c.text)
			if err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"undefined global", "\nreturn prnt", `test.lua:2: undefined global "prnt" (did you mean "print"?)`},
		{"in a function that never runs", "local function f()\n  return prnt\nend", `test.lua:2: undefined global "prnt" (did you mean "print"?)`},
		{"by name at run time", `return _G["prnt"]`, `test.lua:1: undefined global "prnt" (did you mean "print"?)`},
		{"assignment", "local a = 1\nb = a", `test.lua:2: assignment to the global "b" (write local b)`},
		{"assignment once, its uses not", "b = 1\nb = 2\nreturn b", `test.lua:1: assignment to the global "b" (write local b)`},
		{"global function", "function f() end", `test.lua:1: assignment to the global "f" (write local f)`},
		{"field of a library", "return string.fomat", `test.lua:1: string has no "fomat" (did you mean "format"?)`},
		{"method of a string", `return ("x"):uper()`, `test.lua:1: string has no "uper" (did you mean "upper"?)`},
		{"change of a library", `string.trim = 1`, `test.lua:1: string cannot be changed`},
		{"io", `io.open("x")`, `test.lua:1: undefined global "io" (recipes do not reach the host's files; g:read and g:write act inside a guest)`},
		{"os.execute", `os.execute("x")`, `test.lua:1: os has no "execute" (recipes do not reach the host; g:exec runs a command inside a guest, param takes a value from outside)`},
		{"loadstring", `loadstring("x")`, `test.lua:1: undefined global "loadstring" (recipes do not compile text)`},
		{"metatable of strings", `return getmetatable("").__index`, `test.lua:1: attempt to index a boolean value`},
		{"metatable of globals", `setmetatable(_G, {})`, `test.lua:1: cannot change a protected metatable`},
		{"syntax", "local x = = 1", `test.lua:1: syntax error: an expression expected before "="`},
		{"end of file", "local x = {\n1,\n", `test.lua:2: syntax error: "}" expected before the end of the file, to close what "{" begins in line 1`},
		{"unterminated string", "local a = 1\nlocal x = \"abc\nlocal y", `test.lua:2: syntax error: unterminated string`},
		{"runtime", "local x\nreturn x.y", `test.lua:2: attempt to index local 'x' (a nil value)`},
		{"arithmetic of nil", `return "1" + nil`, `test.lua:1: attempt to perform arithmetic on a nil value`},
		{"arithmetic of a text", `return "x" * 2`, `test.lua:1: attempt to perform arithmetic on a string value`},
		{".. of nil", "local a\nreturn 'x' .. a .. 'y'", `test.lua:2: attempt to concatenate local 'a' (a nil value)`},
		{".. of too much", `local s = ("x"):rep(6e7) return #(s .. s)`, `test.lua:1: ..: the result is longer than 64 MB`},
		{"coroutines within each other", `local function f() coroutine.wrap(f)() end f()`, `test.lua:1: stack overflow: more than 200 coroutines within each other`},
		{"threads within each other", `local function f() local co = coroutine.create(f) assert(coroutine.resume(co)) end f()`, `test.lua:1: stack overflow: more than 200 coroutines within each other`},
		{"text that nests too deep", `return ` + strings.Repeat("not ", 5000) + `1`, `test.lua:1: the text nests more than 1000 levels deep`},
		{"tables that nest too deep", strings.Repeat("return {\n", 1) + strings.Repeat("{", 2000) + strings.Repeat("}", 2001), `test.lua:2: the text nests more than 1000 levels deep`},
		{"format of a date", `os.date(("%c"):rep(1e6))`, `test.lua:1: os.date: the format is longer than 1000 bytes`},
		{"string rep", `("x"):rep(1e9)`, `test.lua:1: string.rep: the result is longer than 64 MB`},
		{"pattern that backtracks", `("a"):rep(40):match(("a?"):rep(40) .. ("a"):rep(41))`, `test.lua:1: the pattern takes too long on this text`},
		{"pattern without ]", `("a"):match("[a")`, `test.lua:1: the pattern "[a" has no ] for its [`},
		{"pattern ends with %", `("a"):match("%")`, `test.lua:1: the pattern "%" ends with %`},
		{"capture not closed", `("a"):match("(a")`, `test.lua:1: the pattern "(a" does not close a capture`},
		{"capture not open", `("a"):match("a)")`, `test.lua:1: the pattern "a)" closes a capture that is not open`},
		{"replacement refers to no capture", `("a"):gsub("a", "%2")`, `test.lua:1: gsub: the pattern has no capture %2`},
		{"format width", `("%999d"):format(1)`, `test.lua:1: string.format: %999d: width or precision is not valid`},
		{"format directive", `("%y"):format(1)`, `test.lua:1: string.format: unknown directive %y`},
		{"concat of a table", `table.concat { {} }`, `test.lua:1: table.concat: item 1 is a table, not a string`},
		{"stack overflow", "local function f() return 1 + f() end\nf()", `test.lua:1: stack overflow: the calls nest too deep`},
		{"error with a table", `error { message = "from a table" }`, `test.lua:1: from a table`},
		{"error with __tostring", `error(setmetatable({}, { __tostring = function() return "own" end }))`, `test.lua:1: own`},
		{"error without value", `error()`, `test.lua:1: error without a value`},
		{"no module", `require "nothing"`, `test.lua:1: no module "nothing": there is no nothing.lua beside the recipe`},
		{"module outside", `require "../secret"`, `test.lua:1: "../secret" is not a module name (write require "name" for name.lua beside the recipe)`},
		{"no such part of vsl", `require "vsl.flow"`, `test.lua:1: no module "vsl.flow" in the standard library (did you mean "vsl.flows"?)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := eval(t, Options{Dir: t.TempDir(), Stdlib: fstest.MapFS{"vsl/flows.lua": {}}}, c.text)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
