package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"vsl/engine"
)

type rmOptions struct {
	selection
	force bool
}

func (a *app) rmCommand() *cobra.Command {
	var o rmOptions
	cmd := &cobra.Command{
		Use:     "rm [-f] NAME…|RECIPE [NAME…]|--all",
		Short:   "remove guests and all they wrote",
		Long:    "Removes guests and all they wrote. A running guest is refused without -f, which shuts it down first.",
		Example: "  vsl rm web1\n  vsl rm -f --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.debugged(o.debugOptions, func() error { return a.runRm(cmd.Context(), args, o) })
		},
	}
	cmd.ValidArgsFunction = a.completeGuests
	cmd.Flags().BoolVarP(&o.force, "force", "f", false, "shut running guests down first")
	o.flags(cmd)
	return cmd
}

func (a *app) runRm(ctx context.Context, args []string, o rmOptions) error {
	e, names, err := a.selected(args, o.selection)
	if err != nil {
		return err
	}
	if !o.force {
		if err := errors.Join(running(ctx, e, names)...); err != nil {
			return err
		}
	}
	return a.bringDown(ctx, e, names, engine.DownOptions{Remove: true, Force: o.force}, o.json)
}

// running gives an error for each guest that runs.
func running(ctx context.Context, e *engine.Engine, names []string) (errs []error) {
	for _, n := range names {
		g, err := e.Lookup(n)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s, err := g.Status(ctx)
		if err == nil && s.PID != 0 {
			err = &engine.OpError{Op: "remove guest", Target: n, Err: engine.ErrRunning, Hint: "vsl down " + n + " first, or vsl rm -f"}
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}
