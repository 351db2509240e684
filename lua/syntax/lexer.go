// Package syntax takes Lua texts apart with the place of every name and comment,
// also texts that somebody is half way through typing. It accepts what the
// interpreter's own parser accepts, which keeps neither columns nor comments.
package syntax

import (
	"fmt"
	"strconv"
	"strings"
)

// Kind is what a token is.
type Kind int

// The kinds of token.
const (
	EOF Kind = iota
	Name
	Keyword
	Number
	String
	Op
	Comment
	Bad // nothing that Lua has
)

// Span is a piece of a text, in bytes.
type Span struct{ From, To int }

// Where gives the span itself, for what embeds one.
func (s Span) Where() Span { return s }

// Has says whether an offset is in the span or at its end.
func (s Span) Has(at int) bool { return s.From <= at && at <= s.To }

// Token is one word of a text.
type Token struct {
	Span
	Kind   Kind
	Text   string // as it is written
	Value  string // of a string: what it stands for
	Broken string // what is wrong with it; "" is nothing
}

var keywords = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields("and break do else elseif end false for function goto if in local nil not or repeat return then true until while") {
		m[w] = true
	}
	return m
}()

// Keywords lists the words that are no names.
func Keywords() []string {
	out := make([]string, 0, len(keywords))
	for w := range keywords {
		out = append(out, w)
	}
	return out
}

