package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"vsl/engine"
	"vsl/lua"
)

type planOptions struct {
	recipeOptions
	json     bool
	exitCode bool
	out      string
}

func (a *app) planCommand() *cobra.Command {
	var o planOptions
	cmd := &cobra.Command{
		Use:   "plan [RECIPE [GUEST…]]",
		Short: "show what up would do",
		Long: "Shows what vsl up would do, and does nothing. Each guest has a mark: + is made and brought up,\n" +
			"> is brought up, ~ is changed while it runs, ! runs and differs in what needs a restart, = is as declared.\n" +
			"-/+ is made anew: a pool's guest that differs, or what --keep left of a failed one. - is a pool's that is brought down.\n" +
			"x is one whose record in the state root cannot be read; what it is lies untouched.\n" +
			"With -v each step is listed, and with -vv below each boot the system calls of its child until pid 1\n" +
			"runs, as strace would show them: in <> is what only the run knows, numbers are those that errors name.\n" +
			"--json has them then as \"calls\" of the step. With --out the plan is written into a file, which vsl up --plan carries out,\n" +
			"or refuses where the host or the recipe has moved on, where others than root and you could have written\n" +
			"the file, or where it was made with --allow-host and up is not given that too.",
		Example: "  vsl plan ./shop\n  vsl plan -v debian-web\n  vsl plan -vv hello\n  vsl plan ./shop --exit-code && echo as declared",
		Args:    aRecipe(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			args = orHere(args)
			return a.runPlan(cmd.Context(), args[0], args[1:], o)
		},
	}
	cmd.ValidArgsFunction = a.completeRecipeThenGuests
	a.recipeFlags(cmd, &o.recipeOptions)
	cmd.Flags().BoolVar(&o.json, "json", false, "print the plan as JSON")
	cmd.Flags().StringVar(&o.out, "out", "", "also write the plan into a file, for vsl up --plan")
	cmd.Flags().BoolVar(&o.exitCode, "exit-code", false, "exit with 2 when there is something to do")
	return cmd
}

// emptyRoot is a state root that nobody can make: a host without guests.
const emptyRoot = "/proc/vsl-without-state"

func (a *app) runPlan(ctx context.Context, recipe string, names []string, o planOptions) error {
	l, err := a.loadArg(ctx, nil, recipe, o.recipeOptions)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.validate(); err != nil {
		return err
	}
	decls, err := l.guests(names)
	if err != nil {
		return err
	}
	e, p, err := a.makePlan(decls, engine.PlanOptions{Recipe: l.origin.Path, Pools: l.pools(names)})
	if err != nil {
		return err
	}
	if o.out != "" && len(p.Bad) == 0 {
		if err := a.savePlan(o.out, l, names, p); err != nil {
			return err
		}
	}
	if err := a.addCalls(e, p, decls); err != nil {
		return err
	}
	if o.json {
		err = a.ui.json(p)
	} else {
		a.printPlan(p)
	}
	if err == nil && len(p.Bad) > 0 {
		return errors.Join(p.Bad...)
	}
	if err == nil && o.exitCode && p.Changes() {
		return &codeError{2}
	}
	return err
}

// makePlan compares with this host's state, or where that is not ours to read
// with none. It gives the engine that has compared.
func (a *app) makePlan(decls []engine.Declared, o engine.PlanOptions) (*engine.Engine, *engine.Plan, error) {
	e, err := a.engine(false)
	if err != nil {
		return nil, nil, err
	}
	p, err := e.Plan(decls, o)
	if !errors.Is(err, fs.ErrPermission) {
		return e, p, err
	}
	a.ui.note("%s is not readable: this is the plan for a host without guests", e.Root())
	if e, err = engine.Open(engine.Options{Root: emptyRoot}); err != nil {
		return nil, nil, err
	}
	p, err = e.Plan(decls, o)
	return e, p, err
}

// addCalls adds the system calls to a plan where -vv asks for them: there are a
// hundred for each guest. A plan in a file never has them, as they say nothing
// that the steps do not and depend on the kernel.
func (a *app) addCalls(e *engine.Engine, p *engine.Plan, decls []engine.Declared) error {
	if a.verbose < 2 {
		return nil
	}
	return e.PlanCalls(p, decls)
}

