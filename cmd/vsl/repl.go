package main

import (
	"context"
	"os/signal"

	"github.com/spf13/cobra"

	"vsl/engine"
	"vsl/lua"
	"vsl/lua/repl"
)

func (a *app) replCommand() *cobra.Command {
	var allowHost bool
	cmd := &cobra.Command{
		Use:   "repl",
		Short: "the primitives at a prompt",
		Long: "Reads Lua from standard input and runs it at once: guests are declared, and the six primitives act.\n" +
			".help at the prompt says more. Without a terminal it runs its input and exits with what the last\n" +
			"chunk's end was.",
		Example: "  vsl repl\n  echo 'print(1 + 1)' | vsl repl",
		Args:    exactly(0, ""),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.runRepl(allowHost) },
	}
	cmd.Flags().BoolVar(&allowHost, "allow-host", false, "allow access to files of the host outside the current folder")
	return cmd
}

// runRepl leaves Ctrl-C to the prompt, where it ends one chunk and not the session.
func (a *app) runRepl(allowHost bool) error {
	a.stop()
	ctx, stop := signal.NotifyContext(context.Background(), engine.Terminate)
	defer stop()
	e, err := a.engine(false)
	if err != nil {
		return err
	}
	flows := &keptFlows{a: a, e: e}
	o := lua.Options{Engine: e, AllowHost: allowHost, Dir: ".", Stdout: a.ui.results(), Stderr: a.ui.notes(),
		Up: func(ctx context.Context, d engine.Declared) error {
			_, err := e.Up(ctx, []engine.Declared{d}, engine.UpOptions{})
			a.ui.live.end()
			return err
		},
		Down: func(ctx context.Context, name string) error {
			_, err := e.Down(ctx, []string{name}, engine.DownOptions{Flows: flows.of})
			a.ui.live.end()
			return err
		}}
	interactive := isTerminal(a.ui.in)
	err = repl.Run(ctx, a.ui.in, a.ui.results(), a.ui.notes(), o, interactive)
	if err != nil && !interactive {
		return &codeError{exitCode(err)} // the prompt has printed it
	}
	return err
}