// IsName says whether a text can name a variable.
func IsName(s string) bool {
	if s == "" || keywords[s] || isDigit(s[0]) {
		return false
	}
	for i := range len(s) {
		if !isWord(s[i]) {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isWord(c byte) bool {
	return c == '_' || isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// Lex splits a text into its tokens, comments among them. The last one is EOF.
func Lex(text string) []Token {
	l := &lexer{text: text}
	for {
		t := l.next()
		l.tokens = append(l.tokens, t)
		if t.Kind == EOF {
			return l.tokens
		}
	}
}

// InText says that a text ends within a string or a comment.
func InText(text string) bool {
	all := Lex(text)
	if len(all) < 2 {
		return false
	}
	last := all[len(all)-2]
	switch last.Kind {
	case Comment:
		return last.To == len(text) && (last.Broken != "" || !strings.HasSuffix(last.Text, "]]"))
	case String:
		return last.To == len(text) && last.Broken != ""
	}
	return false
}

type lexer struct {
	text   string
	at     int
	tokens []Token
}

// peek gives the n-th byte from here, 0 behind the end.
func (l *lexer) peek(n int) byte {
	if l.at+n < len(l.text) {
		return l.text[l.at+n]
	}
	return 0
}

// bom is the mark that some editors begin a file with.
const bom = "\ufeff"

// Blank gives a text as parsers of Lua know it, each byte at its place: what only
// a file may begin with, a byte order mark and a line for the kernel (#!, execve(2)),
// is blank.
func Blank(text string) string {
	rest := strings.TrimPrefix(text, bom)
	if strings.HasPrefix(rest, "#!") {
		_, rest = cutLine(rest)
	}
	if n := len(text) - len(rest); n > 0 {
		return strings.Repeat(" ", n) + rest
	}
	return text
}

// cutLine cuts a text before the end of its first line.
func cutLine(text string) (line, rest string) {
	if i := strings.IndexAny(text, "\r\n"); i >= 0 {
		return text[:i], text[i:]
	}
	return text, ""
}

func (l *lexer) next() Token {
	if l.at == 0 && strings.HasPrefix(l.text, bom) {
		l.at = len(bom)
	}
	if len(l.tokens) == 0 && strings.HasPrefix(l.text[l.at:], "#!") {
		line, _ := cutLine(l.text[l.at:])
		l.at += len(line)
		return Token{Kind: Comment, Span: Span{l.at - len(line), l.at}, Text: line}
	}
	for l.at < len(l.text) && strings.IndexByte(" \t\r\n", l.text[l.at]) >= 0 {
		l.at++
	}
	t := Token{Span: Span{From: l.at}}
	switch c := l.peek(0); {
	case l.at >= len(l.text):
		t.Kind = EOF
	case isWord(c) && !isDigit(c):
		for isWord(l.peek(0)) {
			l.at++
		}
		if t.Kind = Name; keywords[l.text[t.From:l.at]] {
			t.Kind = Keyword
		}
	case isDigit(c) || c == '.' && isDigit(l.peek(1)):
		t.Kind = Number
		l.number(&t)
	case c == '"' || c == '\'':
		t.Kind = String
		l.quoted(&t, c)
	case c == '-' && l.peek(1) == '-':
		t.Kind = Comment
		l.comment(&t)
	case c == '[' && (l.peek(1) == '[' || l.peek(1) == '='):
		t.Kind = String
		l.long(&t)
	default:
		l.op(&t)
	}
	t.To = l.at
	t.Text = l.text[t.From:t.To]
	return t
}

var ops = []string{"...", "..", "==", "~=", "<=", ">=", "::"}

func (l *lexer) op(t *Token) {
	t.Kind = Op
	for _, op := range ops {
		if strings.HasPrefix(l.text[l.at:], op) {
			l.at += len(op)
			return
		}
	}
	if strings.IndexByte("+-*/%^#(){}[];:,.<>=", l.peek(0)) < 0 {
		t.Kind = Bad
		t.Broken = fmt.Sprintf("%q means nothing in Lua", l.peek(0))
		if l.peek(0) >= 0x80 {
			t.Broken = "a letter that names may not have"
		}
		if l.peek(0) == '!' && l.peek(1) == '=' {
			t.Broken = "!= means nothing in Lua: write ~="
			l.at++
		}
		for l.at++; l.at < len(l.text) && l.text[l.at]&0xc0 == 0x80; l.at++ {
		}
		return
	}
	l.at++
}

// number takes what the interpreter takes for one.
func (l *lexer) number(t *Token) {
	digits := func(is func(byte) bool) (n int) {
		for ; l.at < len(l.text) && is(l.peek(0)); n++ {
			l.at++
		}
		return n
	}
	if l.peek(0) == '0' && (l.peek(1) == 'x' || l.peek(1) == 'X') {
		l.at += 2
		if digits(isHex) == 0 {
			t.Broken = "a hexadecimal number without digits"
		}
		return
	}
	digits(isDigit)
	if l.peek(0) == '.' {
		l.at++
		digits(isDigit)
	}
	if c := l.peek(0); c == 'e' || c == 'E' {
		l.at++
		if c := l.peek(0); c == '+' || c == '-' {
			l.at++
		}
		if digits(isDigit) == 0 {
			t.Broken = "a number without its exponent"
		}
	}
}

var escapes = map[byte]byte{'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v'}

func (l *lexer) quoted(t *Token, quote byte) {
	var b strings.Builder
	for l.at++; ; {
		c := l.peek(0)
		switch {
		case l.at >= len(l.text) || c == '\n' || c == '\r':
			t.Broken = "unterminated string"
			t.Value = b.String()
			return
		case c == quote:
			l.at++
			t.Value = b.String()
			return
		case c == '\\':
			l.at++
			l.escape(&b)
		default:
			l.at++
			b.WriteByte(c)
		}
	}
}

func (l *lexer) escape(b *strings.Builder) {
	if l.at >= len(l.text) {
		return
	}
	c := l.peek(0)
	switch {
	case isDigit(c):
		from := l.at
		for n := 0; n < 3 && isDigit(l.peek(0)); n++ {
			l.at++
		}
		n, _ := strconv.Atoi(l.text[from:l.at]) // up to three digits
		b.WriteByte(byte(n))
		return
	case c == '\n' || c == '\r':
		l.at++
		if d := l.peek(0); l.at < len(l.text) && d != c && (d == '\n' || d == '\r') {
			l.at++
		}
		b.WriteByte('\n')
		return
	case escapes[c] != 0:
		c = escapes[c]
	}
	l.at++
	b.WriteByte(c)
}

func (l *lexer) comment(t *Token) {
	l.at += 2
	if l.peek(0) == '[' && (l.peek(1) == '[' || l.peek(1) == '=') {
		l.long(t)
		if t.Broken != "" {
			t.Broken = "unterminated comment"
		}
		return
	}
	for l.at < len(l.text) && l.peek(0) != '\n' && l.peek(0) != '\r' {
		l.at++
	}
}

// long is [[ text ]], with any number of = between the brackets.
func (l *lexer) long(t *Token) {
	from := l.at
	l.at++
	for l.peek(0) == '=' {
		l.at++
	}
	level := l.at - from - 1
	if l.peek(0) != '[' {
		t.Broken = "a long string begins with [[ or [=["
		return
	}
	l.at++
	body := l.text[l.at:]
	end := strings.Index(body, "]"+strings.Repeat("=", level)+"]")
	if end < 0 {
		t.Broken = "unterminated string"
		end = len(body)
		l.at = len(l.text)
	} else {
		l.at += end + level + 2
	}
	t.Value = strings.ReplaceAll(body[:end], "\r\n", "\n")
	t.Value = strings.TrimPrefix(t.Value, "\n")
}
