package runtime

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"vsl/engine"
)

// maxColumns is how much of a line an excerpt shows.
const maxColumns = 100

// Line is one line of a recipe, for people to read.
type Line struct {
	No   int
	Text string
	Here bool // the line that is meant
}

// excerpt gives a line of a recipe with the one before and the one behind it. It
// knows only what was read as a recipe, or a module of one.
func (s *State) excerpt(pos engine.Pos) []Line {
	var out []Line
	for no := pos.Line - 1; no <= pos.Line+1; no++ {
		if text, ok := s.line(engine.Pos{File: pos.File, Line: no}); ok && (no == pos.Line || strings.TrimSpace(text) != "") {
			out = append(out, Line{No: no, Text: text, Here: no == pos.Line})
		}
	}
	return out
}

func (s *State) line(pos engine.Pos) (string, bool) {
	src := s.sources[pos.File]
	if src == nil || src.stdlib || pos.File == evalName || pos.Line < 1 {
		return "", false
	}
	rest := src.text
	for range pos.Line - 1 {
		_, after, found := bytes.Cut(rest, []byte("\n"))
		if !found {
			return "", false
		}
		rest = after
	}
	if len(rest) == 0 { // behind the last line's end
		return "", false
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	return shown(line), true
}

// shown cuts a line to what fits a screen, without what a terminal would obey.
func shown(line []byte) string {
	if len(line) > 4*maxColumns {
		line = line[:4*maxColumns]
	}
	text := strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r == utf8.RuneError {
			return -1
		}
		return r
	}, strings.ReplaceAll(string(line), "\t", "    "))
	if runes := []rune(text); len(runes) > maxColumns {
		text = string(runes[:maxColumns-1]) + "…"
	}
	return strings.TrimRight(text, " ")
}

// illustrate adds the recipe's lines to an error.
func (s *State) illustrate(e *RuntimeError) {
	e.Excerpt = s.excerpt(e.Pos)
	for i, f := range e.Traceback {
		e.Traceback[i].Text, _ = s.line(f.Pos)
	}
}
