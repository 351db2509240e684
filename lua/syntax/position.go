package syntax

import (
	"sort"
	"strings"
	"unicode/utf8"
)

// Lines finds lines and columns in a text.
type Lines struct {
	text   string
	starts []int
}

// NewLines looks at a text. As for the interpreter, \r\n is one end of a line, and
// so is \r alone.
func NewLines(text string) *Lines {
	l := &Lines{text: text, starts: []int{0}}
	for i := 0; i < len(text); i++ {
		if text[i] == '\n' || text[i] == '\r' {
			if i+1 < len(text) && text[i] == '\r' && text[i+1] == '\n' {
				i++
			}
			l.starts = append(l.starts, i+1)
		}
	}
	return l
}

// Line gives the number of an offset's line, from 0, and where that begins.
func (l *Lines) Line(at int) (n, start int) {
	n = sort.SearchInts(l.starts, at+1) - 1
	return n, l.starts[n]
}

// At gives line and column of an offset, both from 1; columns count characters.
func (l *Lines) At(at int) (line, col int) {
	at = min(max(at, 0), len(l.text))
	n, start := l.Line(at)
	return n + 1, utf8.RuneCountInString(l.text[start:at]) + 1
}

// UTF16 gives line and column of an offset as editors count: both from 0, columns
// in units of UTF-16.
func (l *Lines) UTF16(at int) (line, col int) {
	at = min(max(at, 0), len(l.text))
	n, start := l.Line(at)
	for _, r := range l.text[start:at] {
		if col++; r > 0xffff {
			col++
		}
	}
	return n, col
}

// FromUTF16 is the way back. What is outside the text becomes its nearest place.
func (l *Lines) FromUTF16(line, col int) int {
	if line < 0 {
		return 0
	}
	if line >= len(l.starts) {
		return len(l.text)
	}
	at := l.starts[line]
	for _, r := range l.Text(line) {
		if col <= 0 {
			break
		}
		if col--; r > 0xffff {
			col--
		}
		if r == utf8.RuneError {
			_, size := utf8.DecodeRuneInString(l.text[at:])
			at += size
			continue
		}
		at += utf8.RuneLen(r)
	}
	return at
}

// Text gives a line without its end; lines count from 0.
func (l *Lines) Text(line int) string {
	if line < 0 || line >= len(l.starts) {
		return ""
	}
	end := len(l.text)
	if line+1 < len(l.starts) {
		end = l.starts[line+1]
	}
	return strings.TrimRight(l.text[l.starts[line]:end], "\r\n")
}

// Count is how many lines there are.
func (l *Lines) Count() int { return len(l.starts) }

// Span gives the part of a line that is not space.
func (l *Lines) Span(line int) Span {
	text := l.Text(line)
	if line < 0 || line >= len(l.starts) {
		return Span{len(l.text), len(l.text)}
	}
	trimmed := strings.TrimLeft(text, " \t")
	from := l.starts[line] + len(text) - len(trimmed)
	return Span{from, from + len(strings.TrimRight(trimmed, " \t"))}
}
