package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	lua "github.com/yuin/gopher-lua"

	"vsl/tests/fixture"
)

// A library call is as bounded in time as a loop is.
func TestCancel(t *testing.T) {
	for _, text := range []string{
		`while true do end`,
		`while true do pcall(error) end`,
		`pcall(function() while true do end end)`,
		`local co = coroutine.wrap(function() while true do end end) co()`,
		`(("a"):rep(1000)):match((".-"):rep(8) .. "b")`,
		`local n = ("9"):rep(6e7) while true do tonumber(n) end`,
		`local n = ("f"):rep(6e7) while true do tonumber(n, 16) end`,
		`local n = "0x" .. ("f"):rep(6e7) while true do pcall(function() return n + 1 end) end`,
		`local n = ("9"):rep(6e7) while true do pcall(string.format, "%d", n) end`,
		`local n = ("9"):rep(6e7) while true do pcall(math.floor, n) end`,
	} {
		s := New(Options{})
		boom := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(context.Background(), 30*time.Millisecond, boom)
		start := time.Now()
		_, err := evalIn(t, s, ctx, text)
		cancel()
		s.Close()
		if !errors.Is(err, boom) {
			t.Errorf("%s: %v", text, err)
		}
		if d := time.Since(start); d > fixture.Patience(2*time.Second) {
			t.Errorf("%s: took %s", text, d)
		}
	}
}

