package runtime

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// program writes a Lua program out of choices. It ends by itself: loops count to
// small numbers, functions call only those before them. What it computes it
// says, and returns all that it said as one text without addresses; errors it
// catches are told by their value's type, or by the value where it is the
// program's own.
type program struct {
	*choices
	b      strings.Builder
	scopes [][]string // variables that are numbers, strings, nil or tables
	fns    []string   // functions that can be called
	varg   bool       // ... is there
	loops  int
	size   int
	next   int
}

const programHead = `local out = {}
local function text(v)
  local t = type(v)
  if t == "number" then return string.format("%.10g", v) end
  if t == "string" or t == "boolean" or t == "nil" then return tostring(v) end
  if t == "table" and rawget(v, "mark") then return "table " .. text(rawget(v, "mark")) end
  return t
end
local function say(...)
  for i = 1, select("#", ...) do out[#out + 1] = text((select(i, ...))) end
  if #out > 400 then error("enough", 0) end
end
local function caught(ok, ...)
  if ok then say("ok", ...) else local e = ... say("error", type(e) == "string" and (e:match("own .*") or "text") or type(e) == "userdata" and tostring(e) or e) end
end
local meta = {
  __add = function(x, y) return "add" end, __sub = function(x, y) return 7 end, __concat = function(x, y) return "cat" end,
  __unm = function(x) return -1 end, __eq = function(x, y) return true end, __lt = function(x, y) return true end,
  __le = function(x, y) return false end, __call = function(self, ...) return select("#", ...), ... end,
  __index = function(t, k) return k end,
  __newindex = function(t, k, v) if k == nil then error("DiffNilKey") end say("new", k, v) rawset(t, k, v) end,
}
`

func (s *choices) program() string {
	p := &program{choices: s, scopes: [][]string{{}}, varg: true}
	p.b.WriteString(programHead)
	p.line(`caught(pcall(function(...)`)
	p.line("local t, m = { 1, 2, 3, mark = 0 }, setmetatable({ mark = 1 }, meta)")
	p.scopes[0] = append(p.scopes[0], "t", "m")
	p.block(4 + p.pick(8))
	p.line("end, 5, nil, 'v'))")
	p.line(`return table.concat(out, " ")`)
	return p.b.String()
}

func (p *program) line(format string, args ...any) { fmt.Fprintf(&p.b, format+"\n", args...) }

func (p *program) fresh(prefix string) string {
	p.next++
	return fmt.Sprintf("%s%d", prefix, p.next)
}

func (p *program) declare(names ...string) {
	top := len(p.scopes) - 1
	p.scopes[top] = append(p.scopes[top], names...)
}

// within writes a block with variables of its own.
func (p *program) within(n int, names ...string) {
	p.scopes = append(p.scopes, names)
	fns := len(p.fns)
	p.block(n)
	p.fns = p.fns[:fns]
	p.scopes = p.scopes[:len(p.scopes)-1]
}

func (p *program) block(n int) {
	for ; n > 0 && p.size < 60; n-- {
		p.size++
		p.stmt()
	}
}

func (p *program) variable() string {
	var all []string
	for _, s := range p.scopes {
		all = append(all, s...)
	}
	return p.of(all...)
}

func (p *program) stmt() {
	deep := len(p.scopes) > 4
	switch k := p.pick(18); {
	case k < 3:
		p.local()
	case k < 7:
		p.assign()
	case k < 9:
		p.line("say(%s)", p.list(2))
	case k == 9 && !deep:
		p.line("if %s then", p.expr(2))
		p.within(2)
		p.line("else")
		p.within(1)
		p.line("end")
	case k == 10 && !deep:
		p.loop()
	case k == 11 && !deep:
		p.function()
	case k == 12 && !deep:
		p.line("do")
		p.within(3)
		p.line("end")
	case k == 13 && !deep:
		p.protected()
	case k == 14 && !deep:
		p.coroutine()
	case k == 15 && len(p.fns) > 0:
		p.line("%s = %s", p.targets(2), p.call())
	case k == 16:
		p.line("t[#t + 1], t[%s] = %s", p.expr(1), p.list(2))
	default:
		p.line("say(%s)", p.expr(3))
	}
}

