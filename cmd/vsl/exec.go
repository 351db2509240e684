package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vsl/engine"
)

type execOptions struct {
	env     []string
	dir     string
	user    string
	timeout time.Duration
	tty     bool
}

func (a *app) execCommand() *cobra.Command {
	var o execOptions
	cmd := &cobra.Command{
		Use:   "exec [flags] NAME [--] COMMAND [ARG…]",
		Short: "run a command in a guest",
		Long: "Runs a command in a running guest: in its context, below its limits and its system call filter.\n" +
			"The exit code is the command's own, 128+n when signal n ended it, 127 when it was not found,\n" +
			"126 when it cannot be executed, 124 when --timeout ended it, and 125 when vsl itself failed,\n" +
			"also because there is no such guest, it does not run, or output was lost.\n\n" +
			"Input and output go through pipes of vsl's own. What the command does not read of a file or a\n" +
			"pipe is left to others, as in a loop over a list, unless it has read 64 KiB of the pipe.\n" +
			"What it leaves running loses its output half a second after the command's end: redirect it.\n\n" +
			"INT, TERM, HUP, QUIT, USR1, USR2, WINCH, TSTP and CONT are passed on to the command's process\n" +
			"group; a second INT or TERM kills it and all that it started, and so does --timeout.",
		Example: "  vsl exec web1 systemctl is-system-running\n  vsl exec -u www-data -w /srv web1 -- sh -c 'ls | wc -l'",
		Args:    atLeast(2, "a guest and a command"),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.runExec(cmd.Context(), args[0], args[1:], o) },
	}
	cmd.ValidArgsFunction = a.completeOneGuest
	f := cmd.Flags()
	f.SetInterspersed(false) // what follows NAME belongs to the command
	f.StringArrayVarP(&o.env, "env", "e", nil, "set a variable: -e NAME=value (repeatable)")
	f.StringVarP(&o.dir, "workdir", "w", "", "start in this folder (default /)")
	f.StringVarP(&o.user, "user", "u", "", "run as this user of the guest, by name or uid (default root)")
	f.DurationVar(&o.timeout, "timeout", 0, "kill the command after this time, as in 30s")
	f.BoolVarP(&o.tty, "tty", "t", false, "give the command a terminal of the guest's own")
	return cmd
}

func (a *app) runExec(ctx context.Context, name string, argv []string, o execOptions) error {
	if argv[0] == "--" {
		argv = argv[1:]
	}
	if len(argv) == 0 {
		return &usageError{msg: "vsl exec needs a command", hint: "vsl enter gives a shell"}
	}
	env, err := variables(o.env)
	if err != nil {
		return err
	}
	args := engine.ExecArgs{Argv: argv, Env: env, Dir: o.dir, User: o.user, Timeout: o.timeout}
	if o.tty {
		return a.runOnTerminal(ctx, name, args)
	}
	args.Stdin, args.Stdout, args.Stderr = a.ui.in, a.ui.guestOutput(), a.ui.guestErrors()
	if a.ui.oneOutput() {
		args.Stderr = args.Stdout
	}
	return a.runCommand(ctx, name, args)
}

// runCommand runs a command in a guest and makes its status ours.
func (a *app) runCommand(ctx context.Context, name string, args engine.ExecArgs) error {
	res, err := a.inGuest(ctx, name, args)
	if err == nil {
		if res.Code != 0 {
			return &codeError{res.Code}
		}
		return nil
	}
	code := engine.ExecCode(err)
	var early *engine.Signalled
	switch {
	case errors.As(err, &early):
		return &codeError{128 + early.Signal}
	case errors.Is(err, context.DeadlineExceeded):
		code, err = 124, fmt.Errorf("%s in guest %s: still running after %s, killed", args.Argv[0], name, args.Timeout)
	case code == 127:
		err = fmt.Errorf("%s: no such command in guest %s", args.Argv[0], name)
	case code == 126:
		err = fmt.Errorf("%s: cannot be executed in guest %s: %w", args.Argv[0], name, cause(err))
	}
	a.ui.fail(err)
	return &codeError{code}
}

// cause is the error at the bottom of err.
func cause(err error) error {
	for in := errors.Unwrap(err); in != nil; in = errors.Unwrap(err) {
		err = in
	}
	return err
}

func (a *app) inGuest(ctx context.Context, name string, args engine.ExecArgs) (engine.ExecResult, error) {
	e, err := a.engine(false)
	if err != nil {
		return engine.ExecResult{}, err
	}
	g, err := e.Lookup(name)
	if err != nil {
		return engine.ExecResult{}, err
	}
	signals, stop := a.passSignals()
	defer stop()
	args.Signals = signals
	return g.Exec(ctx, args)
}

// variables reads NAME=value, or NAME for a variable of our own.
func variables(list []string) (map[string]string, error) {
	env := map[string]string{}
	for _, kv := range list {
		k, v, ok := strings.Cut(kv, "=")
		if k == "" {
			return nil, &usageError{msg: fmt.Sprintf("-e %s: not of the form NAME=value", kv)}
		}
		if !ok {
			v = os.Getenv(k)
		}
		env[k] = v
	}
	return env, nil
}
