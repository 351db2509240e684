package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"vsl/engine"
)

// loginShell picks a shell inside the guest, where alone it can be known.
const loginShell = `cd "$HOME" 2>/dev/null || cd /
[ "$USER" = root ] || { [ -x "$SHELL" ] && exec "$SHELL" -l; }
[ -x /bin/bash ] && exec /bin/bash -l
exec /bin/sh -l`

func (a *app) enterCommand() *cobra.Command {
	var user string
	cmd := &cobra.Command{
		Use:   "enter [flags] NAME",
		Short: "a login shell in a guest",
		Long: "Opens a login shell in a running guest, on a terminal made inside it: bash where the guest\n" +
			"has it, else sh. The exit code is the shell's; vsl exec --help names the others.",
		Example: "  vsl enter web1\n  vsl enter -u www-data web1",
		Args:    exactly(1, "a guest"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runOnTerminal(cmd.Context(), args[0], engine.ExecArgs{Argv: []string{"/bin/sh", "-c", loginShell}, User: user})
		},
	}
	cmd.ValidArgsFunction = a.completeOneGuest
	cmd.Flags().StringVarP(&user, "user", "u", "", "log in as this user of the guest, by name or uid (default root)")
	return cmd
}

// runOnTerminal connects a command in a guest with our terminal, which is put
// back whatever happens.
func (a *app) runOnTerminal(ctx context.Context, name string, args engine.ExecArgs) error {
	in, ok1 := a.ui.in.(*os.File)
	out, ok2 := a.ui.rawOut.(*os.File)
	e, err := a.engine(false)
	if err == nil {
		_, err = e.Lookup(name) // before the terminal is touched
	}
	if err == nil && (!ok1 || !ok2 || !isTerminal(in) || !isTerminal(out)) {
		err = &usageError{msg: "standard input and output are not a terminal", hint: "vsl exec runs commands without one"}
	}
	if err != nil {
		a.ui.fail(err)
		return &codeError{125}
	}
	resize, stop := windowSizes(out)
	defer stop()
	fd := int(in.Fd())
	old, err := term.MakeRaw(fd)
	if err != nil {
		a.ui.fail(fmt.Errorf("set up the terminal: %w", err))
		return &codeError{125}
	}
	a.onExit(func() { _ = term.Restore(fd, old) }) // a terminal that went away needs nothing
	args.TTY = &engine.TTY{In: in, Out: out, Resize: resize}
	res, err := a.inGuest(ctx, name, args)
	a.putBack()
	if err != nil {
		a.ui.fail(err)
		return &codeError{engine.ExecCode(err)}
	}
	if res.Code != 0 {
		return &codeError{res.Code}
	}
	return nil
}

// windowSizes tells the size of a terminal now and whenever it changes.
func windowSizes(f *os.File) (sizes <-chan engine.WinSize, stop func()) {
	ch := make(chan engine.WinSize, 1)
	sig := make(chan os.Signal, 1)
	done := make(chan struct{})
	signal.Notify(sig, engine.Resize)
	send := func() {
		w, h, err := term.GetSize(int(f.Fd()))
		if err != nil {
			return
		}
		select {
		case <-ch: // only the newest counts
		default:
		}
		ch <- engine.WinSize{Rows: uint16(h), Cols: uint16(w)}
	}
	send()
	go func() {
		for {
			select {
			case <-sig:
				send()
			case <-done:
				return
			}
		}
	}()
	return ch, func() {
		signal.Stop(sig)
		close(done)
	}
}
