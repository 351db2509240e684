// Package repl is a prompt at which recipes' language is typed: guests are
// declared, and the primitives act at once.
package repl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"vsl/lua"
	"vsl/lua/syntax"
)

// Options say what a prompt works with.
type Options struct {
	lua.Options
	Host        Host
	Interactive bool
	// Lines gives the reader of lines; nil makes one. whole says whether a chunk is complete.
	Lines func(whole func(text string) bool, names Completer) Reader
	// Begin runs first, in the session: it may load a recipe. May be nil.
	Begin func(ctx context.Context, s *lua.Session) error
}

// Run reads chunks from in until it ends, .quit, or the context ends. Values
// go to out, errors to errOut; an error ends only its own chunk. The result is
// the last chunk's error when not interactive, so that a script's failure shows.
func Run(ctx context.Context, in io.Reader, out, errOut io.Writer, o Options) error {
	if o.Stdout == nil {
		o.Stdout = out
	}
	if o.Stderr == nil {
		o.Stderr = errOut
	}
	s, err := lua.NewSession(ctx, o.Options)
	if err != nil {
		return err
	}
	defer s.Close()
	if o.Begin != nil {
		if err := o.Begin(ctx, s); err != nil {
			return err
		}
	}
	r := &repl{s: s, out: out, errOut: errOut, interactive: o.Interactive, host: o.Host}
	if o.Lines == nil {
		o.Lines = func(whole func(string) bool, names Completer) Reader {
			return NewReader(in, out, o.Interactive, whole, names)
		}
	}
	lines := o.Lines(s.Complete, r.complete)
	defer lines.Close()
	if o.Interactive {
		fmt.Fprintln(out, "vsl: Lua with the six primitives. .help says more.")
	}
	err = r.loop(ctx, lines)
	if left := s.Running(context.WithoutCancel(ctx)); len(left) > 0 {
		fmt.Fprintf(errOut, "still running: %s\n", strings.Join(left, ", "))
	}
	return err
}

type repl struct {
	s           *lua.Session
	out, errOut io.Writer
	interactive bool
	host        Host
	past        string // chunks that ran
	toldLocal   bool   // that a local ends with its chunk
}

// loop gathers lines into chunks and runs them.
func (r *repl) loop(ctx context.Context, lines Reader) (last error) {
	text := ""
	for ctx.Err() == nil {
		prompt := firstPrompt
		if text != "" {
			prompt = MorePrompt
		}
		line, err := lines.ReadLine(prompt)
		if errors.Is(err, ErrInterrupted) {
			text = ""
			continue
		}
		if err != nil && line == "" {
			if text != "" { // what is missing will not come any more
				last = r.run(ctx, text)
			}
			if !errors.Is(err, io.EOF) {
				return err
			}
			break
		}
		var done bool
		if text, done = r.line(text, line); !done {
			continue
		}
		last = r.run(ctx, text)
		text = ""
		if errors.Is(last, errQuit) {
			last = nil
			break
		}
	}
	if r.interactive {
		return nil
	}
	return last
}

// line adds a line to a text, and says whether it can run now.
func (r *repl) line(text, line string) (string, bool) {
	if text == "" && isCommand(line) {
		return line, true
	}
	text += line + "\n"
	if strings.TrimSpace(text) == "" {
		return "", false
	}
	return text, r.s.Complete(text)
}

func isCommand(text string) bool { return strings.HasPrefix(strings.TrimSpace(text), ".") }

// run does what a text says and shows what came of it.
func (r *repl) run(ctx context.Context, text string) error {
	var err error
	if isCommand(text) {
		err = r.command(ctx, strings.TrimSpace(text))
	} else {
		err = r.guarded(ctx, func(ctx context.Context) error {
			values, err := r.s.Eval(ctx, text)
			for _, v := range values {
				fmt.Fprintln(r.out, v)
			}
			if err == nil {
				r.remember(text)
				r.noteLocal(text)
			}
			return err
		})
	}
	if err != nil && !errors.Is(err, errQuit) {
		r.show(err)
	}
	return err
}

// noteLocal tells once who makes a local for a later chunk that it is gone by then.
func (r *repl) noteLocal(text string) {
	body := syntax.Parse(text).Body
	if r.toldLocal || body == nil || len(body.Stmts) != 1 {
		return
	}
	if _, local := body.Stmts[0].(*syntax.LocalStmt); local {
		r.toldLocal = true
		fmt.Fprintln(r.errOut, "note: a local ends with its line; leave out local to keep it")
	}
}

// guarded runs f so that Ctrl-C cancels it.
func (r *repl) guarded(ctx context.Context, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if r.interactive {
		sig := make(chan os.Signal, 1)
		signal.Notify(sig, os.Interrupt)
		defer signal.Stop(sig)
		go func() {
			select {
			case <-sig:
				cancel(ErrInterrupted)
			case <-ctx.Done():
			}
		}()
	}
	return f(ctx)
}

// show prints an error, and for one with a history the calls that led to it.
func (r *repl) show(err error) {
	fmt.Fprintln(r.errOut, "error:", err)
	var re *lua.RuntimeError
	if errors.As(err, &re) && len(re.Traceback) > 1 {
		for _, f := range re.Traceback {
			fmt.Fprintln(r.errOut, "  "+f.String())
		}
	}
}
