package std

import (
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"
)

// maxCodes is how many code points one call gives: they take room on Lua's stack.
const maxCodes = 1 << 19

func utf8Members() []Member {
	return []Member{
		{Name: "utf8", Doc: "is the library utf8 of Lua 5.3, for texts by characters instead of bytes. Halves of surrogate pairs are not UTF-8, as in Lua 5.4."},
		{Name: "utf8.len", Sig: "(text: string, from?: integer, to?: integer): integer?, integer?", fn: utf8Len,
			Doc: "counts the characters that begin between two bytes, all without them. Where the text is no UTF-8 it gives nil and the first byte that is none.", Example: `std.utf8.len("naïve") --> 5`},
		{Name: "utf8.char", Sig: "(...: integer): string", Doc: "gives the text of code points.", Example: `std.utf8.char(0x56, 0x20ac) --> "V€"`, fn: utf8Char},
		{Name: "utf8.codepoint", Sig: "(text: string, from?: integer, to?: integer): integer...", fn: utf8Codepoint,
			Doc: "gives the code points of the characters that begin between two bytes, of the first byte without them.", Example: `std.utf8.codepoint("€") --> 8364`},
		{Name: "utf8.codes", Sig: "(text: string): fun(): integer, integer", fn: utf8Codes,
			Doc: "is for loops: for at, code in std.utf8.codes(text) do … end."},
		{Name: "utf8.offset", Sig: "(text: string, n: integer, from?: integer): integer?", fn: utf8Offset,
			Doc: "gives the byte at which the n-th character from a byte on begins; backwards for a negative n, and for 0 of the character that the byte is in.", Example: `std.utf8.offset("naïve", 4) --> 5`},
		{Name: "utf8.valid", Sig: "(text: string): boolean", Doc: "says whether a text is UTF-8.", Example: `std.utf8.valid("\255") --> false`, fn: utf8Valid},
		{Name: "utf8.charpattern", Sig: ": string", Doc: "is the pattern of one character of a text that is UTF-8.", Example: `("naïve"):match("na(" .. std.utf8.charpattern .. ")") --> "ï"`,
			value: func(*lua.LState) lua.LValue { return lua.LString("[%z\x01-\x7F\xC2-\xF4][\x80-\xBF]*") }},
	}
}

// place is the byte that a position names, from 1; negative ones count from the end.
func place(at, length int) int {
	switch {
	case at >= 0:
		return at
	case -at > length:
		return 0
	}
	return length + at + 1
}

// inside says whether the byte at an offset goes on with a character.
func inside(s string, at int) bool { return at < len(s) && s[at]&0xc0 == 0x80 }

// character reads the one at an offset; its size is 0 where there is none.
func character(s string, at int) (code rune, size int) {
	code, size = utf8.DecodeRuneInString(s[at:])
	if code == utf8.RuneError && size <= 1 {
		return 0, 0
	}
	return code, size
}

func utf8Len(c *call) int {
	s := c.text(1)
	from, to := place(c.integer(2, 1), len(s)), place(c.integer(3, -1), len(s))
	if from < 1 || from > len(s)+1 {
		c.bad(2, "", "initial position out of string")
	}
	if to > len(s) {
		c.bad(3, "", "final position out of string")
	}
	n := 0
	for at := from - 1; at < to; n++ {
		_, size := character(s, at)
		if size == 0 {
			c.l.Push(lua.LNil)
			c.l.Push(lua.LNumber(at + 1))
			return 2
		}
		at += size
	}
	c.l.Push(lua.LNumber(n))
	return 1
}

func utf8Char(c *call) int {
	var out []byte
	for i := 1; i <= c.l.GetTop(); i++ {
		code := c.needs(i)
		if code < 0 || code > utf8.MaxRune || !utf8.ValidRune(rune(code)) {
			c.bad(i, "", "value out of range")
		}
		out = utf8.AppendRune(out, rune(code))
	}
	return c.gives(string(out))
}

func utf8Codepoint(c *call) int {
	s := c.text(1)
	from := place(c.integer(2, 1), len(s))
	to := place(c.integer(3, from), len(s))
	if from < 1 {
		c.bad(2, "", "out of range")
	}
	if to > len(s) {
		c.bad(3, "", "out of range")
	}
	if to-from >= maxCodes {
		c.bad(3, "std.utf8.codes goes through longer ones", "string slice too long")
	}
	n := 0
	for at := from - 1; at < to; n++ {
		code, size := character(s, at)
		if size == 0 {
			c.notUTF8(at)
		}
		c.l.Push(lua.LNumber(code))
		at += size
	}
	return n
}

// notUTF8 raises that a text is none at an offset.
func (c *call) notUTF8(at int) {
	c.bad(1, "std.utf8.valid tells before", "invalid UTF-8 code at byte %d", at+1)
}

func utf8Codes(c *call) int {
	s := c.text(1)
	c.l.Push(c.s.Func("std.utf8.codes", func(l *lua.LState) int {
		at := int(l.CheckNumber(2))
		for at > 0 && inside(s, at) {
			at++
		}
		if at < 0 || at >= len(s) {
			return 0
		}
		code, size := character(s, at)
		if size == 0 || inside(s, at+size) {
			(&call{c.s, l, "codes"}).notUTF8(at)
		}
		l.Push(lua.LNumber(at + 1))
		l.Push(lua.LNumber(code))
		return 2
	}))
	c.l.Push(lua.LString(s))
	c.l.Push(lua.LNumber(0))
	return 3
}

func utf8Offset(c *call) int {
	s, n := c.text(1), c.needs(2)
	otherwise := 1
	if n < 0 {
		otherwise = len(s) + 1
	}
	at := place(c.integer(3, otherwise), len(s)) - 1
	if at < 0 || at > len(s) {
		c.bad(3, "", "position out of range")
	}
	if n != 0 && inside(s, at) {
		c.bad(3, "0 as the second argument finds where the character begins", "initial position is a continuation byte")
	}
	switch {
	case n == 0:
		for at > 0 && inside(s, at) {
			at--
		}
	case n < 0:
		for ; n < 0 && at > 0; n++ {
			for at--; at > 0 && inside(s, at); at-- {
			}
		}
	default:
		for n--; n > 0 && at < len(s); n-- {
			for at++; inside(s, at); at++ {
			}
		}
	}
	if n != 0 {
		c.l.Push(lua.LNil)
	} else {
		c.l.Push(lua.LNumber(at + 1))
	}
	return 1
}

func utf8Valid(c *call) int {
	c.l.Push(lua.LBool(utf8.ValidString(c.text(1))))
	return 1
}
