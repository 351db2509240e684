package runtime

import (
	"fmt"
	"strings"
)

// call is a library function and the Lua text of its arguments.
type call struct {
	fn   string
	args []string
}

func (c call) chunk() string {
	args := strings.Join(c.args, ", ")
	if c.fn == "string.gmatch" {
		return "local out = {} for a, b in string.gmatch(" + args + ") do out[#out + 1] = tostring(a) out[#out + 1] = tostring(b) if #out > 40 then break end end return unpack(out)"
	}
	return "return " + c.fn + "(" + args + ")"
}

// choices makes choices out of bytes.
type choices struct{ data []byte }

func (s *choices) pick(n int) int {
	if len(s.data) == 0 {
		return 0
	}
	b := s.data[0]
	s.data = s.data[1:]
	return int(b) % n
}

func (s *choices) of(list ...string) string { return list[s.pick(len(list))] }

var subjects = []string{"", "a", "hello world", "aaa", "a.b-c", "THE (quick) fox", "x = 1, y = 22", "[[]]", "\x00\x01", "a\nb\r\n", "\xff\xfe", "äöü", "f(a(b)c)d", "%d %s", "0x1F", "ab12AB"}

func (s *choices) text() string {
	out := subjects[s.pick(len(subjects))]
	for n := s.pick(4); n > 0; n-- {
		out += subjects[s.pick(len(subjects))]
	}
	return out
}

var patternParts = []string{"a", ".", "%a", "%d", "%s", "%w", "%p", "%u", "%l", "%x", "%c", "%z", "%A", "%S", "%W", "%.", "%%", "[a-z]", "[^a]", "[%a_]", "[]]", "[^]]", "[a%-z]", "[a-]", "[-a]", "[%]", "[", "]", "(", ")", "()", "(.-)", "(a*)", "%1", "%2", "%0", "%b()", "%bxy", "%b", "%f[%w]", "%f[^%w]", "%f", "*", "+", "-", "?", "^", "$", "%", "b", " ", "o", "\xff"}

func (s *choices) pattern() string {
	out := ""
	for n := 1 + s.pick(6); n > 0; n-- {
		out += patternParts[s.pick(len(patternParts))]
	}
	return out
}

func quoted(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, `\%03d`, c)
	}
	return `"` + b.String() + `"`
}

func (s *choices) number() string {
	return s.of("1", "0", "-1", "2", "3", "-2", "5", "10", "-10", "100", "255", "256", "1.5", "-1.5", "0.1", "1e10", "-1e10", "2^31", "2^32", "2^53", "1e100", "-1e100", "1/0", "-1/0", "0/0", "123456.789", "1e-5", "0.5", "2.5", "1e20", "99999.95", "-0")
}

func (s *choices) small() string {
	return s.of("1", "0", "-1", "2", "3", "-2", "5", "-7", "10", "-100", "100", "1.5", "-1.5", "2.9", "'2'", "' 3 '", "'0x1'", "'x'", "nil", "true", "2^40", "-2^40")
}

func (s *choices) formats() string {
	out := ""
	for n := 1 + s.pick(3); n > 0; n-- {
		out += s.of("", "x", "%%") + "%"
		for f := s.pick(4); f > 0; f-- {
			out += s.of("-", "+", " ", "#", "0")
		}
		out += s.of("", "", "1", "5", "12", "99", "100") + s.of("", "", ".", ".0", ".3", ".10", ".99", ".100")
		out += s.of("d", "i", "u", "o", "x", "X", "c", "e", "E", "f", "g", "G", "q", "s", "s", "y", "")
	}
	return out
}

func (s *choices) value() string {
	switch s.pick(6) {
	case 0:
		return s.of("nil", "true", "false", "'12'", "'0x10'", "' 5 '", "'1e2'")
	case 1, 2:
		return quoted(s.text())
	}
	return s.number()
}

func (s *choices) numeral() string {
	out := ""
	for n := 1 + s.pick(4); n > 0; n-- {
		out += s.of("0", "1", "10", "7", "9", ".", "e", "E", "x", "0x", "a", "F", "-", "+", "p", "_", "b", "o", " ", "\t", "\v", "1e5", "0.5", "z", "")
	}
	return out
}

func (s *choices) list() string {
	var items []string
	for n := s.pick(5); n > 0; n-- {
		items = append(items, s.of("1", "'b'", "''", "-5", "0.5", "'c'", "{}", "true")) // a nil leaves the length open
	}
	return "{" + strings.Join(items, ", ") + "}"
}

func (s *choices) call() call {
	fn := s.of("tonumber", "arithmetic", "find", "match", "gmatch", "gsub", "format", "rep", "byte", "char", "sub", "reverse", "upper", "lower", "len", "concat", "unpack", "find", "match", "gsub", "format")
	c := call{fn: "string." + fn}
	text := quoted(s.text())
	switch fn {
	case "find", "match":
		c.args = []string{text, quoted(s.pattern()), s.small(), s.of("nil", "nil", "true", "false")}
	case "tonumber":
		c.fn, c.args = fn, []string{quoted(s.numeral()), s.of("nil", "10", "16", "2", "36", "8", "'16'", "1", "37")}
		if c.args[1] == "nil" {
			c.args = c.args[:1]
		}
	case "arithmetic":
		op := s.of("+", "-", "*", "/", "%", "^")
		c.fn, c.args = "(function(a, b) return a "+op+" b, -a end)", []string{quoted(s.numeral()), s.of(quoted(s.numeral()), s.number())}
	case "gmatch":
		c.args = []string{text, quoted(s.pattern())}
	case "gsub":
		repl := s.of(quoted("<%0>"), quoted("%1%2"), quoted("%%x"), quoted("%a"), quoted("x"), "5", "{ a = 'A', b = 1, o = false, [1] = 'n' }", "{ a = {} }", "function(a, b) return b end", "function(a) return tostring(a) .. '!' end", "function() return true end", "nil", "true", quoted("%"))
		c.args = []string{text, quoted(s.pattern()), repl, s.of("nil", "nil", "0", "1", "2", "-1", "'2'", "1.9")}
	case "format":
		c.args = []string{quoted(s.formats()), s.value(), s.value(), s.value()}
	case "rep":
		c.args = []string{text, s.small()}
	case "byte", "sub":
		c.args = []string{text, s.small(), s.small()}
	case "char":
		c.args = []string{s.of("65", "0", "255", "256", "-1", "65.9", "'66'", "nil"), s.of("10", "97", "'x'")}
	case "concat":
		c.fn, c.args = "table.concat", []string{s.list(), s.of("nil", "', '", "''", "5", "{}"), s.small(), s.small()}
	case "unpack":
		c.fn, c.args = "unpack", []string{s.list(), s.small(), s.of("nil", "1", "2", "5", "'3'", "2.5", "-3", "'x'")}
	default:
		c.args = []string{s.of(text, text, "12", "nil", "{}")}
	}
	if s.pick(8) == 0 {
		c.args = c.args[:s.pick(len(c.args)+1)]
	}
	return c
}
