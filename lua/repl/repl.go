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

	"vsl/engine"
	"vsl/lua"
)

const help = `Type Lua: expressions print their value, and a chunk may span lines.

  guest "x" { command = { "sleep", "infinity" } }   declare a guest
  up "x"    down "x"                                bring it up and down with its flows
  g = context { name = "y" }                        or step by step, with the primitives:
  cow_clone { g }  limit { g, memory = "64M" }  bind_ip { g, ip = "127.77.0.9" }
  boot { g, command = { "sleep", "infinity" } }  kill { g }
  g:exec { "id" }                                   act inside it

  .guests  list the guests declared here
  .help    show this
  .quit    leave; guests go on running (also Ctrl-D)

Ctrl-C ends what is running.
`

// Run reads chunks from in until it ends, .quit, or the context ends. Values
// go to out, errors to errOut; an error ends only its own chunk. The result is
// the last chunk's error when not interactive, so that a script's failure shows.
func Run(ctx context.Context, in io.Reader, out, errOut io.Writer, o lua.Options, interactive bool) error {
	if o.Stdout == nil {
		o.Stdout = out
	}
	if o.Stderr == nil {
		o.Stderr = errOut
	}
	s, err := lua.NewSession(ctx, o)
	if err != nil {
		return err
	}
	defer s.Close()
	r := &repl{s: s, out: out, errOut: errOut, interactive: interactive}
	lines := NewReader(in, out, interactive, s.Complete)
	defer lines.Close()
	if interactive {
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
}

// loop gathers lines into chunks and runs them.
func (r *repl) loop(ctx context.Context, lines Reader) (last error) {
	chunk := ""
	for ctx.Err() == nil {
		prompt := firstPrompt
		if chunk != "" {
			prompt = MorePrompt
		}
		line, err := lines.ReadLine(prompt)
		if errors.Is(err, ErrInterrupted) {
			chunk = ""
			continue
		}
		if err != nil && line == "" {
			if chunk != "" { // what is missing will not come any more
				last = r.run(ctx, chunk)
			}
			if !errors.Is(err, io.EOF) {
				return err
			}
			break
		}
		if chunk == "" && strings.HasPrefix(strings.TrimSpace(line), ".") {
			if quit := r.command(ctx, strings.TrimSpace(line)); quit {
				break
			}
			continue
		}
		chunk += line + "\n"
		if strings.TrimSpace(chunk) == "" {
			chunk = ""
			continue
		}
		if !r.s.Complete(chunk) {
			continue
		}
		last = r.run(ctx, chunk)
		chunk = ""
	}
	if r.interactive {
		return nil
	}
	return last
}

// run evaluates a chunk; Ctrl-C cancels it.
func (r *repl) run(ctx context.Context, chunk string) error {
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
	values, err := r.s.Eval(ctx, chunk)
	for _, v := range values {
		fmt.Fprintln(r.out, v)
	}
	if err != nil {
		r.show(err)
	}
	return err
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

// command runs a line that begins with a dot.
func (r *repl) command(ctx context.Context, line string) (quit bool) {
	switch line {
	case ".quit", ".q", ".exit":
		return true
	case ".help", ".h":
		fmt.Fprint(r.out, help)
	case ".guests":
		r.guests(ctx)
	default:
		fmt.Fprintf(r.errOut, "error: unknown command %s (.help, .guests, .quit)\n", line)
	}
	return false
}

func (r *repl) guests(ctx context.Context) {
	running := map[string]bool{}
	for _, n := range r.s.Running(ctx) {
		running[n] = true
	}
	all := r.s.Guests()
	for _, d := range all {
		state := engine.StateDeclared
		if running[d.Spec.Name] {
			state = engine.StateRunning
		}
		fmt.Fprintf(r.out, "%s\t%s\n", d.Spec.Name, state)
		delete(running, d.Spec.Name)
	}
	for n := range running {
		fmt.Fprintf(r.out, "%s\t%s\n", n, engine.StateRunning)
	}
	if len(all) == 0 && len(running) == 0 {
		fmt.Fprintln(r.out, "no guests are declared here")
	}
}
