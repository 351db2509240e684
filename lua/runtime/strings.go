package runtime

import (
	"context"
	"fmt"
	"math"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// maxString bounds what one library call may make.
const maxString = 64 << 20

// openString gives the string library: gopher-lua's simple functions, and our
// own matching, gsub, rep and format, which are linear, bounded and stop when
// the context ends.
func (s *State) openString(g *lua.LTable) {
	l := s.l
	lua.OpenString(l)
	t := g.RawGetString("string").(*lua.LTable)
	for _, name := range []string{"dump", "gfind"} {
		t.RawSetString(name, lua.LNil)
	}
	for name, fn := range map[string]lua.LGFunction{
		"find":  func(l *lua.LState) int { return s.find(l, true) },
		"match": func(l *lua.LState) int { return s.find(l, false) },
		"byte":  s.bytes, "char": s.char, "sub": s.sub,
		"gmatch": s.gmatch, "gsub": s.gsub, "rep": s.rep, "format": s.format,
		"lower": func(l *lua.LState) int { l.Push(lua.LString(mapASCII(l.CheckString(1), 'A', 'Z'))); return 1 },
		"upper": func(l *lua.LState) int { l.Push(lua.LString(mapASCII(l.CheckString(1), 'a', 'z'))); return 1 },
	} {
		t.RawSetString(name, s.Func("string."+name, fn))
	}
	s.Strict("string", t)
	mt := l.NewTable()
	mt.RawSetString("__index", t)
	mt.RawSetString("__metatable", lua.LFalse)
	s.openArithmetic(mt)
	l.SetMetatable(lua.LString(""), mt)
}

// mapASCII changes the case of the ASCII letters lo..hi only, as Lua 5.1 does in the C locale.
func mapASCII(s string, lo, hi byte) string {
	b := []byte(s)
	for i, c := range b {
		if c >= lo && c <= hi {
			b[i] = c ^ 0x20
		}
	}
	return string(b)
}

func (s *State) newMatcher(l *lua.LState, text, pattern string) *matcher {
	ctx := l.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	return &matcher{ctx: ctx, src: text, pat: pattern}
}

// run calls f and raises what the matcher found wrong.
func (s *State) run(l *lua.LState, f func()) {
	var failed error
	func() {
		defer func() {
			if r := recover(); r != nil {
				pe, ok := r.(patternError)
				if !ok {
					panic(r)
				}
				failed = pe.err
			}
		}()
		f()
	}()
	if failed != nil {
		s.Raise(l, failed)
	}
}

// values are a match's captures, or the whole match where there is none and it is wanted.
func (s *State) values(l *lua.LState, m *matcher, begin, end int, whole bool) (out []lua.LValue) {
	s.run(l, func() { out = m.values(begin, end, whole) })
	return out
}

// startIndex is where a search begins; beyond the end it is the end.
func startIndex(i, n int) int {
	switch {
	case i > 0:
		return min(i-1, n)
	case i < 0:
		return max(n+i, 0)
	}
	return 0
}

func (s *State) find(l *lua.LState, find bool) int {
	text, pattern := l.CheckString(1), l.CheckString(2)
	init := startIndex(optInt(l, 3, 1), len(text))
	if find && (lua.LVAsBool(l.Get(4)) || !strings.ContainsAny(pattern, "^$*+?.([%-")) {
		i := strings.Index(text[init:], pattern)
		if i < 0 {
			l.Push(lua.LNil)
			return 1
		}
		l.Push(lua.LNumber(init + i + 1))
		l.Push(lua.LNumber(init + i + len(pattern)))
		return 2
	}
	m := s.newMatcher(l, text, pattern)
	begin, end := -1, -1
	s.run(l, func() { begin, end = m.search(init) })
	if begin < 0 {
		l.Push(lua.LNil)
		return 1
	}
	n := 0
	if find {
		l.Push(lua.LNumber(begin + 1))
		l.Push(lua.LNumber(end))
		n = 2
	}
	for _, c := range s.values(l, m, begin, end, !find) {
		l.Push(c)
		n++
	}
	return n
}

func (s *State) gmatch(l *lua.LState) int {
	m := s.newMatcher(l, l.CheckString(1), l.CheckString(2))
	m.noAnchor = true
	pos := 0
	l.Push(s.Func("gmatch iterator", func(l *lua.LState) int {
		if ctx := l.Context(); ctx != nil {
			m.ctx = ctx
		}
		if pos > len(m.src) {
			l.Push(lua.LNil)
			return 1
		}
		begin, end := -1, -1
		m.steps, m.look = 0, 0
		s.run(l, func() { begin, end = m.search(pos) })
		if begin < 0 {
			pos = len(m.src) + 1
			l.Push(lua.LNil)
			return 1
		}
		pos = end
		if end == begin {
			pos++
		}
		values := s.values(l, m, begin, end, true)
		for _, v := range values {
			l.Push(v)
		}
		return len(values)
	}))
	return 1
}

func (s *State) gsub(l *lua.LState) int {
	text, pattern, repl := l.CheckString(1), l.CheckString(2), l.Get(3)
	limit := optInt(l, 4, math.MaxInt)
	switch repl.Type() {
	case lua.LTString, lua.LTNumber, lua.LTTable, lua.LTFunction:
	default:
		l.ArgError(3, "string, function or table expected, got "+repl.Type().String())
	}
	m := s.newMatcher(l, text, pattern)
	anchored := strings.HasPrefix(pattern, "^")
	var b strings.Builder
	pos, count := 0, 0
	for count < limit {
		end := -1
		s.run(l, func() { end = m.at(pos) })
		if end >= 0 {
			count++
			b.WriteString(s.replacement(l, m, repl, pos, end))
		}
		switch {
		case end > pos:
			pos = end
		case pos < len(text):
			b.WriteByte(text[pos])
			pos++
		default:
			pos++
		}
		if b.Len() > maxString {
			s.Raisef(l, "", "gsub: the result is longer than %d MB", maxString>>20)
		}
		if pos > len(text) || anchored {
			break
		}
	}
	if pos < len(text) {
		b.WriteString(text[pos:])
	}
	l.Push(lua.LString(b.String()))
	l.Push(lua.LNumber(count))
	return 2
}

func (s *State) replacement(l *lua.LState, m *matcher, repl lua.LValue, begin, end int) string {
	whole := m.src[begin:end]
	values := s.values(l, m, begin, end, true)
	var v lua.LValue
	switch r := repl.(type) {
	case *lua.LTable:
		v = l.GetTable(r, values[0])
	case *lua.LFunction:
		l.Push(r)
		for _, c := range values {
			l.Push(c)
		}
		l.Call(len(values), 1)
		v = l.Get(-1)
		l.Pop(1)
	default:
		text, err := expand(repl.String(), whole, values)
		if err != nil {
			s.Raise(l, err)
		}
		return text
	}
	switch v.Type() {
	case lua.LTString, lua.LTNumber:
		return v.String()
	case lua.LTNil:
		return whole
	}
	if v == lua.LFalse {
		return whole
	}
	s.Raisef(l, "", "gsub: the replacement is a %s, not a string", v.Type())
	return ""
}

// expand puts captures for %0 to %9 into a replacement string.
func expand(repl, whole string, values []lua.LValue) (string, error) {
	if !strings.Contains(repl, "%") {
		return repl, nil
	}
	var b strings.Builder
	for i := 0; i < len(repl); i++ {
		if repl[i] != '%' || i+1 == len(repl) {
			b.WriteByte(repl[i])
			continue
		}
		i++
		c := repl[i]
		switch {
		case c == '0':
			b.WriteString(whole)
		case c >= '1' && c <= '9':
			if int(c-'1') >= len(values) {
				return "", fmt.Errorf("gsub: the pattern has no capture %%%c", c)
			}
			b.WriteString(values[c-'1'].String())
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), nil
}

func (s *State) rep(l *lua.LState) int {
	text, n := l.CheckString(1), intArg(l, 2)
	if n <= 0 || text == "" {
		l.Push(lua.LString(""))
		return 1
	}
	if n > maxString/len(text) {
		s.Raisef(l, "", "string.rep: the result is longer than %d MB", maxString>>20)
	}
	l.Push(lua.LString(strings.Repeat(text, n)))
	return 1
}

// bounds are the first and last byte that two positions name, counting from 1.
func bounds(n, from, to int) (first, last int) {
	if from < 0 {
		from = max(n+from+1, 0)
	}
	if to < 0 {
		to = max(n+to+1, 0)
	}
	return max(from, 1), min(to, n)
}

func (s *State) sub(l *lua.LState) int {
	text := l.CheckString(1)
	first, last := bounds(len(text), intArg(l, 2), optInt(l, 3, -1))
	if first > last {
		text = ""
	} else {
		text = text[first-1 : last]
	}
	l.Push(lua.LString(text))
	return 1
}

func (s *State) bytes(l *lua.LState) int {
	text := l.CheckString(1)
	from := optInt(l, 2, 1)
	first, last := bounds(len(text), from, optInt(l, 3, from))
	for i := first; i <= last; i++ {
		l.Push(lua.LNumber(text[i-1]))
	}
	return max(last-first+1, 0)
}

func (s *State) char(l *lua.LState) int {
	out := make([]byte, l.GetTop())
	for i := range out {
		n := intArg(l, i+1)
		if n < 0 || n > 255 {
			l.ArgError(i+1, "invalid value")
		}
		out[i] = byte(n)
	}
	l.Push(lua.LString(out))
	return 1
}