func (p *program) local() {
	names := []string{p.fresh("v")}
	if p.pick(2) == 1 {
		names = append(names, p.fresh("v"))
	}
	p.line("local %s = %s", strings.Join(names, ", "), p.list(len(names)))
	p.declare(names...)
}

// targets are left sides: variables and fields, with and without metamethods.
func (p *program) targets(n int) string {
	var out []string
	for range n {
		out = append(out, p.of(p.variable(), p.variable(), "t["+p.expr(1)+"]", "t.x", "m."+p.of("a", "b"), "m["+p.variable()+"]", "m[t].z"))
	}
	return strings.Join(out, ", ")
}

func (p *program) assign() {
	n := 1 + p.pick(3)
	p.line("%s = %s", p.targets(n), p.list(1+p.pick(3)))
}

func (p *program) loop() {
	p.loops++
	switch i := p.fresh("i"); p.pick(5) {
	case 0:
		p.line("for %s = %s do", i, p.of("1, 3", "3, 1, -1", "1, 2, 0.5", "2, 1"))
		p.within(2, i)
		p.line("end")
	case 1:
		j := p.fresh("j")
		p.line("for %s, %s in ipairs({ %s }) do", i, j, p.list(3))
		p.within(2, i, j)
		p.line("end")
	case 2:
		p.line("local %s = 0", i)
		p.line("while %s < 3 do", i)
		p.line("%s = %s + 1", i, i)
		p.within(2)
		p.line("if %s then break end", p.expr(1))
		p.line("end")
	case 3:
		p.line("local %s = 0", i)
		p.line("repeat")
		p.line("%s = %s + 1", i, i)
		p.line("local stop = %s", p.expr(1))
		p.within(1)
		p.line("until stop or %s > 2", i)
	default:
		p.line("for %s in (function() local n = 0 return function() n = n + 1 if n < 3 then return n end end end)() do", i)
		p.within(2, i)
		p.line("end")
	}
}

func (p *program) function() {
	f, a := p.fresh("f"), p.fresh("a")
	rest := p.of("", ", ...")
	if p.pick(2) == 0 {
		p.line("local function %s(%s%s)", f, a, rest)
	} else {
		p.line("local %s = function(%s%s)", f, a, rest)
	}
	had := p.varg
	p.varg = rest != ""
	p.within(3, a)
	p.line("return %s", p.of(p.list(1), p.list(2), p.tail()))
	p.varg = had
	p.line("end")
	p.fns = append(p.fns, f)
}

// tail is what a function can return last: a call or all of its arguments.
func (p *program) tail() string {
	if p.varg {
		return p.of("...", "select(2, ...)", "(...)", "select('#', ...)")
	}
	return p.call()
}

func (p *program) protected() {
	had := p.varg
	p.varg = false
	p.line("caught(pcall(function()")
	p.within(2)
	p.line("%s", p.of("", "error('own ' .. text("+p.variable()+"), 0)", "error({ mark = 3 })", "error()", "local n = nil; n.x = 1", "local x = {} + 1", "return "+p.list(2)))
	p.line("end))")
	p.varg = had
}

func (p *program) coroutine() {
	c, a := p.fresh("c"), p.fresh("a")
	had := p.varg
	p.varg = false
	p.line("local %s = coroutine.create(function(%s)", c, a)
	p.within(1, a)
	p.line("%s = coroutine.yield(%s)", p.targets(1+p.pick(2)), p.list(2))
	p.within(1, a)
	p.line("%s", p.of("return "+p.list(2), "error('own end', 0)", "coroutine.yield()"))
	p.line("end)")
	p.varg = had
	for n := 1 + p.pick(3); n > 0; n-- {
		p.line("caught(coroutine.resume(%s, %s)) say(coroutine.status(%s))", c, p.list(1), c)
	}
}

