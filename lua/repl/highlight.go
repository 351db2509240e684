package repl

import (
	"os"
	"strings"

	"vsl/lua/syntax"
)

// colours are the terminal's for each kind of token (ECMA-48, SGR).
var colours = map[syntax.Kind]string{
	syntax.Keyword: "1", syntax.String: "32", syntax.Number: "36", syntax.Comment: "90", syntax.Bad: "31",
}

// highlight colours what is typed. It changes no character of it.
func highlight(line []rune) string {
	text := string(line)
	if isCommand(text) {
		return text
	}
	var b strings.Builder
	at := 0
	for _, t := range syntax.Lex(text) {
		b.WriteString(text[at:t.From])
		if c := colours[t.Kind]; c != "" && t.From < t.To {
			b.WriteString("\x1b[" + c + "m" + text[t.From:t.To] + "\x1b[0m")
		} else {
			b.WriteString(text[t.From:t.To])
		}
		at = t.To
	}
	return b.String() + text[at:]
}

// coloured says whether colours are wanted (no-color.org).
func coloured() bool { return os.Getenv("NO_COLOR") == "" } //nolint:misspell // the variable is called so
