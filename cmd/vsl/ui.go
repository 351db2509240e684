package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/term"

	"vsl/engine"
	"vsl/lua"
)

// All that vsl prints goes through this file, by these rules:
//
//   - Results go to standard output, all else to standard error.
//   - A message begins with "vsl: ", in lower case, without a full stop. What
//     can be done about it stands on a line of its own below it.
//   - Colours and control codes are for terminals only, and not where they are unwanted.
//   - What takes longer than a second says what it is at: on a terminal in one
//     line that is rewritten, elsewhere in plain lines.
//   - What a guest wrote, or a recipe prints, never reaches a terminal with its control codes.
//   - What it prints holds no secret that vsl has read.
//   - A result that could not be written is a failure.
type ui struct {
	in               io.Reader
	out, err         io.Writer
	rawOut           io.Writer // standard output itself: a command's in a guest, or a terminal
	lost             *lost     // what out could not write
	outTerm, errTerm bool
	colour           bool
	quiet            bool

	mu   sync.Mutex
	live *live
}

func newUI(in io.Reader, out, err io.Writer) *ui {
	u := &ui{in: in, err: err, rawOut: out, lost: &lost{w: out}, outTerm: isTerminal(out), errTerm: isTerminal(err)}
	u.out = u.lost
	u.colour = u.outTerm && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" //nolint:misspell // the variable is called so
	u.live = newLive(u)
	return u
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// close ends the live line.
func (u *ui) close() { u.live.end() }

// printf prints a result.
func (u *ui) printf(format string, args ...any) { u.write(u.out, fmt.Sprintf(format, args...)) }

// note tells something by the way; --quiet keeps it back.
func (u *ui) note(format string, args ...any) {
	if !u.quiet {
		u.write(u.err, fmt.Sprintf("vsl: "+format+"\n", args...))
	}
}

// json prints a result for programs.
func (u *ui) json(v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	u.write(u.out, string(data)+"\n")
	return nil
}

const (
	maxExcerpts = 3 // errors that are shown with the recipe's text, so that all fit a screen
	maxCalls    = 6 // calls that led to an error
)

// fail prints each of the errors that err joins, with the recipe's lines and its hint.
func (u *ui) fail(err error) {
	all := flatten(err)
	for _, e := range all {
		text, hint := explain(e)
		out := "vsl: " + clean(text) + "\n"
		var rt *lua.RuntimeError
		if errors.As(e, &rt) {
			if len(all) <= maxExcerpts {
				out += excerpt(rt.Excerpt)
			}
			out += calls(rt.Traceback)
		}
		if hint != "" {
			out += "     " + clean(hint) + "\n"
		}
		u.write(u.err, out)
	}
}

// excerpt shows lines of a recipe with their numbers, the one that is meant with a mark.
func excerpt(lines []lua.Line) string {
	out := ""
	for _, l := range lines {
		mark := " "
		if l.Here {
			mark = ">"
		}
		out += strings.TrimRight(fmt.Sprintf("   %s %4d | %s", mark, l.No, l.Text), " ") + "\n"
	}
	return out
}

// calls shows the calls that led to an error, the innermost of which the error names.
func calls(frames []lua.Frame) string {
	out := ""
	for i, f := range frames {
		switch {
		case i == 0:
			continue
		case i > maxCalls:
			return out + fmt.Sprintf("     and %d more calls\n", len(frames)-i)
		}
		out += "     called from " + clean(f.String()) + "\n"
		if text := strings.TrimSpace(f.Text); text != "" {
			out += "          | " + text + "\n"
		}
	}
	return out
}

// explain takes an error apart into its text and its hint.
func explain(err error) (text, hint string) {
	text = err.Error()
	var usage *usageError
	var op *engine.OpError
	var spec *engine.SpecError
	var bad *lua.Mistake
	switch {
	case errors.As(err, &usage):
		hint = usage.hint
	case errors.As(err, &bad):
		hint = bad.Hint
	case errors.As(err, &spec):
		hint = spec.Hint
	case errors.As(err, &op):
		for hint = op.Hint; hint == "" && errors.As(op.Err, &op); {
			hint = op.Hint
		}
	}
	text = strings.Replace(text, " ("+hint+")", "", 1)
	if hint == "" && errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		hint = "vsl acts as root: try it with sudo"
	}
	return text, hint
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		var r *recipeError
		if errors.As(err, &r) {
			return flatten(r.err)
		}
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}

// table prints rows in columns; the last one is not padded.
func (u *ui) table(rows [][]string) {
	u.write(u.out, u.columns(rows))
}

func (u *ui) columns(rows [][]string) string {
	var width []int
	for _, r := range rows {
		for i, c := range r {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	for _, r := range rows {
		var line strings.Builder
		for i, c := range r {
			c = clean(c)
			pad := width[i] - utf8.RuneCountInString(c)
			if i == 0 {
				c = u.paint(c)
			}
			line.WriteString(c)
			if i < len(r)-1 {
				line.WriteString(strings.Repeat(" ", max(0, pad)+2))
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

// colours of the marks that lines begin with.
var colours = map[string]string{"+": "32", ">": "32", "~": "33", "!": "33", "-/+": "33", "=": "2", "-": "36", "x": "31", "ok": "32", "no": "31",
	engine.AuditOpen: "31", engine.AuditIsolated: "32", engine.AuditLimited: "32", engine.AuditShared: "33"}

func (u *ui) paint(mark string) string {
	if c := colours[mark]; u.colour && c != "" {
		return "\x1b[" + c + "m" + mark + "\x1b[0m"
	}
	return mark
}

// write writes a whole text, with the live line out of its way.
func (u *ui) write(w io.Writer, text string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.live.clear()
	_, _ = io.WriteString(w, engine.Redact(text)) // what is lost of results, lost remembers
}

// lost is a writer that remembers what went wrong first. A reader that went away has
// seen enough, and is no mistake of ours.
type lost struct {
	w   io.Writer
	mu  sync.Mutex
	err error
}

func (l *lost) Write(p []byte) (int, error) {
	n, err := l.w.Write(p)
	if err != nil && !engine.ReaderGone(err) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.err == nil {
			l.err = fmt.Errorf("write standard output: %w", cause(err))
		}
	}
	return n, err
}

// failure is what went wrong, if something did.
func (l *lost) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// notes and results are standard error and standard output for others to write to.
func (u *ui) notes() io.Writer   { return stream{u, u.err} }
func (u *ui) results() io.Writer { return stream{u, u.out} }

// luaNotes and luaResults are the same for Lua code: a recipe may be somebody else's,
// and prints what guests wrote, so it is held to what a guest is.
func (u *ui) luaNotes() io.Writer   { return harmless(u.notes(), u.errTerm) }
func (u *ui) luaResults() io.Writer { return harmless(u.results(), u.outTerm) }

type stream struct {
	u *ui
	w io.Writer
}

func (s stream) Write(p []byte) (int, error) {
	s.u.write(s.w, string(p))
	return len(p), nil
}

// clean takes out of a text what a terminal would obey.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (r < 0x20 || r >= 0x7f && r < 0xa0) {
			return -1
		}
		return r
	}, s)
}
