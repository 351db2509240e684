package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"vsl/lua/debug"
	"vsl/lua/repl"
)

func (a *app) debugCommand() *cobra.Command {
	var o upOptions
	cmd := &cobra.Command{
		Use:   "debug RECIPE [GUEST…]",
		Short: "bring up guests step by step, with a look into their flows",
		Long: "Brings guests up as vsl up does, one after the other, under a debugger. Its prompt comes before\n" +
			"anything runs, for breakpoints; then at each of them, at breakpoint() in a recipe, and where a\n" +
			"flow fails, before anything is undone. .help at the prompt lists its commands; all else is Lua and\n" +
			"sees the variables where the flow stopped. No time runs out meanwhile. It reads a pipe, too.\n\n" +
			"vsl up --debug opens the prompt only at failures, vsl up --step asks before each primitive, and\n" +
			"vsl dap is for editors: vsl help editors says how they are told of it.",
		Example: "  vsl debug ./shop.lua\n  printf '.break 12\\n.cont\\n.locals\\n.cont\\n' | vsl debug ./shop.lua web1",
		Args:    atLeast(1, "a recipe"),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.runDebug(cmd.Context(), args[0], args[1:], o) },
	}
	cmd.ValidArgsFunction = a.completeRecipeThenGuests
	a.recipeFlags(cmd, &o.recipeOptions)
	cmd.Flags().BoolVar(&o.keep, "keep", false, "leave what a failed guest made, for a look at it")
	return cmd
}

func (a *app) runDebug(ctx context.Context, recipe string, names []string, o upOptions) error {
	file, err := findRecipe(recipe)
	if err != nil {
		return err
	}
	c := a.debugConsole(a.ui.results())
	defer c.Close()
	c.C.OnFailure, c.File = true, file.path
	a.patient, o.parallel = true, 1
	fmt.Fprintln(a.ui.results(), "vsl: nothing runs yet. .break sets breakpoints, .cont begins, .help says more.")
	if c.Begin() == debug.Abort {
		return nil
	}
	return a.upWith(ctx, c.C, recipe, names, o)
}

// upDebugger is what vsl up is debugged with: what its flags ask for, and at a
// terminal a prompt for breakpoint(). It may be nil.
func (a *app) upDebugger(o upOptions) *debug.Console {
	if !o.debug && !o.step && !isTerminal(a.ui.in) {
		return nil
	}
	c := a.debugConsole(a.ui.notes())
	c.C.OnFailure, c.C.Each = o.debug, o.step
	a.patient = o.debug || o.step
	return c
}

func (a *app) debugConsole(out io.Writer) *debug.Console {
	c := &debug.Console{Out: out}
	c.C = debug.New(c)
	c.Open = func() repl.Reader {
		a.ui.live.end()
		return repl.NewReader(a.ui.in, out, isTerminal(a.ui.in), func(string) bool { return true }, nil)
	}
	return c
}
