package runtime

import (
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"vsl/lua/bind"
)

// gopher-lua takes "010" for eight, "1_0" for ten and "0x1p4" for nothing. Here a
// text is a number as in Lua 5.1, in arithmetic and in arguments alike.

var numeral = bind.LazyRE(`^[-+]?(0[xX]([0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)([pP][-+]?[0-9]+)?|([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?)$`)

const spaces = " \t\n\v\f\r"

// maxNumeral bounds a text that is a number: nothing ends one call of Go's that
// reads tens of megabytes of digits.
const maxNumeral = 4096

// numeralIn is the part of a text that may be a number: all but the spaces around it.
func numeralIn(text string) (string, bool) {
	text = strings.Trim(text, spaces)
	return text, len(text) <= maxNumeral
}

// parseNumber reads what Lua takes for a number.
func parseNumber(text string) (lua.LNumber, bool) {
	text, ok := numeralIn(text)
	if !ok || !numeral().MatchString(text) {
		return 0, false
	}
	if strings.ContainsAny(text, "xX") && !strings.ContainsAny(text, "pP") {
		text += "p0" // Go wants an exponent
	}
	n, _ := strconv.ParseFloat(text, 64) // the pattern leaves overflow only, which gives infinity
	return lua.LNumber(n), true
}

// toNumber is a number, or a text that is one.
func toNumber(v lua.LValue) (lua.LNumber, bool) {
	switch v := v.(type) {
	case lua.LNumber:
		return v, true
	case lua.LString:
		return parseNumber(string(v))
	}
	return 0, false
}

func numberArg(l *lua.LState, i int) float64 {
	n, ok := toNumber(l.Get(i))
	if !ok {
		l.TypeError(i, lua.LTNumber)
	}
	return float64(n)
}

// intArg cuts an argument to a whole number; what fits no int becomes the nearest.
func intArg(l *lua.LState, i int) int {
	switch n := numberArg(l, i); {
	case n >= math.MaxInt64:
		return math.MaxInt64
	case n <= math.MinInt64 || math.IsNaN(n):
		return math.MinInt64
	default:
		return int(n)
	}
}

func optInt(l *lua.LState, i, otherwise int) int {
	if l.Get(i) == lua.LNil {
		return otherwise
	}
	return intArg(l, i)
}

// tonumber is tonumber(value, base).
func tonumber(l *lua.LState) int {
	v, base := l.CheckAny(1), optInt(l, 2, 10)
	out := lua.LValue(lua.LNil)
	if base == 10 {
		if n, ok := toNumber(v); ok {
			out = n
		}
		l.Push(out)
		return 1
	}
	if base < 2 || base > 36 {
		l.ArgError(2, "base out of range")
	}
	text, ok := numeralIn(l.CheckString(1))
	if !ok {
		l.Push(lua.LNil)
		return 1
	}
	text = strings.ToLower(text)
	digits := strings.TrimLeft(text, "+-")
	if base == 16 {
		digits = strings.TrimPrefix(digits, "0x")
	}
	if len(text)-len(strings.TrimLeft(text, "+-")) <= 1 {
		if n, err := strconv.ParseUint(digits, base, 64); err == nil {
			out = lua.LNumber(n)
			if text[0] == '-' {
				out = -lua.LNumber(n)
			}
		}
	}
	l.Push(out)
	return 1
}

var arithmetic = map[string]func(a, b float64) float64{
	"__add": func(a, b float64) float64 { return a + b },
	"__sub": func(a, b float64) float64 { return a - b },
	"__mul": func(a, b float64) float64 { return a * b },
	"__div": func(a, b float64) float64 { return a / b },
	"__mod": func(a, b float64) float64 { return a - math.Floor(a/b)*b },
	"__pow": math.Pow,
	"__unm": func(a, _ float64) float64 { return -a },
}

// openArithmetic gives strings the arithmetic of the numbers they spell.
func (s *State) openArithmetic(mt *lua.LTable) {
	for event, f := range arithmetic {
		mt.RawSetString(event, s.Func(event, func(l *lua.LState) int {
			a, ok := toNumber(l.Get(1))
			b, ok2 := toNumber(l.Get(2))
			if event == "__unm" {
				b, ok2 = a, ok
			}
			if ok && ok2 {
				l.Push(lua.LNumber(f(float64(a), float64(b))))
				return 1
			}
			for i := 1; i <= 2; i++ { // the other operand may know what to do
				op := l.GetMetaField(l.Get(i), event)
				if op == lua.LNil || l.Get(i).Type() == lua.LTString {
					continue
				}
				args := []lua.LValue{op, l.Get(1), l.Get(2)}
				for _, v := range args {
					l.Push(v)
				}
				l.Call(2, 1)
				return 1
			}
			wrong := 1
			if ok && event != "__unm" {
				wrong = 2
			}
			l.RaiseError("%s", sentence("perform arithmetic on", s.argument(l, wrong), l.Get(wrong).Type().String()))
			return 0
		}))
	}
}

// spelt makes a library of functions take texts that are numbers as Lua does.
func (s *State) spelt(lib *lua.LTable) {
	lib.ForEach(func(k, v lua.LValue) {
		fn, ok := v.(*lua.LFunction)
		if !ok || !fn.IsG {
			return
		}
		lib.RawSet(k, s.l.NewFunction(func(l *lua.LState) int {
			for i := 1; i <= l.GetTop(); i++ {
				if text, ok := l.Get(i).(lua.LString); ok {
					if n, ok := parseNumber(string(text)); ok {
						l.Replace(i, n)
					} else {
						l.TypeError(i, lua.LTNumber)
					}
				}
			}
			return fn.GFunction(l)
		}))
	})
}
