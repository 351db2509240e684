package std

import (
	"fmt"
	"math"

	lua "github.com/yuin/gopher-lua"

	"vsl/lua/bind"
	"vsl/lua/runtime"
)

// call is one call of a function from Lua.
type call struct {
	s    *runtime.State
	l    *lua.LState
	name string // as Lua names it in errors of arguments
}

// bad raises an error about an argument, as Lua words it, at the recipe's line.
func (c *call) bad(n int, hint, format string, args ...any) {
	c.s.Raisef(c.l, hint, "bad argument #%d to '%s' (%s)", n, c.name, fmt.Sprintf(format, args...))
}

// wants raises that an argument is of another type.
func (c *call) wants(n int, want string) {
	got := "no value"
	if n <= c.l.GetTop() {
		got = c.l.Get(n).Type().String()
	}
	c.bad(n, "", "%s expected, got %s", want, got)
}

// any is an argument of whatever type, which must be there.
func (c *call) any(n int) lua.LValue {
	if n > c.l.GetTop() {
		c.bad(n, "", "value expected")
	}
	return c.l.Get(n)
}

// text is a string; as everywhere in Lua a number is its text.
func (c *call) text(n int) string {
	switch v := c.l.Get(n).(type) {
	case lua.LString:
		return string(v)
	case lua.LNumber:
		return v.String()
	}
	c.wants(n, "string")
	return ""
}

// integer is a whole number; without one it is otherwise.
func (c *call) integer(n, otherwise int) int {
	if c.l.Get(n) == lua.LNil {
		return otherwise
	}
	v, ok := c.l.Get(n).(lua.LNumber)
	if !ok {
		c.wants(n, "number")
	}
	if f := float64(v); f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		c.bad(n, "", "number has no integer representation")
	}
	return int(v)
}

// needs is integer where the number must be there.
func (c *call) needs(n int) int {
	if c.l.Get(n) == lua.LNil {
		c.wants(n, "number")
	}
	return c.integer(n, 0)
}

// options are the fields of a table that may be left out, which has no others.
func (c *call) options(n int, names ...string) map[string]lua.LValue {
	out := map[string]lua.LValue{}
	if c.l.Get(n) == lua.LNil {
		return out
	}
	t, ok := c.l.Get(n).(*lua.LTable)
	if !ok {
		c.wants(n, "table")
	}
	known := map[string]bool{}
	for _, name := range names {
		known[name] = true
	}
	bind.Each(t, func(k, v lua.LValue) {
		if !known[k.String()] {
			c.bad(n, bind.DidYouMean(k.String(), names), "there is no option %q", k.String())
		}
		out[k.String()] = v
	})
	return out
}

func (c *call) gives(text string) int {
	c.l.Push(lua.LString(text))
	return 1
}
