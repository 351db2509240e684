package repl

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/reeflective/readline"
	"golang.org/x/term"
)

// ErrInterrupted is Ctrl-C at the prompt.
var ErrInterrupted = errors.New("interrupted")

const (
	firstPrompt = "vsl> "
	// MorePrompt asks for the rest of a chunk.
	MorePrompt = "  >> "
)

// Reader gives lines of input. It gives ErrInterrupted for Ctrl-C at the prompt.
type Reader interface {
	ReadLine(prompt string) (string, error)
	Close()
}

// NewReader edits lines where in is a terminal that can, and reads plainly
// elsewhere: in pipes, on dumb terminals, in tests. whole says whether a chunk is
// complete; an editor takes more lines until it is.
// names completes; it may be nil.
func NewReader(in io.Reader, out io.Writer, interactive bool, whole func(text string) bool, names Completer) Reader {
	f, ok := in.(*os.File)
	if kind := os.Getenv("TERM"); interactive && ok && f == os.Stdin && term.IsTerminal(int(f.Fd())) && kind != "" && kind != "dumb" {
		return newEditor(whole, names)
	}
	return newPlain(in, out, interactive)
}

// Within gives the reader of a prompt that opens while something of an outer
// prompt's runs: the same plain one, or an editor that takes each line as whole.
func Within(outer Reader) Reader {
	if _, ok := outer.(*editor); ok {
		return newEditor(func(string) bool { return true }, nil)
	}
	return outer
}

// plain reads lines and, when interactive, shows a bare prompt.
type plain struct {
	in     *bufio.Reader
	out    io.Writer
	prompt bool
	sig    chan os.Signal
}

func newPlain(in io.Reader, out io.Writer, prompt bool) *plain {
	p := &plain{in: bufio.NewReader(in), out: out, prompt: prompt, sig: make(chan os.Signal, 1)}
	if prompt {
		// Ctrl-C at the prompt must not end the session and leave its guests unlisted.
		signal.Notify(p.sig, os.Interrupt)
	}
	return p
}

func (p *plain) Close() { signal.Stop(p.sig) }

func (p *plain) ReadLine(prompt string) (string, error) {
	if p.prompt {
		fmt.Fprint(p.out, prompt)
	}
	line, err := p.in.ReadString('\n')
	select {
	case <-p.sig:
		if err == nil {
			return strings.TrimRight(line, "\r\n"), nil
		}
	default:
	}
	if line != "" {
		return strings.TrimRight(line, "\r\n"), nil
	}
	if err != nil && p.prompt {
		fmt.Fprintln(p.out)
	}
	return "", err
}

// Completer gives what the end of a text may go on as: texts that take the place
// of what stands there from the byte from on.
type Completer func(text string) (items []Item, from int)

// Item is one way to go on.
type Item struct{ Text, Doc string }

func completions(names Completer, text string) readline.Completions {
	items, from := names(text)
	// The editor takes words as ended by spaces; here they end at points and brackets too.
	word := strings.LastIndexAny(text, " \t\n") + 1
	before := ""
	if from > word {
		before = text[word:from]
	}
	var pairs []string
	for _, i := range items {
		pairs = append(pairs, before+i.Text, i.Doc)
	}
	return readline.CompleteValuesDescribed(pairs...)
}

// editor edits chunks of several lines with history.
type editor struct {
	shell  *readline.Shell
	prompt string
}

func newEditor(whole func(text string) bool, names Completer) *editor {
	e := &editor{shell: readline.NewShell()}
	e.shell.History.Add("vsl", openHistory(historyFile()))
	if coloured() {
		e.shell.SyntaxHighlighter = highlight
	}
	if names != nil {
		e.shell.Completer = func(line []rune, cursor int) readline.Completions { return completions(names, string(line[:cursor])) }
	}
	e.shell.Prompt.Primary(func() string { return e.prompt })
	e.shell.Prompt.Secondary(func() string { return MorePrompt })
	e.shell.AcceptMultiline = func(line []rune) bool {
		text := strings.TrimSpace(string(line))
		return strings.HasPrefix(text, ".") || whole(text)
	}
	return e
}

func (e *editor) Close() {}

func (e *editor) ReadLine(prompt string) (string, error) {
	e.prompt = prompt
	line, err := e.shell.Readline()
	if errors.Is(err, readline.ErrInterrupt) {
		return "", ErrInterrupted
	}
	return line, err
}
