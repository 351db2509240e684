package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/spf13/cobra"

	"vsl/engine"
)

type restartOptions struct {
	selection
	parallel int // 0 is the engine's own
}

func (a *app) restartCommand() *cobra.Command {
	var o restartOptions
	cmd := &cobra.Command{
		Use:   "restart NAME…|RECIPE [NAME…]|--all",
		Short: "shut guests down and bring them up again",
		Long: "Shuts guests down and brings them up again by their recipe as it is now, or, where that is\n" +
			"gone, by the copy kept from their last boot. The recipe is read before anything is shut down.\n" +
			"Where its file, a module of it or their folder came into the hands of another user since, or others\n" +
			"can write it, the guest is refused, unless RECIPE names the file; with --all it is left as it is.\n" +
			"A guest that was declared at the prompt of vsl repl has none and is refused; with --all it is left as it is.\n" +
			"A pool's name stands for its guests, which are restarted in turn.",
		Example: "  vsl restart web1",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.debugged(o.debugOptions, func() error { return a.runRestart(cmd.Context(), args, o) })
		},
	}
	cmd.ValidArgsFunction = a.completeGuests
	o.flags(cmd)
	return cmd
}

// reboot is what one recipe brings up again.
type reboot struct {
	l      *loaded
	wanted []string          // the guests that are restarted
	decls  []engine.Declared // those, and what they come after
	rolled []string          // of a pool: not all at once
	err    error             // why it is left out
}

func (a *app) runRestart(ctx context.Context, args []string, o restartOptions) error {
	e, names, bad, err := a.selected(args, o.selection)
	if err != nil {
		return err
	}
	if len(bad) > 0 && !o.all {
		return joined(bad)
	}
	if names, err = withoutSpare(ctx, e, names, args); err != nil {
		return err
	}
	names, left := withoutRecipe(e, "restart", names)
	left = errors.Join(left, joined(bad))
	if left != nil && !o.all {
		return left
	}
	plan, refused, err := a.planReboots(ctx, e, "restart", names, args)
	if err != nil {
		return err
	}
	if left = errors.Join(left, refused); left != nil && !o.all {
		return left
	}
	var down []string
	for _, r := range plan {
		for _, n := range r.wanted {
			if !slices.Contains(r.rolled, n) {
				down = append(down, n)
			}
		}
	}
	for _, r := range plan {
		for _, d := range r.decls { // what may take long or fail comes before anything is down
			if err := e.EnsureTemplate(ctx, d.Spec.Template, d.BuildTemplate); err != nil {
				return err
			}
		}
	}
	flows := &keptFlows{a: a, e: e}
	out, err := a.down(ctx, e, down, engine.DownOptions{Flows: flows.of, Parallel: o.parallel})
	if err != nil {
		return err
	}
	if plan, err = withoutGone(plan, out); plan == nil {
		return errors.Join(left, err)
	}
	errs := []error{left, err}
	for _, r := range plan {
		errs = append(errs, a.bringUp(ctx, e, r.l, r.decls, engine.UpOptions{Pools: r.pools(), Restart: r.rolled, Parallel: o.parallel}, o.json))
	}
	return errors.Join(errs...)
}

// withoutGone leaves out of the plan the guests of which nothing is left, as only an
// unfinished run had made them, unless another one comes after them. The error names them.
func withoutGone(plan []*reboot, out []engine.Outcome) (rest []*reboot, err error) {
	gone := map[string]bool{}
	for _, o := range out {
		gone[o.Guest] = o.Change == engine.ChangeRemove
	}
	var errs []error
	for _, r := range plan {
		wanted := slices.DeleteFunc(slices.Clone(r.wanted), func(n string) bool { return gone[n] })
		if len(wanted) == 0 {
			r.decls = nil
		} else if r.decls, err = r.l.guests(wanted); err != nil {
			return nil, err
		}
		for _, n := range r.wanted {
			if gone[n] && !slices.ContainsFunc(r.decls, func(d engine.Declared) bool { return d.Spec.Name == n }) {
				errs = append(errs, &engine.OpError{Op: "restart guest", Target: n, Err: errors.New("the run that made it did not finish: it was undone now, and nothing of it is left"),
					Hint: "vsl up " + r.l.origin.Path + " makes it"})
			}
		}
		if len(r.decls) > 0 {
			rest = append(rest, r)
		}
	}
	return rest, errors.Join(errs...)
}

// withoutSpare leaves out what only a recipe, a pool or --all stands for and its
// pool has become too small for: up would bring it down again.
func withoutSpare(ctx context.Context, e *engine.Engine, names, args []string) ([]string, error) {
	named := map[string]bool{}
	for _, arg := range args {
		if g, err := e.Lookup(arg); err == nil {
			named[g.Name()] = true
		}
	}
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
		if !s.Spare || named[n] {
			out = append(out, n)
		}
	}
	return out, nil
}

