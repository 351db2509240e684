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

	"vsl/lua"
)

var errInterrupted = errors.New("interrupted")

const (
	firstPrompt = "vsl> "
	morePrompt  = "  >> "
)

// reader gives lines of input; more says that a chunk has begun. It gives
// errInterrupted for Ctrl-C at the prompt.
type reader interface {
	Line(more bool) (string, error)
	Close()
}

// newReader edits lines where in is a terminal that can, and reads plainly
// elsewhere: in pipes, on dumb terminals, in tests.
func newReader(in io.Reader, out io.Writer, s *lua.Session, interactive bool) reader {
	f, ok := in.(*os.File)
	if kind := os.Getenv("TERM"); interactive && ok && f == os.Stdin && term.IsTerminal(int(f.Fd())) && kind != "" && kind != "dumb" {
		return newEditor(s)
	}
	return newPlain(in, out, interactive)
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

func (p *plain) Line(more bool) (string, error) {
	if p.prompt {
		text := firstPrompt
		if more {
			text = morePrompt
		}
		fmt.Fprint(p.out, text)
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

// editor edits chunks of several lines with history.
type editor struct{ shell *readline.Shell }

func newEditor(s *lua.Session) *editor {
	sh := readline.NewShell()
	sh.Prompt.Primary(func() string { return firstPrompt })
	sh.Prompt.Secondary(func() string { return morePrompt })
	sh.AcceptMultiline = func(line []rune) bool {
		text := strings.TrimSpace(string(line))
		return strings.HasPrefix(text, ".") || s.Complete(text)
	}
	return &editor{sh}
}

func (e *editor) Close() {}

func (e *editor) Line(bool) (string, error) {
	line, err := e.shell.Readline()
	if errors.Is(err, readline.ErrInterrupt) {
		return "", errInterrupted
	}
	return line, err
}
