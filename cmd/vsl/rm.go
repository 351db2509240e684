package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"vsl/engine"
)

type rmOptions struct {
	selection
	force int
}

func (a *app) rmCommand() *cobra.Command {
	var o rmOptions
	cmd := &cobra.Command{
		Use:   "rm [-f] NAME…|RECIPE [NAME…]|--all",
		Short: "remove guests and all they wrote",
		Long: "Removes guests and all they wrote. A running guest is refused without -f, which shuts it down first.\n" +
			"A guest whose destroy flow fails is kept, and so is one whose record or kept recipe cannot be read, as its\n" +
			"destroy flow is not known then: -ff removes it all the same. --all never removes what has no readable record.",
		Example: "  vsl rm web1\n  vsl rm -f --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.debugged(o.debugOptions, func() error { return a.runRm(cmd.Context(), args, o) })
		},
	}
	cmd.ValidArgsFunction = a.completeGuests
	cmd.Flags().CountVarP(&o.force, "force", "f", "shut running guests down first; twice, remove also what its destroy flow fails for")
	o.flags(cmd)
	return cmd
}

func (a *app) runRm(ctx context.Context, args []string, o rmOptions) error {
	e, names, bad, err := a.selected(args, o.selection)
	if err != nil {
		return err
	}
	if o.force == 0 {
		if err := errors.Join(running(ctx, e, names)...); err != nil {
			return err
		}
	}
	if o.force > 1 && !o.all {
		for _, d := range bad {
			names = append(names, d.Guest)
		}
		bad = nil
	}
	err = a.bringDown(ctx, e, names, engine.DownOptions{Remove: true, Force: o.force > 1}, o.json)
	return errors.Join(err, joined(bad))
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
