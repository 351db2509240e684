package runtime

import (
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"vsl/lua/bind"
)

var formatFlags = bind.LazyRE(`^([-+ #0]{0,5})(\d{0,2})(\.\d{0,2})?$`)

// verb is one directive of string.format, as C has it.
type verb struct {
	minus, plus, space, alt, zero bool
	width, prec                   int // prec -1 is none given
	char                          byte
}

// format is string.format with C's verbs; widths and precisions have at most
// two digits, as in Lua.
func (s *State) format(l *lua.LState) int {
	f, arg := l.CheckString(1), 1
	var b strings.Builder
	for i := 0; i < len(f); i++ {
		if f[i] != '%' {
			b.WriteByte(f[i])
			continue
		}
		if i+1 < len(f) && f[i+1] == '%' {
			b.WriteByte('%')
			i++
			continue
		}
		start := i + 1
		for i++; i < len(f) && strings.IndexByte("-+ #0123456789.", f[i]) >= 0; i++ {
		}
		if i == len(f) {
			s.Raisef(l, "", "string.format: %q ends within a %% directive", f)
		}
		v, ok := newVerb(f[start:i], f[i])
		if !ok {
			s.Raisef(l, "", "string.format: %%%s%c: width or precision is not valid", f[start:i], f[i])
		}
		arg++
		b.WriteString(s.formatOne(l, v, arg))
		if b.Len() > maxString {
			s.Raisef(l, "", "string.format: the result is longer than %d MB", maxString>>20)
		}
	}
	l.Push(lua.LString(b.String()))
	return 1
}

func newVerb(flags string, char byte) (verb, bool) {
	m := formatFlags().FindStringSubmatch(flags)
	if m == nil {
		return verb{}, false
	}
	has := func(c string) bool { return strings.Contains(m[1], c) }
	v := verb{minus: has("-"), plus: has("+"), space: has(" "), alt: has("#"), zero: has("0"), prec: -1, char: char}
	v.width, _ = strconv.Atoi(m[2]) // nothing, or two digits
	if m[3] != "" {
		v.prec, _ = strconv.Atoi(m[3][1:]) // likewise
	}
	return v, true
}

func (s *State) formatOne(l *lua.LState, v verb, arg int) string {
	if arg > l.GetTop() {
		l.ArgError(arg, "no value")
	}
	if strings.IndexByte("diuoxXc", v.char) >= 0 {
		if n := numberArg(l, arg); math.IsNaN(n) || n < math.MinInt64 || n >= math.MaxUint64 || n >= math.MaxInt64 && v.signed() {
			s.Raisef(l, "", "string.format: %v has more than 64 bits, which %%%c cannot show", n, v.char)
		}
	}
	switch v.char {
	case 'd', 'i':
		n := intArg(l, arg)
		digits := strconv.FormatUint(magnitude(n), 10)
		return v.number(n < 0, "", v.digits(digits), v.prec < 0)
	case 'u', 'o', 'x', 'X':
		return v.unsigned(unsigned(numberArg(l, arg)))
	case 'c':
		return v.pad("", string([]byte{byte(intArg(l, arg))}), false)
	case 'e', 'E', 'f', 'g', 'G':
		return v.float(numberArg(l, arg))
	case 'q':
		return quoteLua(l.CheckString(arg))
	case 's':
		text := l.ToStringMeta(l.Get(arg)).String()
		if v.prec < 0 && len(text) >= 100 { // Lua takes it as it is
			return text
		}
		if v.prec >= 0 && v.prec < len(text) {
			text = text[:v.prec]
		}
		return v.pad("", text, false)
	}
	s.Raisef(l, "", "string.format: unknown directive %%%c", v.char)
	return ""
}

func magnitude(n int) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

func (v verb) signed() bool { return v.char == 'd' || v.char == 'i' || v.char == 'c' }

// unsigned wraps negative numbers, as C does.
func unsigned(n float64) uint64 {
	if n < 0 {
		return uint64(int64(n))
	}
	return uint64(n)
}

// digits gives as many as the precision asks for, and none for zero with precision zero.
func (v verb) digits(d string) string {
	if v.prec == 0 && d == "0" {
		return ""
	}
	return strings.Repeat("0", max(v.prec-len(d), 0)) + d
}

func (v verb) unsigned(n uint64) string {
	base := map[byte]int{'u': 10, 'o': 8, 'x': 16, 'X': 16}[v.char]
	d, prefix := v.digits(strconv.FormatUint(n, base)), ""
	if v.alt && v.char == 'o' && !strings.HasPrefix(d, "0") {
		d = "0" + d
	}
	if v.alt && base == 16 && n != 0 {
		prefix = "0x"
	}
	out := v.pad(prefix, d, v.prec < 0)
	if v.char == 'X' {
		out = strings.ToUpper(out)
	}
	return out
}

// number puts a sign before digits, and pads.
func (v verb) number(negative bool, prefix, digits string, zeros bool) string {
	switch {
	case negative:
		prefix = "-" + prefix
	case v.plus:
		prefix = "+" + prefix
	case v.space:
		prefix = " " + prefix
	}
	return v.pad(prefix, digits, zeros)
}

// pad fills up to the width, with zeros behind the prefix where they may be.
func (v verb) pad(prefix, text string, zeros bool) string {
	n := max(v.width-len(prefix)-len(text), 0)
	switch {
	case v.minus:
		return prefix + text + strings.Repeat(" ", n)
	case v.zero && zeros:
		return prefix + strings.Repeat("0", n) + text
	}
	return strings.Repeat(" ", n) + prefix + text
}

func (v verb) float(n float64) string {
	if v.prec < 0 {
		v.prec = 6
	}
	negative, n := math.Signbit(n), math.Abs(n)
	text, finite := "", true
	switch {
	case math.IsInf(n, 0):
		text, finite = "inf", false
	case math.IsNaN(n):
		text, finite = "nan", false
	case v.char == 'g' || v.char == 'G':
		text = v.shortest(n)
	case v.char == 'f':
		text = strconv.FormatFloat(n, 'f', v.prec, 64)
	default:
		text = strconv.FormatFloat(n, 'e', v.prec, 64)
	}
	if finite && v.alt && v.prec == 0 && v.char != 'g' && v.char != 'G' {
		mantissa, exponent, _ := strings.Cut(text, "e")
		text = mantissa + "."
		if exponent != "" {
			text += "e" + exponent
		}
	}
	text = v.number(negative, "", text, finite)
	if v.char == 'E' || v.char == 'G' {
		text = strings.ToUpper(text)
	}
	return text
}

// shortest is C's %g: with an exponent where that is very small or does not fit
// the precision, and without zeros at the end unless # asks for them.
func (v verb) shortest(n float64) string {
	prec := max(v.prec, 1)
	text := strconv.FormatFloat(n, 'e', prec-1, 64)
	mantissa, exponent, _ := strings.Cut(text, "e")
	e, _ := strconv.Atoi(exponent) // FormatFloat wrote it
	tail := "e" + exponent
	if e >= -4 && e < prec {
		mantissa, tail = strconv.FormatFloat(n, 'f', prec-1-e, 64), ""
	}
	switch {
	case !v.alt && strings.Contains(mantissa, "."):
		mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	case v.alt && !strings.Contains(mantissa, "."):
		mantissa += "."
	}
	return mantissa + tail
}

func quoteLua(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '"', '\\', '\n':
			b.WriteByte('\\')
			b.WriteByte(c)
		case '\r':
			b.WriteString(`\r`)
		case 0:
			b.WriteString(`\000`)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
