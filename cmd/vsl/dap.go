package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vsl/engine"
	"vsl/lua/debug"
	"vsl/lua/debug/dap"
)

func (a *app) dapCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "dap",
		Short: "debug a recipe in an editor, by the Debug Adapter Protocol",
		Long: "Serves the Debug Adapter Protocol on standard input and output: an editor starts it. What it\n" +
			"launches is told by the editor's configuration: vsl help editors shows those of VS Code, Neovim and\n" +
			"Emacs. It needs root as vsl up does.",
		Example: "  sudo -n vsl dap        as an editor's adapter",
		Args:    atMost(0),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.runDap(cmd.Context()) },
	}
}

func (a *app) runDap(ctx context.Context) error {
	if isTerminal(a.ui.in) {
		return &usageError{msg: "vsl dap is started by an editor, not at a terminal", hint: "vsl help editors says how; vsl debug has a prompt"}
	}
	// An editor that is gone must not end what undoes its work. A signal that is
	// ignored would be so in guests, too.
	signal.Notify(make(chan os.Signal, 1), engine.BrokenPipe)
	own := a.ui
	defer func() { a.ui = own }()
	srv := &dap.Server{In: own.in, Out: own.out, Prepare: a.prepareDap}
	srv.Run = func(ctx context.Context, l *dap.Launch, c *debug.Controller) int {
		defer a.ui.close()
		return a.exit(a.launched(ctx, l, c))
	}
	// All that is printed meanwhile is the editor's, whose protocol has standard output.
	a.ui = newUI(strings.NewReader(""), srv.Writer("stdout"), srv.Writer("stderr"))
	a.ui.quiet = own.quiet
	return srv.Serve(ctx)
}

// dapVerbs are what can be launched.
var dapVerbs = []string{"up", "plan", "down", "restart"}

// prepareDap checks what can be checked before anything runs, so that the editor
// shows it where it was launched.
func (a *app) prepareDap(l *dap.Launch) error {
	if l.Verb == "" {
		l.Verb = "up"
	}
	if !slices.Contains(dapVerbs, l.Verb) {
		return fmt.Errorf("launch: there is no verb %q to debug: %s", l.Verb, strings.Join(dapVerbs, ", "))
	}
	if l.Cwd != "" {
		if err := os.Chdir(l.Cwd); err != nil {
			return fmt.Errorf("launch: cwd: %w", err)
		}
	}
	if l.Root != "" {
		a.root = l.Root
	}
	file, err := findRecipe(l.Program)
	if err != nil {
		return hinted("launch", err)
	}
	if !file.embedded {
		l.Program = file.origin
	}
	_, err = a.dapOptions(l)
	if err != nil {
		return hinted("launch", err)
	}
	return nil
}

// hinted puts an error and what can be done about it into one line.
func hinted(what string, err error) error {
	text, hint := explain(err)
	if hint != "" {
		text += ": " + hint
	}
	return errors.New(what + ": " + text)
}

// dapOptions are the flags that a launch stands for.
func (a *app) dapOptions(l *dap.Launch) (upOptions, error) {
	o := upOptions{keep: l.Keep, parallel: l.Parallel}
	o.file, o.allowHost = l.ParamsFile, l.AllowHost
	if len(l.Params) > 0 && string(l.Params) != "null" {
		given, err := parseParams("params", l.Params)
		if err != nil {
			return o, err
		}
		for _, name := range slices.Sorted(maps.Keys(given)) {
			o.params = append(o.params, name+"="+given[name].Text)
		}
	}
	if _, err := o.given(); err != nil {
		return o, err
	}
	return o, nil
}

func (a *app) launched(ctx context.Context, l *dap.Launch, c *debug.Controller) error {
	o, err := a.dapOptions(l)
	if err != nil {
		return err
	}
	a.debugger = c
	if a.patient = c != nil; a.patient && o.parallel == 0 {
		o.parallel = 1
	}
	if l.Verb == "plan" {
		return a.runPlan(ctx, l.Program, l.Names, planOptions{recipeOptions: o.recipeOptions})
	}
	return a.runVerb(ctx, l.Verb, append([]string{l.Program}, l.Names...), o)
}