// A text that is a number has at most maxNumeral bytes, the spaces around it apart.
func TestLongNumerals(t *testing.T) {
	for text, want := range map[string]string{
		`tonumber(("0"):rep(4095) .. "7"), tonumber((" "):rep(9999) .. "7" .. (" "):rep(9999))`: "7 7",
		`tonumber(("0"):rep(4096) .. "7"), tonumber(("0"):rep(4096) .. "7", 8)`:                 "nil nil",
		`tonumber(("0"):rep(4095) .. "7", 8)`:                                                   "7",
		`pcall(function() return ("0"):rep(4097) + 1 end)`:                                      `false "test.lua:1: attempt to perform arithmetic on a string value"`,
	} {
		if got, err := eval(t, Options{}, "return "+text); err != nil || got != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
}

func TestLinear(t *testing.T) {
	start := time.Now()
	got, err := eval(t, Options{}, `local s, n = ("ab "):rep(200000):gsub("a", "xyz") return #s, n`)
	if err != nil || got != "1000000 200000" {
		t.Fatal(got, err)
	}
	if d := time.Since(start); d > fixture.Patience(5*time.Second) {
		t.Errorf("200000 replacements took %s", d)
	}
}

func TestRequire(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret.lua")
	for name, text := range map[string]string{
		filepath.Join(dir, "a.lua"):           `local b = require "sub.b" return { n = b.n + 1 }`,
		filepath.Join(dir, "sub", "b.lua"):    `print("once") return { n = 41 }`,
		filepath.Join(dir, "p", "init.lua"):   `return "package"`,
		filepath.Join(dir, "loop.lua"):        `return require "loop"`,
		filepath.Join(dir, "broken.lua"):      "\nreturn nothing.at.all",
		filepath.Join(dir, "wrong.lua"):       "local x = =",
		outside:                               `return "stolen"`,
		filepath.Join(dir, "vsl", "mine.lua"): `return 1`,
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link.lua")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("LUA_PATH", filepath.Dir(outside)+"/?.lua")
	var out bytes.Buffer
	s := New(Options{Dir: dir, Stdout: &out, Stdlib: fstest.MapFS{"vsl/x.lua": {Data: []byte(`return "lib"`)}}})
	defer s.Close()
	for _, c := range []struct{ text, want, err string }{
		{`return require("a").n, require("sub.b").n`, "42 41", ""},
		{`return require "p", require "vsl.x"`, `"package" "lib"`, ""},
		{`require "loop"`, "", `module "loop" requires itself`},
		{`require "link"`, "", `module "link": statat link.lua: path escapes from parent`},
		{`require "secret"`, "", "there is no secret.lua beside the recipe"},
		{`require "vsl.mine"`, "", `no module "vsl.mine" in the standard library`},
		{`require "wrong"`, "", filepath.Join(dir, "wrong.lua") + `:1: syntax error: an expression expected before "="`},
	} {
		got, err := evalIn(t, s, context.Background(), c.text)
		if c.err == "" && (err != nil || got != c.want) || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %s, %v", c.text, got, err)
		}
	}
	if out.String() != "once\n" {
		t.Errorf("print: %q", out.String())
	}
	if len(s.Files()) < 3 {
		t.Errorf("files: %v", s.Files())
	}
	if _, err := evalIn(t, s, context.Background(), `require "broken"`); err == nil || !strings.Contains(err.Error(), "broken.lua:2: undefined global \"nothing\"") {
		t.Errorf("broken: %v", err)
	}
}

// A Go error goes through Lua unharmed, whatever Lua does with it.
func TestGoErrors(t *testing.T) {
	cause := &os.PathError{Op: "open", Path: "/x", Err: os.ErrPermission}
	for _, text := range []string{
		`fail()`,
		`local ok, e = pcall(fail) error(e)`,
		`local ok, e = pcall(fail) error(e, 2)`,
		`assert(pcall(fail))`,
		`xpcall(fail, function(e) error(e) end) fail()`,
		`coroutine.wrap(fail)()`,
		`("x"):gsub("x", function() fail() end)`,
	} {
		s := New(Options{})
		s.SetGlobal("fail", s.Func("fail", func(l *lua.LState) int { s.Raise(l, cause); return 0 }))
		_, err := evalIn(t, s, context.Background(), text)
		var re *RuntimeError
		if !errors.Is(err, os.ErrPermission) || !errors.As(err, &re) || re.Pos.Line != 1 || re.Pos.File != "test.lua" {
			t.Errorf("%s: %v", text, err)
		}
		s.Close()
	}
	s := New(Options{})
	defer s.Close()
	s.SetGlobal("fail", s.Func("fail", func(l *lua.LState) int { s.Raise(l, cause); return 0 }))
	got, err := evalIn(t, s, context.Background(), "local ok, e = pcall(function()\nfail()\nend) return tostring(e), 'got ' .. e, e.where, e.op")
	if want := `"open /x: permission denied" "got open /x: permission denied" "test.lua:2" nil`; got != want || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestTraceback(t *testing.T) {
	_, err := eval(t, Options{}, "local function inner()\n  error('deep')\nend\nlocal function outer()\n  inner()\n  return 1\nend\nouter()\n")
	var re *RuntimeError
	if !errors.As(err, &re) {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range re.Traceback {
		lines = append(lines, f.String())
	}
	want := "test.lua:2: in function 'inner' | test.lua:5: in function 'outer' | test.lua:8: in the recipe"
	if got := strings.Join(lines, " | "); got != want || re.Pos.Line != 2 || re.Msg != "deep" {
		t.Errorf("%s: %v", got, re)
	}
}

// An error shows the recipe's lines around it, and nothing of the standard library.
func TestExcerpt(t *testing.T) {
	lib := fstest.MapFS{"vsl/x.lua": {Data: []byte("return { call = function(f)\n  return f() end }")}}
	for _, c := range []struct{ name, text, want string }{
		{"in the middle", "local a = 1\n\terror('x')\na = 2\na = 3", "1 local a = 1|>2     error('x')|3 a = 2"},
		{"alone", "error('x')", ">1 error('x')"},
		{"between empty lines", "local a\n\nerror('x')\n\n", ">3 error('x')"},
		{"long line", "error('" + strings.Repeat("x", 500) + "')", ">1 error('" + strings.Repeat("x", 92) + "…"},
		{"control codes", "error('\x1b[2J\xff')", ">1 error('[2J')"},
		{"called by the library", "require('vsl.x').call(function()\n  error('x')\nend)", "1 require('vsl.x').call(function()|>2   error('x')|3 end)"},
		{"in the library", "local a\nrequire('vsl.x').call(nil)", "1 local a|>2 require('vsl.x').call(nil)"},
	} {
		_, err := eval(t, Options{Stdlib: lib}, c.text)
		var re *RuntimeError
		if !errors.As(err, &re) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []string
		for _, l := range re.Excerpt {
			mark := ""
			if l.Here {
				mark = ">"
			}
			got = append(got, fmt.Sprint(mark, l.No, " ", l.Text))
		}
		if strings.Join(got, "|") != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// A panic in a Go function names it, and the state goes on working.
func TestPanic(t *testing.T) {
	s := New(Options{})
	defer s.Close()
	s.SetGlobal("bug", s.Func("bug", func(*lua.LState) int { var m map[string]int; m["x"] = 1; return 0 }))
	_, err := evalIn(t, s, context.Background(), `bug()`)
	if err == nil || !strings.Contains(err.Error(), "vsl bug in bug") || !strings.Contains(err.Error(), "runtime_test.go") {
		t.Error(err)
	}
	if got, err := evalIn(t, s, context.Background(), `return 1`); got != "1" || err != nil {
		t.Error(got, err)
	}
}

// Many flows at once: each on its own thread, others running while one waits.
func TestParallel(t *testing.T) {
	s := New(Options{})
	defer s.Close()
	wait := fixture.Scaled(20 * time.Millisecond)
	s.SetGlobal("wait", s.Func("wait", func(l *lua.LState) int {
		if err := s.Block(l, func(ctx context.Context) error { time.Sleep(wait); return ctx.Err() }); err != nil {
			s.Raise(l, err)
		}
		l.Push(l.Get(1))
		return 1
	}))
	var fn *lua.LFunction
	err := s.Do(context.Background(), func(l *lua.LState) error {
		chunk, _, err := s.Compile("test.lua", []byte(`
local total = 0
return function(i)
  local co = coroutine.wrap(function() for k = 1, 3 do coroutine.yield(wait(k)) end end)
  local ok, got = pcall(wait, i)
  local sum = co() + co() + co()
  total = total + 1
  if got ~= i or sum ~= 6 then error("mixed up") end
  return total
end`))
		if err != nil {
			return err
		}
		got, err := s.Call(l, chunk)
		fn = got[0].(*lua.LFunction)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	const n = 100
	errs := make(chan error, n)
	start := time.Now()
	for i := range n {
		go func() {
			errs <- s.Do(context.Background(), func(l *lua.LState) error {
				_, err := s.Call(l, fn, lua.LNumber(i))
				return err
			})
		}()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if d := time.Since(start); d > 2*n*wait { // one after the other it would be twice as long
		t.Errorf("took %s", d)
	}
}

var garbage []byte

// What one run leaves behind is not the fault of the next, however much it is.
func TestGarbageOfOthers(t *testing.T) {
	defer func(n uint64) { maxHeap = n }(maxHeap)
	maxHeap = 64 << 20
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // nothing but the guard collects
	for range 3 {
		garbage = make([]byte, maxHeap)
	}
	garbage = nil
	for range 3 {
		got, err := eval(t, Options{}, `local from = os.clock() repeat until os.clock() > from + 0.1 return 1`)
		if got != "1" || err != nil {
			t.Error(got, err)
		}
	}
}

func TestFingerprint(t *testing.T) {
	of := func(text string) string {
		s := New(Options{})
		defer s.Close()
		out := ""
		err := s.Do(context.Background(), func(l *lua.LState) error {
			fn, _, err := s.Compile("test.lua", []byte(text))
			if err != nil {
				return err
			}
			got, err := s.Call(l, fn)
			if err == nil {
				out = s.Fingerprint(got[0].(*lua.LFunction), func(any) string { return "" })
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	base := of("local n, t = 1, { 'a' }\nlocal function h() return n end\nreturn function() return h(), t end")
	for _, text := range []string{
		"-- a comment\nlocal n, t = 1, { 'a' }\nlocal function h() return n end\nreturn function() return h(), t end",
		"local n, t = 1, { 'a' }\nlocal function h()\n\n  return n -- why\nend\nreturn function()\n  return h(),\n t\nend",
		"local other = { {}, {} } local n, t = 1, { 'a' } local function h() return n end return function() return h(), t end, other",
	} {
		if of(text) != base {
			t.Errorf("changes it: %s", text)
		}
	}
	if one, two := of("return function(t) t:write { 'x', { 1 } } end"), of("local _ = {} return function(t)\n t:write { 'x', { 1 } }\nend"); one != two {
		t.Error("tables before it change it")
	}
	for _, text := range []string{
		"local n, t = 2, { 'a' }\nlocal function h() return n end\nreturn function() return h(), t end",
		"local n, t = 1, { 'b' }\nlocal function h() return n end\nreturn function() return h(), t end",
		"local n, t = 1, { 'a' }\nlocal function h() return n + 0 end\nreturn function() return h(), t end",
		"local n, t = 1, { 'a' }\nlocal function h() return n end\nreturn function() return t, h() end",
		"local n, t = 1, { 'a' }\nlocal function h() return n end\nreturn function() return h(), t, 1 end",
		"local n, t = 1, { 'a' }\nlocal function h() return n end\nreturn function(x) return h(), t end",
	} {
		if of(text) == base {
			t.Errorf("is not seen: %s", text)
		}
	}
}

func FuzzCompile(f *testing.F) {
	for _, seed := range []string{"return 1", "local x = {1, a = {2}}\nfor i = 1, 3 do end", "function a.b:c(...) return ... end", "x = = 1", "goto a ::a::", "return function() return {} end"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := New(Options{Stdout: &bytes.Buffer{}})
		defer s.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Do(ctx, func(l *lua.LState) error {
			fn, mistakes, err := s.Compile("fuzz.lua", []byte(text))
			if err == nil && len(mistakes) == 0 {
				_, err = s.Call(l, fn)
			}
			return err
		})
	})
}

func FuzzPattern(f *testing.F) {
	f.Add("hello", "(l)(.-)%1")
	f.Add("a[b]c", "%f[%w]%b[]$")
	f.Fuzz(func(t *testing.T, text, pattern string) {
		s := New(Options{})
		defer s.Close()
		s.SetGlobal("text", lua.LString(text))
		s.SetGlobal("pattern", lua.LString(pattern))
		_, _ = evalIn(t, s, context.Background(), `pcall(string.find, text, pattern) pcall(string.gsub, text, pattern, "%0%1") for a in text:gmatch(pattern) do end`)
	})
}
