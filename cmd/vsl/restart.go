package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/spf13/cobra"

	"vsl/engine"
	"vsl/lua"
)

type restartOptions struct{ all, json bool }

func (a *app) restartCommand() *cobra.Command {
	var o restartOptions
	cmd := &cobra.Command{
		Use:   "restart NAME…|RECIPE [NAME…]|--all",
		Short: "shut guests down and bring them up again",
		Long: "Shuts guests down and brings them up again by their recipe as it is now, or, where that is\n" +
			"gone, by the copy kept from their last boot. The recipe is read before anything is shut down.",
		Example: "  vsl restart web1",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.runRestart(cmd.Context(), args, o) },
	}
	cmd.ValidArgsFunction = a.completeGuests
	cmd.Flags().BoolVar(&o.all, "all", false, "every guest")
	cmd.Flags().BoolVar(&o.json, "json", false, "print what was done as JSON")
	return cmd
}

// reboot is what one recipe brings up again.
type reboot struct {
	l     *loaded
	decls []engine.Declared
}

func (a *app) runRestart(ctx context.Context, args []string, o restartOptions) error {
	e, err := a.engine(false)
	if err != nil {
		return err
	}
	names, err := selectGuests(e, args, o.all)
	if err != nil {
		return err
	}
	plan, err := a.planReboots(ctx, e, names)
	if err != nil {
		return err
	}
	flows := &keptFlows{a: a, e: e}
	if _, err := e.Down(ctx, names, engine.DownOptions{Flows: flows.of}); err != nil {
		return err
	}
	var errs []error
	for _, r := range plan {
		errs = append(errs, a.bringUp(ctx, e, r.l, r.decls, nil, 0, o.json))
	}
	return errors.Join(errs...)
}

// planReboots reads every recipe that the guests need, each once.
func (a *app) planReboots(ctx context.Context, e *engine.Engine, names []string) ([]*reboot, error) {
	var plan []*reboot
	byOrigin := map[string]*loaded{}
	wanted := map[*loaded][]string{}
	for _, n := range names {
		origin, _, err := e.Origin(n)
		if err != nil {
			return nil, err
		}
		key := fmt.Sprintf("%s %v %v", origin.Path, origin.Params, origin.AllowHost)
		if origin.Path == "" {
			key = "guest " + n
		}
		l := byOrigin[key]
		if l == nil {
			if l, err = a.loadAgain(ctx, e, n, origin); err != nil {
				return nil, err
			}
			byOrigin[key] = l
			plan = append(plan, &reboot{l: l})
		}
		if _, ok := l.declared(n); !ok {
			return nil, &recipeError{fmt.Errorf("%s: declares no guest %q any more", l.Path, n)}
		}
		wanted[l] = append(wanted[l], n)
	}
	for _, r := range plan {
		if err := r.l.validate(); err != nil {
			return nil, err
		}
		var err error
		if r.decls, err = r.l.guests(wanted[r.l]); err != nil {
			return nil, err
		}
		down := slices.DeleteFunc(slices.Clone(r.decls), func(d engine.Declared) bool { return !slices.Contains(names, d.Spec.Name) })
		if err := e.SecretsAtHand(down); err != nil {
			return nil, err
		}
	}
	return plan, nil
}

// loadAgain reads a guest's recipe as it is now, else as it was kept; a guest
// made without a recipe gets the default flows.
func (a *app) loadAgain(ctx context.Context, e *engine.Engine, name string, origin engine.Origin) (*loaded, error) {
	if origin.Path == "" {
		g, err := e.Lookup(name)
		if err != nil {
			return nil, err
		}
		flows, err := lua.Defaults(lua.Options{Engine: e, Stdout: a.ui.notes(), Stderr: a.ui.notes()})
		if err != nil {
			return nil, err
		}
		r := &lua.Recipe{Path: "guest " + name, Guests: []engine.Declared{{Spec: g.Spec(), Flows: flows}}}
		return &loaded{Recipe: r}, nil
	}
	file, err := findRecipe(origin.Path)
	if err == nil {
		return a.load(ctx, e, file, recorded(origin))
	}
	l, kerr := a.loadKept(ctx, e, name)
	if errors.Is(kerr, fs.ErrNotExist) {
		return nil, err
	}
	if kerr == nil {
		a.ui.note("%s is gone: using the copy kept from the last boot of %s", origin.Path, name)
	}
	return l, kerr
}
