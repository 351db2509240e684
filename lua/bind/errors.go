// Package bind turns Lua values into the engine's plain data. Each object of
// the recipe language is one schema: the decoder, its errors, help and
// completion all come from it.
package bind

import (
	"strconv"
	"strings"

	"vsl/engine"
)

// Pos is a line of a recipe.
type Pos = engine.Pos

// Error is a mistake in a recipe: where, what, and what may have been meant.
type Error struct {
	Pos  engine.Pos
	Msg  string
	Hint string // "did you mean ..."; may be empty
	Rule string // which kind of mistake in a table: UnknownKey, MissingKey, or "" for all others
}

// The kinds of mistake in a table that are told apart.
const (
	UnknownKey = "unknown-key"
	MissingKey = "missing-key"
)

func (e *Error) Error() string {
	var b strings.Builder
	if p := e.Pos.String(); p != "" {
		b.WriteString(p + ": ")
	}
	b.WriteString(e.Msg)
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return b.String()
}

// DidYouMean words a suggestion for name from the known names, or gives "".
func DidYouMean(name string, known []string) string {
	if s := engine.Nearest(name, known); s != "" {
		return "did you mean " + strconv.Quote(s) + "?"
	}
	return ""
}