func (p *program) call() string {
	p.size++
	if len(p.fns) == 0 || p.pick(4) == 0 {
		return p.of("m("+p.list(2)+")", "select('#', "+p.list(2)+")", "unpack({ "+p.list(3)+" }, 1, 3)", "pcall(say, "+p.expr(1)+")")
	}
	return p.of(p.fns...) + "(" + p.list(1+p.pick(2)) + ")"
}

// list is an expression list; its last may have any number of values.
func (p *program) list(n int) string {
	var out []string
	for range n {
		out = append(out, p.expr(2))
	}
	switch p.pick(5) {
	case 3:
		if p.size < 60 {
			out[len(out)-1] = p.call()
		}
	case 4:
		if p.varg {
			out[len(out)-1] = "..."
		}
	}
	return strings.Join(out, ", ")
}

func (p *program) expr(depth int) string {
	if depth == 0 || p.size > 80 {
		return p.of(p.variable(), p.variable(), "1", "2", "-1", "0.5", "'s'", "'10'", "nil", "true", "false")
	}
	p.size++
	e := func() string { return p.expr(depth - 1) }
	switch p.pick(14) {
	case 0, 1, 2:
		return p.variable()
	case 3, 4:
		return p.of("1", "2", "3", "10", "'x'", "'3'", "nil", "true", "false", "100", "-7")
	case 5:
		return "(" + e() + " " + p.of("+", "-", "*", "+") + " " + e() + ")"
	case 6:
		return "(" + e() + " " + p.of("and", "or") + " " + e() + ")"
	case 7:
		return "(" + e() + " " + p.of("==", "~=", "<", "<=", ">", ">=") + " " + e() + ")"
	case 8:
		return "(" + e() + " .. " + e() + ")"
	case 9:
		return p.of("not ", "-", "#") + "(" + e() + ")"
	case 10:
		return "(" + p.of("t", "m", p.variable()) + ")" + p.of(".x", ".mark", "["+e()+"]", "[1]")
	case 11:
		return "(" + p.call() + ")"
	case 12:
		return p.of("{ "+p.list(2)+" }", "{ mark = "+e()+", "+e()+" }", "#{ "+p.list(2)+", 1 }", "({ "+p.list(2)+" })[2]")
	}
	return "(function(...) return " + p.of("...", "select('#', ...)", "(...)") + " end)(" + p.list(2) + ")"
}

var longNumber = regexp.MustCompile(`[0-9]{14}`)

// comparePrograms runs a program in both.
func comparePrograms(t *testing.T, s *State, chunk string) {
	t.Helper()
	want, err := thePeer.eval(chunk)
	if errors.Is(err, errSlow) {
		return
	}
	if err != nil {
		t.Fatalf("lua5.1: %v", err)
	}
	got, err := here(s, chunk)
	if err != nil && strings.Contains(err.Error(), "register overflow") {
		return // an expression that nests too deep for the compiler; lua5.1 has such a bound, too
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.TrimPrefix(chunk, programHead))
	}
	g, w := first(got), first(want)
	if strings.Contains(g.text, "string has no ") || longNumber.MatchString(g.text) { // DiffStrictString, DiffNumberText
		return
	}
	if g != w {
		t.Errorf("here   %q\nlua5.1 %q\n%s", g, w, strings.TrimPrefix(chunk, programHead))
	}
}

// TestProgramsLikeLua51 runs the same programs in both in every run.
func TestProgramsLikeLua51(t *testing.T) {
	needLua(t)
	s := New(Options{})
	defer s.Close()
	rng := rand.New(rand.NewPCG(7, 1))
	n := 2_000
	if testing.Short() {
		n = 400
	}
	for range n {
		data := make([]byte, 400)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		comparePrograms(t, s, (&choices{data}).program())
		if t.Failed() {
			return
		}
	}
}

// FuzzProgramsLikeLua51 looks for programs that differ.
func FuzzProgramsLikeLua51(f *testing.F) {
	needLua(f)
	s := New(Options{})
	f.Cleanup(s.Close)
	rng := rand.New(rand.NewPCG(11, 1))
	for range 20 {
		data := make([]byte, 300)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) { comparePrograms(t, s, (&choices{data}).program()) })
}
