package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"vsl/engine"
	"vsl/lua"
)

type downOptions struct {
	selection
	parallel int // 0 is the engine's own
}

// selection are the flags of the verbs for guests that are there.
type selection struct {
	debugOptions
	all, json bool
}

func (o *selection) flags(cmd *cobra.Command) {
	o.debugOptions.flags(cmd)
	cmd.Flags().BoolVar(&o.all, "all", false, "every guest")
	cmd.Flags().BoolVar(&o.json, "json", false, "print what was done as JSON")
}

// selected opens the engine and names the guests that a verb is for; bad are those
// of them that cannot be read.
func (a *app) selected(args []string, o selection) (e *engine.Engine, names []string, bad []*engine.Damage, err error) {
	if e, err = a.engine(false); err != nil {
		return nil, nil, nil, err
	}
	names, bad, err = selectGuests(e, args, o.all)
	return e, names, bad, err
}

// joined makes one error of guests that cannot be read.
func joined(bad []*engine.Damage) error {
	var errs []error
	for _, d := range bad {
		errs = append(errs, d)
	}
	return errors.Join(errs...)
}

func (a *app) downCommand() *cobra.Command {
	var o downOptions
	cmd := &cobra.Command{
		Use:   "down [NAME…|RECIPE [NAME…]|--all]",
		Short: "shut guests down",
		Long: "Shuts guests down, in the reverse of the order they came up in, each by the shutdown flow\n" +
			"of the recipe it was booted with. What does not end by itself is killed: afterwards nothing of\n" +
			"a guest runs. Its files stay until vsl rm. A recipe's path or name stands for all guests\n" +
			"that were brought up from it, or for those of them that are named after it; without any argument it is\n" +
			"the recipe.lua of the folder you are in, as with vsl up.\n\n" +
			"The first INT or TERM ends the waiting: a guest that was told to shut down goes on with that, and\n" +
			"vsl exits with 4. The second one kills the guests.",
		Example: "  vsl down web1 web2\n  vsl down --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.debugged(o.debugOptions, func() error { return a.runDown(cmd.Context(), args, o) })
		},
	}
	cmd.ValidArgsFunction = a.completeGuests
	o.flags(cmd)
	return cmd
}

func (a *app) runDown(ctx context.Context, args []string, o downOptions) error {
	if !o.all {
		args = orHere(args)
	}
	e, names, bad, err := a.selected(args, o.selection)
	if err != nil {
		return err
	}
	for _, d := range bad { // what runs of them can be brought down all the same
		names = append(names, d.Guest)
	}
	return a.bringDown(ctx, e, names, engine.DownOptions{Parallel: o.parallel}, o.json)
}

// bringDown is what down, restart and rm share.
func (a *app) bringDown(ctx context.Context, e *engine.Engine, names []string, o engine.DownOptions, json bool) error {
	flows := &keptFlows{a: a, e: e}
	o.Flows = flows.of
	out, err := a.down(ctx, e, names, o)
	a.ui.live.end()
	if perr := a.printOutcomes(out, nil, json); perr != nil && err == nil {
		err = perr
	}
	return inBrief(err)
}

// selectGuests turns arguments into names of guests: a guest's name or xid, or
// the recipe that guests came from. Names after a recipe choose among its guests,
// as with vsl up.
func selectGuests(e *engine.Engine, args []string, all bool) (names []string, bad []*engine.Damage, err error) {
	if all == (len(args) > 0) {
		return nil, nil, &usageError{msg: "give the names of guests, or --all", hint: "vsl ls lists them"}
	}
	guests, unread, err := e.List()
	if err != nil {
		return nil, nil, err
	}
	if all {
		for _, g := range guests {
			names = append(names, g.Name())
		}
		return names, unread, nil
	}
	var named, from []string
	for _, arg := range args {
		g, err := e.Lookup(arg)
		if err == nil {
			named = append(named, g.Name())
			continue
		}
		var d *engine.Damage
		if errors.As(err, &d) {
			bad = append(bad, d)
			continue
		}
		of, perr := e.PoolGuests(arg)
		if perr == nil && len(of) > 0 {
			named = append(named, of...)
			continue
		}
		of = guestsFrom(e, guests, arg)
		if len(of) == 0 && arg == "." {
			return nil, nil, &engine.OpError{Op: "find guests of", Target: "the recipe in this folder", Err: engine.ErrUnknownGuest, Hint: "vsl up brings them up, vsl ls lists the guests there are"}
		}
		if len(of) == 0 {
			return nil, nil, err
		}
		from = append(from, of...)
	}
	if from == nil || named == nil {
		return append(from, named...), bad, nil
	}
	for _, name := range named {
		if !slices.Contains(from, name) {
			return nil, nil, &usageError{msg: fmt.Sprintf("guest %s was not brought up from the recipe that is given", name),
				hint: "name guests alone, or a recipe and some of its guests"}
		}
	}
	return named, bad, nil
}

// guestsFrom gives the guests that were brought up from a recipe.
func guestsFrom(e *engine.Engine, guests []engine.Guest, recipe string) []string {
	abs, err := filepath.Abs(recipe)
	if err != nil {
		return nil
	}
	var names []string
	for _, g := range guests {
		origin, _, err := e.Origin(g.Name())
		if err == nil && origin.Path != "" && slices.Contains([]string{recipe, abs, filepath.Join(abs, "recipe.lua")}, origin.Path) {
			names = append(names, g.Name())
		}
	}
	return names
}

// keptFlows finds the flows of each guest that end it, in the recipe kept from its
// boot. One whose recipe has none of its own gets the default ones without reading it.
type keptFlows struct {
	a   *app
	e   *engine.Engine
	mu  sync.Mutex
	def *engine.Flows
}

// endings are the flows and hooks that may run at a guest's end.
var endings = []string{"shutdown", "destroy", "hooks.before_shutdown", "hooks.after_shutdown", "hooks.before_destroy", "hooks.after_destroy"}

func (k *keptFlows) of(ctx context.Context, name string) (engine.Flows, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	spec, err := k.e.Recorded(name)
	if err != nil {
		return engine.Flows{}, err
	}
	if !slices.ContainsFunc(endings, func(flow string) bool { _, is := spec.Custom[flow]; return is }) {
		return k.standard()
	}
	l, err := k.a.loadKept(ctx, k.e, name)
	if err == nil {
		if d, ok := l.declared(name); ok {
			return d.Flows, nil
		}
		err = fmt.Errorf("it does not declare %q", name)
	}
	k.a.ui.note("%s: the recipe kept from its boot cannot be used: %v", name, err)
	k.a.ui.note("%s: going on with the default flows", name)
	f, serr := k.standard()
	if slices.ContainsFunc(endings, func(flow string) bool { _, is := spec.Custom[flow]; return is && strings.HasSuffix(flow, "destroy") }) {
		f.Destroy = func(context.Context, engine.Guest) error {
			return fmt.Errorf("its destroy flow is in the kept recipe, which cannot be used: %v", err)
		}
	}
	return f, serr
}

// standard are the default flows, which need no recipe.
func (k *keptFlows) standard() (engine.Flows, error) {
	if k.def == nil {
		f, err := lua.Defaults(k.a.luaOptions(k.e))
		if err != nil {
			return engine.Flows{}, err
		}
		k.def = &f
	}
	return *k.def, nil
}
