package main

import (
	"context"

	"github.com/spf13/cobra"

	"vsl/engine"
)

func (a *app) killCommand() *cobra.Command {
	var o engine.KillArgs
	cmd := &cobra.Command{
		Use:   "kill [-s SIGNAL [--all-processes]] NAME…",
		Short: "end guests at once, or send them a signal",
		Long: "Without a signal: ends every process of the guest at once and releases what it held.\n" +
			"With one: sends it to the guest's pid 1, or to every process, and does nothing more.",
		Example: "  vsl kill web1\n  vsl kill -s HUP --all-processes web1",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.runKill(cmd.Context(), args, o) },
	}
	a.guestArgs(cmd, 1)
	cmd.Flags().StringVarP(&o.Signal, "signal", "s", "", "the signal, as in TERM, SIGTERM, 15 or RTMIN+4")
	cmd.Flags().BoolVar(&o.All, "all-processes", false, "send it to every process of the guest")
	_ = cmd.RegisterFlagCompletionFunc("signal", completeSignals) // fails only for flags that do not exist
	return cmd
}

func (a *app) runKill(ctx context.Context, names []string, o engine.KillArgs) error {
	if o.All && o.Signal == "" {
		return &usageError{msg: "--all-processes goes with a signal", hint: "vsl kill NAME ends every process at once"}
	}
	if o.Signal != "" {
		if _, err := engine.ParseSignal(o.Signal); err != nil {
			return &usageError{msg: err.Error()}
		}
	}
	e, err := a.engine(false)
	if err != nil {
		return err
	}
	return each(names, func(name string) error {
		g, err := e.Lookup(name)
		if err != nil {
			return err
		}
		s, err := g.Status(ctx)
		if err != nil {
			return err
		}
		if err := g.Kill(ctx, o); err != nil { // what a dead guest left is released too
			return err
		}
		if s.PID == 0 {
			return notRunning(name)
		}
		return nil
	})
}

func notRunning(name string) error {
	return &engine.OpError{Op: "find pid 1 of guest", Target: name, Err: engine.ErrNotRunning, Hint: "vsl up starts it"}
}
