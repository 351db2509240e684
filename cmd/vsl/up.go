package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vsl/engine"
)

type upOptions struct {
	recipeOptions
	debugOptions
	keep     bool
	parallel int
	json     bool
	plan     string // a file
	all      bool
}

func (a *app) upCommand() *cobra.Command {
	var o upOptions
	cmd := &cobra.Command{
		Use:   "up [RECIPE [GUEST…]|NAME…|--all]",
		Short: "bring up the guests of a recipe",
		Long: "Brings up the guests that a recipe declares, or those named and all they come after.\n" +
			"RECIPE is a file, a folder with a recipe.lua, or the name of an embedded recipe; without one it is\n" +
			"the recipe.lua of the folder you are in.\n" +
			"Guests that run already are left alone, except for limits that can change while they run, and for\n" +
			"those of a pool: what is beyond its size goes down, and what needs a restart is replaced in turn.\n" +
			"A pool's name stands for its guests.\n" +
			"NAME is a guest that was up before: it comes up by the recipe of then, as that is now, or where it is gone by\n" +
			"the copy kept from its last boot. --all are all guests that do not run. What is a recipe as well, such as a\n" +
			"folder of that name, is taken for the recipe.\n" +
			"What --keep left of a guest that failed is replaced: where the guest was made by that run it is removed and\n" +
			"made anew, and where it existed before it is restarted. vsl ls shows such guests as failed.\n" +
			"By NAME and --all nobody names the recipe: where its file, a module of it or their folder came into the hands of\n" +
			"another user, or others can write it, it is refused (vsl up RECIPE takes it). With --plan the plan's file must be\n" +
			"root's or yours and nobody else may write it, and what was planned with --allow-host needs it once more.",
		Example: "  vsl up hello\n  vsl up ./shop web1 -p count=3\n  vsl up web1",
		Args: func(cmd *cobra.Command, args []string) error {
			if o.all && (len(args) > 0 || o.plan != "") {
				return &usageError{msg: "--all are all guests that do not run: give no recipe, name or plan beside it"}
			}
			if o.all {
				return nil
			}
			if o.plan == "" {
				return aRecipe(0)(cmd, args)
			}
			if len(args) > 0 || len(o.params) > 0 || o.file != "" {
				return &usageError{msg: "--plan says which recipe, guests and parameters: give none beside it"}
			}
			if o.debug || o.step {
				return &usageError{msg: "--plan goes with neither of --debug and --step", hint: "vsl up RECIPE takes them"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.plan != "" {
				return a.upPlan(cmd.Context(), o.plan, o)
			}
			if args = orHere(args); o.all {
				args = []string{""}
			}
			return a.debugged(o.debugOptions, func() error { return a.runUp(cmd.Context(), args[0], args[1:], o) })
		},
	}
	cmd.ValidArgsFunction = a.completeRecipeThenGuests
	a.recipeFlags(cmd, &o.recipeOptions)
	cmd.Flags().BoolVar(&o.keep, "keep", false, "leave what a failed guest made, for a look at it")
	o.flags(cmd)
	cmd.Flags().IntVar(&o.parallel, "parallel", 0, "guests to bring up, and templates to build, at once (default 16)")
	cmd.Flags().BoolVar(&o.all, "all", false, "every guest that does not run, by the recipe of its last up")
	cmd.Flags().StringVar(&o.plan, "plan", "", "carry out a plan that vsl plan --out wrote, or refuse where it does not hold any more")
	cmd.Flags().BoolVar(&o.json, "json", false, "print what was done as JSON")
	return cmd
}

// runUp takes a recipe, or the name of a guest as its first argument; with o.all
// neither.
func (a *app) runUp(ctx context.Context, recipe string, names []string, o upOptions) error {
	e, err := a.engine(o.keep)
	if err != nil {
		return err
	}
	if o.all {
		err = a.runUpNames(ctx, e, nil, o)
	} else if namesGuest(e, recipe) {
		err = a.runUpNames(ctx, e, append([]string{recipe}, names...), o)
	} else {
		err = a.runUpRecipe(ctx, e, recipe, names, o)
	}
	if err != nil && o.keep {
		a.ui.note("what failed is left as it is: vsl status, vsl logs and vsl enter look at it, vsl rm -f removes it")
	}
	return err
}

func (a *app) runUpRecipe(ctx context.Context, e *engine.Engine, recipe string, names []string, o upOptions) error {
	l, err := a.loadArg(ctx, e, recipe, o.recipeOptions)
	if err != nil {
		return err
	}
	if err := l.validate(); err != nil {
		return err
	}
	decls, err := l.guests(names)
	if err != nil {
		return err
	}
	return a.bringUp(ctx, e, l, decls, engine.UpOptions{Pools: l.pools(names), Parallel: o.parallel}, o.json)
}

// bringUp is what up and restart share.
func (a *app) bringUp(ctx context.Context, e *engine.Engine, l *loaded, decls []engine.Declared, o engine.UpOptions, json bool) error {
	keep := l.keeper()
	if len(decls) > 1 {
		manySystemCalls()
	}
	flows := &keptFlows{a: a, e: e}
	o.Origin, o.Keep, o.Ends = l.origin, keep, flows.of
	out, err := e.Up(ctx, decls, o)
	a.ui.live.end()
	ips := map[string]string{}
	for _, d := range decls {
		ips[d.Spec.Name] = addresses(d.Spec)
	}
	for _, o := range out {
		if slices.Contains([]engine.Change{engine.ChangeRestart, engine.ChangeLive, engine.ChangeNone}, o.Change) {
			ips[o.Guest] = addressesNow(ctx, e, o.Guest, ips[o.Guest])
		}
	}
	if perr := a.printOutcomes(out, ips, json); perr != nil {
		err = errors.Join(err, perr)
	}
	return inBrief(err)
}

// addressesNow are what a guest is bound to, which the recipe may have moved on
// from; declared where it does not run.
func addressesNow(ctx context.Context, e *engine.Engine, name, declared string) string {
	g, err := e.Lookup(name)
	if err != nil {
		return declared
	}
	s, err := g.Status(ctx)
	if err != nil || s.PID == 0 {
		return declared
	}
	return strings.Join(s.IP, " ")
}

// addresses are a guest's own, without their prefix lengths.
func addresses(s *engine.Spec) string {
	var ips []string
	for _, ad := range s.Net.Addrs {
		ip := ad.IP
		if p, err := netip.ParsePrefix(ip); err == nil {
			ip = p.Addr().String()
		}
		ips = append(ips, ip)
	}
	return strings.Join(ips, " ")
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
