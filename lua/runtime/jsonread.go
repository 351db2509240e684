package runtime

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"

	"vsl/lua/bind"
)

// encoding/json would read a text twice, into Go's values first, says of mistakes
// only how many bytes come before them, and puts other characters where a text is
// not UTF-8.

// DecodeJSON makes plain Lua data of JSON (RFC 8259). null is what null becomes; in
// an object nil leaves its key out. Of a key that comes twice the last one counts,
// and an empty list is marked as one. A mistake is told with its line and column.
func DecodeJSON(l *lua.LState, text string, null lua.LValue) (lua.LValue, error) {
	r := &jsonReader{l: l, ctx: l.Context(), text: text, null: null}
	v, err := r.value(0)
	if err != nil {
		return lua.LNil, err
	}
	if r.skip(); r.at < len(r.text) {
		return lua.LNil, r.wrong("one text holds one value", "%s after the value", r.here())
	}
	return v, nil
}

type jsonReader struct {
	l     *lua.LState
	ctx   context.Context // may be nil
	text  string
	at    int
	steps int
	null  lua.LValue
}

// wrong is a mistake at the place that was reached. Columns count bytes, as editors
// that count otherwise find the line at least.
func (r *jsonReader) wrong(hint, format string, args ...any) error {
	before := r.text[:min(r.at, len(r.text))]
	line, column := strings.Count(before, "\n")+1, len(before)-strings.LastIndexByte(before, '\n')
	return &bind.Error{Msg: fmt.Sprintf("line %d, column %d: %s", line, column, fmt.Sprintf(format, args...)), Hint: hint}
}

// here is what stands at the place that was reached, for errors.
func (r *jsonReader) here() string {
	if r.at >= len(r.text) {
		return "the end of the text"
	}
	c, _ := utf8.DecodeRuneInString(r.text[r.at:])
	return strconv.QuoteRune(c)
}

func (r *jsonReader) skip() {
	for r.at < len(r.text) && strings.IndexByte(" \t\n\r", r.text[r.at]) >= 0 {
		r.at++
	}
}

// take goes past c where it comes next.
func (r *jsonReader) take(c byte) bool {
	r.skip()
	if r.at < len(r.text) && r.text[r.at] == c {
		r.at++
		return true
	}
	return false
}

func (r *jsonReader) value(depth int) (lua.LValue, error) {
	if r.steps++; r.steps%lookEvery == 0 && r.ctx != nil && r.ctx.Err() != nil {
		return nil, context.Cause(r.ctx)
	}
	r.skip()
	if r.at >= len(r.text) {
		return nil, r.wrong("", "the text ends where a value should be")
	}
	switch c := r.text[r.at]; {
	case c == '{' || c == '[':
		if depth >= maxNesting {
			return nil, r.wrong("", "nested more than %d deep", maxNesting)
		}
		r.at++
		if c == '{' {
			return r.object(depth + 1)
		}
		return r.list(depth + 1)
	case c == '"':
		text, err := r.quoted()
		return lua.LString(text), err
	case c == '-' || c >= '0' && c <= '9':
		return r.number()
	}
	for word, v := range map[string]lua.LValue{"true": lua.LTrue, "false": lua.LFalse, "null": r.null} {
		if strings.HasPrefix(r.text[r.at:], word) {
			r.at += len(word)
			return v, nil
		}
	}
	return nil, r.wrong(r.hint(""), "%s where a value should be", r.here())
}

// hint is what to do about the character that stands where it should not.
func (r *jsonReader) hint(otherwise string) string {
	if r.at >= len(r.text) {
		return otherwise
	}
	c := r.text[r.at]
	if (c == ']' || c == '}') && strings.HasSuffix(strings.TrimRight(r.text[max(r.at-100, 0):r.at], " \t\n\r"), ",") {
		return fmt.Sprintf("no comma comes before %c", c)
	}
	if h := jsonHints[c]; h != "" {
		return h
	}
	return otherwise
}

// jsonHints are for what other languages allow.
var jsonHints = map[byte]string{
	'\'': "texts are in double quotes", '/': "JSON has no comments", '#': "JSON has no comments", 'N': "JSON has no NaN, and writes null", 'T': "write true", 'F': "write false",
}

func (r *jsonReader) list(depth int) (lua.LValue, error) {
	t := r.l.NewTable()
	if r.take(']') {
		MarkJSONList(t)
		return t, nil
	}
	for {
		v, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		t.Append(v)
		if r.take(']') {
			return t, nil
		}
		if !r.take(',') {
			return nil, r.wrong("", "%s where , or ] should be", r.here())
		}
	}
}

