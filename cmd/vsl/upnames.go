package main

import (
	"context"
	"errors"

	"vsl/engine"
)

// namesGuest says whether what may be a recipe names guests of this host instead:
// it is no recipe, and a guest or pool is called so. Recipes win, as they do with all
// verbs that take one.
func namesGuest(e *engine.Engine, arg string) bool {
	if _, err := findRecipe(arg); err == nil {
		return false
	}
	if _, err := e.Lookup(arg); err == nil || errors.As(err, new(*engine.Damage)) {
		return true
	}
	of, err := e.PoolGuests(arg)
	return err == nil && len(of) > 0
}

// runUpNames brings up guests of this host by the recipe that each came up with
// last, as it is now, else as it was kept.
func (a *app) runUpNames(ctx context.Context, e *engine.Engine, args []string, o upOptions) error {
	if len(o.params) > 0 || o.file != "" || o.allowHost {
		return &usageError{msg: "a guest that is named comes up with what its recipe was given last: -p, --params and --allow-host go with a recipe",
			hint: "vsl up RECIPE takes them; vsl status tells a guest's recipe"}
	}
	names, bad, err := selectGuests(e, args, o.all)
	if err != nil {
		return err
	}
	if len(bad) > 0 && !o.all {
		return joined(bad)
	}
	if names, err = withoutSpare(ctx, e, names, args); err != nil {
		return err
	}
	if o.all {
		if names, err = stopped(ctx, e, names); err != nil {
			return err
		}
		if len(names) == 0 {
			if len(bad) > 0 {
				return joined(bad)
			}
			a.ui.note("every guest runs, or there is none")
		}
	}
	names, left := withoutRecipe(e, "bring up", names)
	left = errors.Join(left, joined(bad))
	if left != nil && !o.all {
		return left
	}
	plan, refused, err := a.planReboots(ctx, e, "bring up", names, args)
	if err != nil {
		return err
	}
	if refused != nil && !o.all {
		return refused
	}
	errs := []error{left, refused}
	for _, r := range plan {
		errs = append(errs, a.bringUp(ctx, e, r.l, r.decls, engine.UpOptions{Pools: r.l.pools(r.wanted), Parallel: o.parallel}, o.json))
	}
	return errors.Join(errs...)
}

// stopped are those of the guests that do not run.
func stopped(ctx context.Context, e *engine.Engine, names []string) ([]string, error) {
	var out []string
	for _, n := range names {
		g, err := e.Lookup(n)
		if err != nil {
			return nil, err
		}
		s, err := g.Status(ctx)
		if err != nil {
			return nil, err
		}
		if s.PID == 0 {
			out = append(out, n)
		}
	}
	return out, nil
}