// pools are those whose guests are restarted in turn.
func (r *reboot) pools() []*engine.Pool {
	if len(r.rolled) == 0 {
		return nil
	}
	pools := r.l.pools(nil)
	for _, p := range pools {
		p.Partial = true
	}
	return pools
}

// planReboots reads every recipe that the guests need, each once. refused tells of the
// guests that are left out, as their recipe has a mistake or is not trusted; args are
// the command line's.
func (a *app) planReboots(ctx context.Context, e *engine.Engine, verb string, names, args []string) (plan []*reboot, refused, err error) {
	byOrigin := map[string]*reboot{}
	var errs []error
	for _, n := range names {
		origin, _, err := e.Origin(n)
		if err != nil {
			return nil, nil, err
		}
		origin = origin.Again()
		key := fmt.Sprintf("%s %v %v %v", origin.Path, origin.Params, origin.AllowHost, origin.Owners)
		r := byOrigin[key]
		if r == nil {
			r = &reboot{}
			byOrigin[key] = r
			if r.l, r.err = a.loadAgain(ctx, e, n, origin, args); r.err == nil {
				plan = append(plan, r)
			} else if !errors.As(r.err, new(*engine.TrustError)) {
				errs = append(errs, r.err)
			}
		}
		var no *engine.TrustError
		switch {
		case errors.As(r.err, &no):
			errs = append(errs, &engine.OpError{Op: verb + " guest", Target: n, Err: fmt.Errorf("nobody named its recipe now, and %w", no),
				Hint: no.Hint + "; or copy it to where only you can write; vsl up " + origin.Path + " takes it as it is"})
		case r.err != nil: // told once for all that the recipe declares
		default:
			if _, ok := r.l.declared(n); !ok {
				errs = append(errs, &recipeError{fmt.Errorf("%s: declares no guest %q any more", r.l.Path, n)})
				continue
			}
			r.wanted = append(r.wanted, n)
		}
	}
	plan = slices.DeleteFunc(plan, func(r *reboot) bool {
		if len(r.wanted) > 0 {
			if r.err = r.declareAgain(e); r.err != nil {
				errs = append(errs, r.err)
			}
		}
		return r.err != nil || len(r.wanted) == 0
	})
	return plan, errors.Join(errs...), nil
}

// declareAgain finds what the recipe declares for its guests now.
func (r *reboot) declareAgain(e *engine.Engine) error {
	if err := r.l.validate(); err != nil {
		return err
	}
	var err error
	if r.decls, err = r.l.guests(r.wanted); err != nil {
		return err
	}
	var down []engine.Declared
	for _, d := range r.decls {
		if !slices.Contains(r.wanted, d.Spec.Name) {
			continue // up already, or only what another one comes after
		}
		down = append(down, d)
		if d.Spec.Pool != "" {
			r.rolled = append(r.rolled, d.Spec.Name)
		}
	}
	return e.CanComeUp(down)
}

// withoutRecipe splits off the guests that no recipe says how to bring up again.
func withoutRecipe(e *engine.Engine, verb string, names []string) (rest []string, err error) {
	var errs []error
	for _, n := range names {
		origin, _, err := e.Origin(n)
		if err == nil && origin.Path == "" {
			err = &engine.OpError{Op: verb + " guest", Target: n, Err: errors.New("it was made at a prompt: no recipe says how it comes up"),
				Hint: "vsl down " + n + ", then vsl up with a recipe that declares it: .save at the prompt of vsl repl writes one of what was declared there"}
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		rest = append(rest, n)
	}
	return rest, errors.Join(errs...)
}

// loadAgain reads a guest's recipe as it is now, else as it was kept. One that args do
// not name, only the guest's record, is refused with a TrustError where another user
// could have written it since.
func (a *app) loadAgain(ctx context.Context, e *engine.Engine, name string, origin engine.Origin, args []string) (*loaded, error) {
	var refused error
	trust := func(path string, info fs.FileInfo) error {
		err := trustUnnamed(path, info, origin.Owners)
		refused = cmp.Or(refused, err)
		return err
	}
	if slices.ContainsFunc(args, func(arg string) bool { return namesRecipe(e, arg, origin) }) {
		trust = nil
	}
	file, err := findRecipeBy(origin.Path, trust)
	if err == nil {
		l, err := a.load(ctx, e, file, recorded(origin))
		if refused != nil { // even where the recipe went on without the module
			return nil, refused
		}
		return l, err
	}
	if refused != nil {
		return nil, refused
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
