package runtime

import (
	"context"
	"errors"
	"fmt"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

const (
	maxCaptures = 32
	maxDepth    = 100_000    // nested calls of one match
	maxSteps    = 50_000_000 // of one library call: about a second
	capPosition = -2
	capOpen     = -1
)

// patternError is how the matcher ends early; run catches it.
type patternError struct{ err error }

// capture is what a pair of parentheses matched; length may be capOpen or capPosition.
type capture struct{ start, length int }

// matcher matches Lua 5.1 patterns (manual, section 5.4.1), with %f. It counts
// its steps, so that a pattern that backtracks without end ends with an error.
type matcher struct {
	ctx      context.Context
	src, pat string
	noAnchor bool // ^ is an ordinary character (gmatch)
	caps     [maxCaptures]capture
	level    int
	depth    int
	steps    int
	look     int // the step at which to look at the context
}

func (m *matcher) fail(format string, args ...any) {
	panic(patternError{fmt.Errorf(format, args...)})
}

// search finds the first match at or after init; -1 is none.
func (m *matcher) search(init int) (begin, end int) {
	for i := init; i <= len(m.src); i++ {
		if end := m.at(i); end >= 0 {
			return i, end
		}
		if !m.noAnchor && strings.HasPrefix(m.pat, "^") {
			break
		}
	}
	return -1, -1
}

// at matches at one place and gives the match's end, or -1.
func (m *matcher) at(i int) int {
	m.level = 0
	p := 0
	if !m.noAnchor && strings.HasPrefix(m.pat, "^") {
		p = 1
	}
	return m.match(i, p)
}

// values are the captures, or the whole match when there is none and it is wanted.
func (m *matcher) values(begin, end int, whole bool) []lua.LValue {
	if m.level == 0 && whole {
		return []lua.LValue{lua.LString(m.src[begin:end])}
	}
	out := make([]lua.LValue, m.level)
	for i := range out {
		switch c := m.caps[i]; c.length {
		case capPosition:
			out[i] = lua.LNumber(c.start + 1)
		case capOpen:
			m.fail("the pattern %q does not close a capture", m.pat)
		default:
			out[i] = lua.LString(m.src[c.start : c.start+c.length])
		}
	}
	return out
}

func (m *matcher) step() { m.cost(1) }

// cost counts n steps; looking at a set or a back reference takes more than one.
func (m *matcher) cost(n int) {
	m.steps += n
	if m.steps >= m.look {
		if m.look = m.steps + 0xfff; m.ctx.Err() != nil {
			panic(patternError{context.Cause(m.ctx)})
		}
	}
	if m.steps > maxSteps {
		panic(patternError{errors.New("the pattern takes too long on this text")})
	}
}

func (m *matcher) match(s, p int) int {
	m.depth++
	if m.depth > maxDepth {
		m.fail("the pattern is too complex for this text")
	}
	defer func() { m.depth-- }()
	for {
		m.step()
		if p >= len(m.pat) {
			return s
		}
		switch m.pat[p] {
		case '(':
			if p+1 < len(m.pat) && m.pat[p+1] == ')' {
				return m.open(s, p+2, capPosition)
			}
			return m.open(s, p+1, capOpen)
		case ')':
			return m.close(s, p+1)
		case '$':
			if p+1 == len(m.pat) {
				if s == len(m.src) {
					return s
				}
				return -1
			}
		case '%':
			if p+1 < len(m.pat) {
				next, np, done := m.special(s, p)
				if done {
					return -1
				}
				if np > 0 {
					s, p = next, np
					continue
				}
			}
		}
		next, np, done := m.item(s, p)
		if done {
			return next
		}
		s, p = next, np
	}
}

// item matches one character class and what follows it: ? * + or -. When done
// it gives the end of the whole match, or -1; else where to go on.
func (m *matcher) item(s, p int) (next, np int, done bool) {
	ep := m.classEnd(p)
	m.cost((ep - p) >> 3)
	var suffix byte
	if ep < len(m.pat) {
		suffix = m.pat[ep]
	}
	one := s < len(m.src) && m.single(m.src[s], p, ep)
	switch suffix {
	case '?':
		if one {
			if r := m.match(s+1, ep+1); r >= 0 {
				return r, 0, true
			}
		}
		return s, ep + 1, false
	case '*':
		return m.maxExpand(s, p, ep), 0, true
	case '-':
		return m.minExpand(s, p, ep), 0, true
	case '+':
		if one {
			return m.maxExpand(s+1, p, ep), 0, true
		}
	default:
		if one {
			return s + 1, ep, false
		}
	}
	return -1, 0, true
}

// special handles %b, %f and back references. np > 0 goes on there; done says
// that the match failed.
func (m *matcher) special(s, p int) (next, np int, done bool) {
	switch c := m.pat[p+1]; {
	case c == 'b':
		if p+3 >= len(m.pat) {
			m.fail("the pattern %q ends within %%b", m.pat)
		}
		e := m.balance(s, m.pat[p+2], m.pat[p+3])
		return e, p + 4, e < 0
	case c == 'f':
		p += 2
		if p >= len(m.pat) || m.pat[p] != '[' {
			m.fail("the pattern %q has no [ after %%f", m.pat)
		}
		ep := m.classEnd(p)
		var prev, cur byte
		if s > 0 {
			prev = m.src[s-1]
		}
		if s < len(m.src) {
			cur = m.src[s]
		}
		return s, ep, m.set(prev, p, ep-1) || !m.set(cur, p, ep-1)
	case c >= '0' && c <= '9':
		i := int(c) - '1'
		if i < 0 || i >= m.level || m.caps[i].length == capOpen {
			m.fail("the pattern %q refers to the capture %%%c, which is not there", m.pat, c)
		}
		if m.caps[i].length == capPosition { // a position is no text
			return 0, 0, true
		}
		text := m.src[m.caps[i].start : m.caps[i].start+m.caps[i].length]
		m.cost(len(text) >> 6)
		if !strings.HasPrefix(m.src[s:], text) {
			return 0, 0, true
		}
		return s + len(text), p + 2, false
	}
	return 0, 0, false
}

func (m *matcher) balance(s int, open, shut byte) int {
	if s >= len(m.src) || m.src[s] != open {
		return -1
	}
	depth := 1
	for i := s + 1; i < len(m.src); i++ {
		m.step()
		switch m.src[i] {
		case shut:
			if depth--; depth == 0 {
				return i + 1
			}
		case open:
			depth++
		}
	}
	return -1
}

func (m *matcher) open(s, p, kind int) int {
	if m.level >= maxCaptures {
		m.fail("the pattern %q has more than %d captures", m.pat, maxCaptures)
	}
	m.caps[m.level] = capture{s, kind}
	m.level++
	r := m.match(s, p)
	if r < 0 {
		m.level--
	}
	return r
}

func (m *matcher) close(s, p int) int {
	i := m.level - 1
	for ; i >= 0 && m.caps[i].length != capOpen; i-- {
	}
	if i < 0 {
		m.fail("the pattern %q closes a capture that is not open", m.pat)
	}
	m.caps[i].length = s - m.caps[i].start
	r := m.match(s, p)
	if r < 0 {
		m.caps[i].length = capOpen
	}
	return r
}

func (m *matcher) maxExpand(s, p, ep int) int {
	n := 0
	for s+n < len(m.src) && m.single(m.src[s+n], p, ep) {
		m.cost(1 + (ep-p)>>3)
		n++
	}
	for ; n >= 0; n-- {
		if r := m.match(s+n, ep+1); r >= 0 {
			return r
		}
	}
	return -1
}

func (m *matcher) minExpand(s, p, ep int) int {
	for {
		if r := m.match(s, ep+1); r >= 0 {
			return r
		}
		if s >= len(m.src) || !m.single(m.src[s], p, ep) {
			return -1
		}
		s++
	}
}

// classEnd is the end of the single-character class that begins at p.
func (m *matcher) classEnd(p int) int {
	c := m.pat[p]
	p++
	switch c {
	case '%':
		if p >= len(m.pat) {
			m.fail("the pattern %q ends with %%", m.pat)
		}
		return p + 1
	case '[':
		if p < len(m.pat) && m.pat[p] == '^' {
			p++
		}
		for first := true; ; first = false {
			if p >= len(m.pat) {
				m.fail("the pattern %q has no ] for its [", m.pat)
			}
			if m.pat[p] == ']' && !first {
				return p + 1
			}
			if m.pat[p] == '%' {
				p++
			}
			p++
		}
	}
	return p
}

func (m *matcher) single(c byte, p, ep int) bool {
	switch m.pat[p] {
	case '.':
		return true
	case '%':
		return class(c, m.pat[p+1])
	case '[':
		return m.set(c, p, ep-1)
	}
	return m.pat[p] == c
}

// set matches a [set] from its [ at p to its ] at end.
func (m *matcher) set(c byte, p, end int) bool {
	found := true
	p++
	if m.pat[p] == '^' {
		found = false
		p++
	}
	for ; p < end; p++ {
		switch {
		case m.pat[p] == '%' && p+1 < end:
			p++
			if class(c, m.pat[p]) {
				return found
			}
		case p+2 < end && m.pat[p+1] == '-':
			if m.pat[p] <= c && c <= m.pat[p+2] {
				return found
			}
			p += 2
		case m.pat[p] == c:
			return found
		}
	}
	return !found
}

// class is %a and its kin, in the C locale.
func class(c, kind byte) bool {
	in := false
	lower, upper, digit := c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9'
	switch kind | 0x20 {
	case 'a':
		in = lower || upper
	case 'c':
		in = c < 32 || c == 127
	case 'd':
		in = digit
	case 'l':
		in = lower
	case 'p':
		in = c > 32 && c < 127 && !lower && !upper && !digit
	case 's':
		in = c == ' ' || c >= 9 && c <= 13
	case 'u':
		in = upper
	case 'w':
		in = lower || upper || digit
	case 'x':
		in = digit || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
	case 'z':
		in = c == 0
	default:
		return kind == c
	}
	if kind >= 'A' && kind <= 'Z' {
		return !in
	}
	return in
}
