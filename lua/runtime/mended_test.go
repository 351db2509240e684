package runtime

import (
	"strings"
	"testing"
)

// Each of these went wrong here and not in lua5.1.
func TestMendedLikeLua51(t *testing.T) {
	needLua(t)
	s := New(Options{})
	defer s.Close()
	const head = `local function try(f, ...) local ok, e = pcall(f, ...) return (tostring(ok) .. " " .. tostring(e):gsub("^.-:%d+: ", "")) end ` +
		`local function co(f) local c = coroutine.wrap(f) return function() return c() end end local t = {} `
	for name, chunk := range map[string]string{
		"swap":                       `local x, y = 1, 2 x, y = y, x return x, y`,
		"rotate":                     `local a, b, c = 1, 2, 3 a, b, c = b, c, a return a, b, c`,
		"index before it changes":    `local a, i = {}, 1 i, a[i] = i + 1, 20 return i, a[1], a[2]`,
		"table before it changes":    `local a = { x = 1 } local b = a a, a.x = nil, 7 return a, b.x`,
		"last target first":          `local a a, a = 1, 2 return a`,
		"one target, several values": `local m m = 3, type(m) return m`,
		"constant in or":             `local r = "" for i = 1, 2 do local v = (2 or "x") and t r = r .. type(v) end return r`,
		"constant in and":            `local function f() return (nil and t) == nil, (false or t) == t, (true and 5) end return f()`,
		"if of a constant in a loop": `local function f() for i, j in ipairs({ 1, t, t }) do if nil then local v = t end local w = t end return 1 end return f()`,
		"while of a constant":        `while false do t.x = 1 end return t.x`,
		"not of a constant":          `return not nil and 1, not 1 or 2, not not nil`,
		"yield gets less":            `local c = coroutine.wrap(function() local a, b, c = coroutine.yield() return type(a), type(b), type(c) end) c() return c(1)`,
		"yield gets more":            `local c = coroutine.wrap(function() local a = coroutine.yield() local b = 5 return a, b end) c() return c(1, 2, 3)`,
		"yield across pcall":         `return try(co(function() pcall(function() coroutine.yield(1) end) return 2 end))`,
		"yield across pcall, direct": `return co(function() return select("#", pcall(coroutine.yield, 1)), 3 end)()`,
		"yield across a metamethod":  `return try(co(function() return setmetatable({}, { __add = function() coroutine.yield(1) return 3 end }) + 1 end))`,
		"yield as an iterator":       `return try(co(function() for x in coroutine.yield do end end))`,
		"yield in sort":              `return try(co(function() table.sort({ 3, 2, 1 }, function(a, b) coroutine.yield(1) return a < b end) end))`,
		"yield in gsub":              `return try(co(function() return ("abc"):gsub(".", function() coroutine.yield(1) end) end))`,
		"yield outside":              `return try(coroutine.yield, 1)`,
		"yield from a called table":  `return co(function() local c = setmetatable({}, { __call = function(_, x) return coroutine.yield(x) end }) return c(4) end)()`,
		"date":                       `return os.date("!%Y-%m-%d %H:%M:%S %j %p %y %a %A %b %B %c %x %X %U %w %%", 86400 * 400)`,
		"date, unknown":              `return os.date("!%Q%", 0)`,
		"date table":                 `local d = os.date("!*t", 1e9) return d.year, d.month, d.day, d.hour, d.min, d.sec, d.wday, d.yday, tostring(d.isdst)`,
		"time carries over":          `return os.time({ year = 2020, month = 14, day = -3, hour = 12 })`,
		"time without a day":         `return try(os.time, { year = 2020, month = 1 })`,
	} {
		t.Run(name, func(t *testing.T) {
			want, err := thePeer.eval(head + chunk)
			if err != nil {
				t.Fatal(err)
			}
			got, err := here(s, head+chunk)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want) {
				t.Fatalf("got %q, lua5.1 has %q", got, want)
			}
			for i := range got {
				if got[i] != want[i] {
					t.Errorf("value %d: got %q, lua5.1 has %q", i+1, got[i], want[i])
				}
			}
		})
	}
	// The argument's function is named without quotes here, as in all its errors.
	got, err := here(s, head+`return try(function() math.random(0) end), try(function() math.random(2, 1) end), try(function() local n = math.random(3, 4) assert(n == 3 or n == 4) end)`)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"false bad argument #1 to random (interval is empty)", "false bad argument #2 to random (interval is empty)", "true nil"} {
		if !strings.HasPrefix(got[i].text, want) {
			t.Errorf("got %q, want %q", got[i].text, want)
		}
	}
}
