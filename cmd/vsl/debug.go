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
	verb := "up"
	cmd := &cobra.Command{
		Use:   "debug RECIPE [GUEST…]",
		Short: "bring guests up or down step by step, with a look into their flows",
		Long: "Brings guests up as vsl up does, one after the other, under a debugger. Its prompt comes before\n" +
			"anything runs, for breakpoints; then at each of them, at breakpoint() in a recipe, and where a\n" +
			"flow fails, before anything is undone. .help at the prompt lists its commands; all else is Lua and\n" +
			"sees the variables where the flow stopped. No time runs out meanwhile. It reads a pipe, too.\n\n" +
			"With --verb down or restart it is their flows, and guests can be named without a recipe.\n\n" +
			"--debug of up, down, restart and rm opens the prompt only at failures, --step asks before each\n" +
			"primitive, and vsl dap is for editors: vsl help editors says how they are told of it.",
		Example: "  vsl debug ./shop.lua\n  vsl debug --verb down web1\n  printf '.break 12\\n.cont\\n.locals\\n.cont\\n' | vsl debug ./shop.lua web1",
		Args:    atLeast(1, "a recipe"),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.runDebug(cmd.Context(), verb, args, o) },
	}
	cmd.ValidArgsFunction = a.completeRecipeThenGuests
	a.recipeFlags(cmd, &o.recipeOptions)
	cmd.Flags().StringVar(&verb, "verb", verb, "what to do with the guests: up, down or restart")
	cmd.Flags().BoolVar(&o.keep, "keep", false, "leave what a failed guest made, for a look at it")
	return cmd
}

// debugOptions are the flags of every verb that runs flows.
type debugOptions struct{ debug, step bool }

func (o *debugOptions) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.debug, "debug", false, "open a prompt where a flow fails, with all as it was there")
	cmd.Flags().BoolVar(&o.step, "step", false, "ask before each primitive")
}

func (a *app) runDebug(ctx context.Context, verb string, args []string, o upOptions) error {
	if verb != "up" && verb != "down" && verb != "restart" {
		return &usageError{msg: fmt.Sprintf("--verb %s: not up, down or restart", verb)}
	}
	c := a.debugConsole(a.ui.results())
	defer c.Close()
	file, err := findRecipe(args[0])
	switch {
	case err == nil:
		c.File = file.path
	case verb == "up":
		return err
	}
	c.C.OnFailure = true
	a.debugger, a.patient, o.parallel = c.C, true, 1
	fmt.Fprintln(a.ui.results(), "vsl: nothing runs yet. .break sets breakpoints, .cont begins, .help says more.")
	if c.Begin() == debug.Abort {
		return nil
	}
	return a.runVerb(ctx, verb, args, o)
}

// runVerb is the verb that is debugged. Of o down and restart take only how many
// guests go at once: parameters are those of the last boot.
func (a *app) runVerb(ctx context.Context, verb string, args []string, o upOptions) error {
	switch verb {
	case "down":
		return a.runDown(ctx, args, downOptions{parallel: o.parallel})
	case "restart":
		return a.runRestart(ctx, args, restartOptions{parallel: o.parallel})
	}
	return a.runUp(ctx, args[0], args[1:], o)
}

// debugged runs a verb under the debugger that its flags ask for, or at a terminal
// under one for breakpoint().
func (a *app) debugged(o debugOptions, verb func() error) error {
	if !o.debug && !o.step && !isTerminal(a.ui.in) {
		return verb()
	}
	c := a.debugConsole(a.ui.notes())
	defer c.Close()
	c.C.OnFailure, c.C.Each = o.debug, o.step
	a.debugger, a.patient = c.C, o.debug || o.step
	return verb()
}

func (a *app) debugConsole(out io.Writer) *debug.Console {
	c := &debug.Console{Out: harmless(out, a.ui.outTerm || a.ui.errTerm)}
	c.C = debug.New(c)
	c.Open = func() repl.Reader {
		a.ui.live.end()
		return repl.NewReader(a.ui.in, out, isTerminal(a.ui.in), func(string) bool { return true }, nil)
	}
	return c
}
