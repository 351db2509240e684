package lua

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"vsl/lua/bind"
)

// chunk is a text that ran in a session.
type chunk struct {
	text  string
	acts  bool // it did something, which a recipe does only in a flow
	shows bool // it only gave a value
}

// assigned is a chunk that sets one global, which a recipe must declare.
var setsOne = bind.LazyRE(`^([A-Za-z_][A-Za-z0-9_]*)\s*=[^=]`)
var setsFunction = bind.LazyRE(`^function\s+([A-Za-z_][A-Za-z0-9_]*)\s*\(`)

// Saved gives what was declared in the session as a recipe's text. What acted is
// in it as comments, since a recipe only declares while it is read; what only
// showed a value is left out.
func (s *Session) Saved() string {
	var b strings.Builder
	b.WriteString("--- made at the prompt of vsl repl\n")
	known := map[string]bool{}
	for _, c := range s.kept {
		text := strings.TrimSpace(c.text)
		switch {
		case c.shows && !c.acts:
			continue
		case c.acts:
			text = "-- " + strings.ReplaceAll(text, "\n", "\n-- ")
		default:
			for _, re := range []*regexp.Regexp{setsOne(), setsFunction()} {
				if m := re.FindStringSubmatch(text); m != nil && !known[m[1]] {
					known[m[1]] = true
					text = "local " + text
				}
			}
		}
		b.WriteString("\n" + text + "\n")
	}
	return b.String()
}

// Source gives the text of a function that a name stands for, and where it is.
func (s *Session) Source(ctx context.Context, expr string) (text string, err error) {
	err = s.api.S.Do(ctx, func(l *glua.LState) error {
		fn, err := s.compile("repl", expr)
		if err != nil {
			return err
		}
		got, err := s.api.S.Call(l, fn)
		if err != nil {
			return err
		}
		if len(got) == 0 || got[0].Type() != glua.LTFunction {
			return errors.New("this is not a function")
		}
		f := got[0].(*glua.LFunction)
		if f.IsG {
			return errors.New("this function is built in: .doc " + expr + " describes it")
		}
		lines := s.api.S.Source(f.Proto.SourceName)
		from, to := f.Proto.LineDefined, min(f.Proto.LastLineDefined, len(lines))
		if from < 1 || from > to {
			return errors.New("its text is not kept")
		}
		text = fmt.Sprintf("-- %s:%d\n%s\n", f.Proto.SourceName, from, strings.Join(lines[from-1:to], "\n"))
		return nil
	})
	return text, err
}