// printSteps prints the steps of a guest, and what is known of their calls.
func (a *app) printSteps(steps []engine.Step) {
	line := func(s string) string { return strings.ReplaceAll(clean(s), "\n", `\n`) }
	for _, s := range steps {
		a.ui.printf("     %s\n", line(s.String()))
		for _, c := range s.Calls {
			a.ui.printf("       %s\n", line(c.String()))
		}
	}
}

func (a *app) printPlan(p *engine.Plan) {
	rows := [][]string{}
	steps := map[int][]engine.Step{} // below the row of their guest
	for _, t := range p.Templates {
		mark, what := "+", "to be built"
		if t.Built {
			mark, what = "=", "built"
		}
		rows = append(rows, []string{mark, "template " + t.Name, what, t.From})
	}
	counts := map[engine.Change]int{}
	for _, g := range p.Guests {
		counts[g.Change]++
		after := ""
		if len(g.After) > 0 {
			after = "after " + strings.Join(g.After, ", ")
		}
		why := strings.Join(g.Reasons, "; ")
		if g.Change == engine.ChangeBroken {
			why = "cannot be read, and is left as it is"
		}
		rows = append(rows, []string{string(g.Change), "guest " + g.Name, why, after})
		if a.verbose > 0 {
			steps[len(rows)-1] = g.Steps
		}
	}
	for i, line := range strings.SplitAfter(a.ui.columns(rows), "\n") {
		a.ui.printf("%s", line)
		a.printSteps(steps[i])
	}
	summary := fmt.Sprintf("%d to make, %d to start, %d to change, %d to restart", counts[engine.ChangeCreate],
		counts[engine.ChangeStart], counts[engine.ChangeLive], counts[engine.ChangeRestart])
	if n := counts[engine.ChangeReplace]; n > 0 {
		summary += fmt.Sprintf(", %d to replace", n)
	}
	if n := counts[engine.ChangeDown]; n > 0 {
		summary += fmt.Sprintf(", %d to take down", n)
	}
	if len(p.Bad) > 0 {
		summary += fmt.Sprintf(", %d that cannot be read", len(p.Bad))
	}
	a.ui.printf("%s, %d as declared\n", summary, counts[engine.ChangeNone])
}

// checked is what check says for programs.
type checked struct {
	Recipe    string         `json:"recipe"`
	Guests    []string       `json:"guests"`
	Templates []string       `json:"templates"`
	Pools     []*engine.Pool `json:"pools"`
	Params    []*lua.Param   `json:"params"`
}

func (a *app) checkCommand() *cobra.Command {
	var o recipeOptions
	var json bool
	cmd := &cobra.Command{
		Use:     "check [RECIPE]",
		Short:   "read a recipe and look for mistakes",
		Long:    "Reads a recipe, finds every mistake that can be found without acting, and says what it declares.",
		Example: "  vsl check ./shop/recipe.lua -p count=3",
		Args:    aRecipe(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := a.loadArg(cmd.Context(), nil, orHere(args)[0], o)
			if err != nil {
				return err
			}
			defer l.Close()
			if err := l.validate(); err != nil {
				return err
			}
			if !json {
				a.ui.printf("%s: %s, %s\n", l.Path, plural(len(l.Guests), "guest"), plural(len(l.Templates), "template"))
				return nil
			}
			c := checked{Recipe: l.Path, Guests: []string{}, Templates: []string{}, Pools: append([]*engine.Pool{}, l.Pools...), Params: append([]*lua.Param{}, l.Params...)}
			for _, d := range l.Guests {
				c.Guests = append(c.Guests, d.Spec.Name)
			}
			for _, t := range l.Templates {
				c.Templates = append(c.Templates, t.Name)
			}
			return a.ui.json(c)
		},
	}
	cmd.ValidArgsFunction = a.completeRecipe
	cmd.Flags().BoolVar(&json, "json", false, "print what it declares, and its parameters with their values, as JSON")
	a.recipeFlags(cmd, &o)
	return cmd
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