func (r *jsonReader) object(depth int) (lua.LValue, error) {
	t := r.l.NewTable()
	if r.take('}') {
		return t, nil
	}
	for {
		if r.skip(); r.at >= len(r.text) || r.text[r.at] != '"' {
			return nil, r.wrong(r.hint("keys are in double quotes"), "%s where a key should be", r.here())
		}
		key, err := r.quoted()
		if err != nil {
			return nil, err
		}
		if !r.take(':') {
			return nil, r.wrong("", "%s where : should be", r.here())
		}
		v, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		t.RawSetString(key, v)
		if r.take('}') {
			return t, nil
		}
		if !r.take(',') {
			return nil, r.wrong("", "%s where , or } should be", r.here())
		}
	}
}

// number reads one as the grammar has it; Lua's own numbers are others.
func (r *jsonReader) number() (lua.LValue, error) {
	from := r.at
	digits := func() bool {
		first := r.at
		for r.at < len(r.text) && r.text[r.at] >= '0' && r.text[r.at] <= '9' {
			r.at++
		}
		return r.at > first
	}
	next := func(any string) bool {
		if r.at < len(r.text) && strings.IndexByte(any, r.text[r.at]) >= 0 {
			r.at++
			return true
		}
		return false
	}
	next("-")
	if zero := next("0"); !zero && !digits() {
		return nil, r.wrong("", "%s where a digit should be", r.here())
	} else if zero && r.at < len(r.text) && r.text[r.at] >= '0' && r.text[r.at] <= '9' {
		return nil, r.wrong("numbers do not begin with 0", "%s after 0", r.here())
	}
	if next(".") && !digits() {
		return nil, r.wrong("", "%s where a digit should be", r.here())
	}
	if next("eE") {
		next("+-")
		if !digits() {
			return nil, r.wrong("", "%s where a digit should be", r.here())
		}
	}
	n, err := strconv.ParseFloat(r.text[from:r.at], 64)
	if err != nil { // the grammar leaves the range
		r.at = from
		return nil, r.wrong("write it as a text", "the number is too large for Lua")
	}
	return lua.LNumber(n), nil
}

// quoted reads a text.
func (r *jsonReader) quoted() (string, error) {
	begin := r.at
	r.at++
	var b strings.Builder
	for from := r.at; ; {
		if r.at >= len(r.text) {
			r.at = begin
			return "", r.wrong("", "the text that begins here does not end")
		}
		switch c := r.text[r.at]; {
		case c == '"':
			r.at++
			if b.Len() == 0 {
				return r.text[from : r.at-1], nil
			}
			b.WriteString(r.text[from : r.at-1])
			return b.String(), nil
		case c == '\\':
			b.WriteString(r.text[from:r.at])
			c, err := r.escape()
			if err != nil {
				return "", err
			}
			b.WriteRune(c)
			from = r.at
		case c < 0x20:
			return "", r.wrong(`write \n, \t or \u00XX`, "%s within a text", r.here())
		default:
			c, size := utf8.DecodeRuneInString(r.text[r.at:])
			if c == utf8.RuneError && size == 1 {
				return "", r.wrong("", "the byte 0x%02x is not UTF-8", r.text[r.at])
			}
			r.at += size
		}
	}
}

// escape reads what begins with a backslash.
func (r *jsonReader) escape() (rune, error) {
	if r.at+1 < len(r.text) {
		c := r.text[r.at+1]
		if i := strings.IndexByte(letters+`"\/`, c); i >= 0 {
			r.at += 2
			return rune((controls + `"\/`)[i]), nil
		}
		if c == 'u' {
			return r.unit()
		}
	}
	return 0, r.wrong(`write \\ for a backslash`, `an escape that JSON does not have`)
}

// unit reads \uXXXX, or two of them that are one character.
func (r *jsonReader) unit() (rune, error) {
	half := func() (rune, bool) {
		if len(r.text)-r.at < 6 || r.text[r.at] != '\\' || r.text[r.at+1] != 'u' {
			return 0, false
		}
		n, err := strconv.ParseUint(r.text[r.at+2:r.at+6], 16, 16)
		return rune(n), err == nil
	}
	c, ok := half()
	if !ok {
		return 0, r.wrong("", `\u without four hexadecimal digits`)
	}
	if !utf16.IsSurrogate(c) {
		r.at += 6
		return c, nil
	}
	r.at += 6
	low, ok := half()
	if both := utf16.DecodeRune(c, low); ok && both != utf8.RuneError {
		r.at += 6
		return both, nil
	}
	r.at -= 6
	return 0, r.wrong("", `\u%04x is half of a character without the other half`, c)
}
