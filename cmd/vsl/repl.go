package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"

	"github.com/spf13/cobra"

	"vsl/engine"
	"vsl/lua"
	"vsl/lua/debug"
	"vsl/lua/modules"
	"vsl/lua/repl"
)

func (a *app) replCommand() *cobra.Command {
	var o recipeOptions
	cmd := &cobra.Command{
		Use:   "repl [RECIPE]",
		Short: "the primitives at a prompt",
		Long: "Reads Lua from standard input and runs it at once: guests are declared, and the six primitives act.\n" +
			"With a recipe its guests are declared already. breakpoint() in a flow opens a prompt there. .help at\n" +
			"the prompt says more. Without a terminal it runs its input and exits with what the last chunk's end was.",
		Example: "  vsl repl\n  vsl repl ./shop.lua -p count=2\n  echo 'print(1 + 1)' | vsl repl",
		Args:    atMost(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.runRepl(cmd.Root(), args, o) },
	}
	cmd.ValidArgsFunction = a.completeRecipeThenGuests
	a.recipeFlags(cmd, &o)
	return cmd
}

// runRepl leaves Ctrl-C to the prompt, where it ends one chunk and not the session.
func (a *app) runRepl(root *cobra.Command, args []string, ro recipeOptions) error {
	a.stop()
	ctx, stop := signal.NotifyContext(context.Background(), engine.Terminate)
	defer stop()
	e, err := a.engine(false)
	if err != nil {
		return err
	}
	given, err := ro.given()
	if err != nil {
		return err
	}
	p := &promptHost{a: a, e: e}
	o := repl.Options{Host: repl.Host{Doc: func(topic string) (string, error) { return docText(root, topic) }, Topics: docTopics,
		List: func(ctx context.Context) error { return a.runLs(ctx, false) }, Plan: p.plan, Shell: p.shell,
		Logs: func(ctx context.Context, guest string) error { return a.runLogs(ctx, guest, logsOptions{lines: 20}) }},
		Interactive: isTerminal(a.ui.in)}
	o.Options = lua.Options{Engine: e, Params: given.params, More: given.file, LookupEnv: given.env, AllowHost: ro.allowHost, Dir: ".", UserDir: modules.UserFolder(),
		Stdout: a.ui.luaResults(), Stderr: a.ui.luaNotes(), Up: p.up, Down: p.down, Remove: p.remove}
	if len(args) > 0 {
		file, err := findRecipe(args[0])
		if err != nil {
			return err
		}
		o.Dir = file.folder()
		o.Begin = func(ctx context.Context, s *lua.Session) error {
			if err := s.Load(ctx, file.path, file.src); err != nil {
				return &recipeError{err}
			}
			p.recipe = newLoaded(s.Loaded(), file, ro.allowHost)
			return nil
		}
	}
	a.debugAt(&o)
	err = repl.Run(ctx, a.ui.in, a.ui.luaResults(), a.ui.luaNotes(), o)
	if err != nil && !o.Interactive && !is[*recipeError](err) {
		return &codeError{exitCode(err)} // the prompt has printed it
	}
	return err
}

// debugAt lets breakpoint() open a prompt that reads where the session's reads.
func (a *app) debugAt(o *repl.Options) {
	var lines repl.Reader
	o.Lines = func(whole func(string) bool, names repl.Completer) repl.Reader {
		lines = repl.NewReader(a.ui.in, a.ui.results(), o.Interactive, whole, names)
		return lines
	}
	c := &debug.Console{Out: a.ui.luaResults()}
	c.C = debug.New(c)
	c.Open = func() repl.Reader {
		a.ui.live.end()
		return repl.Within(lines)
	}
	o.Debugger = c.C
}

// promptHost is what the prompt does on this host.
type promptHost struct {
	a      *app
	e      *engine.Engine
	recipe *loaded // that the prompt began with; nil is none
}

// up brings up a guest as vsl up does. One that the recipe declared keeps the recipe;
// what was declared at the prompt is in no file that could be kept.
func (p *promptHost) up(ctx context.Context, d engine.Declared) error {
	flows := &keptFlows{a: p.a, e: p.e}
	o := engine.UpOptions{Ends: flows.of}
	if p.recipe != nil {
		if own, ok := p.recipe.declared(d.Spec.Name); ok && own.Spec == d.Spec {
			o.Keep = p.recipe.keeper() // which notes the digest in the origin
			o.Origin = p.recipe.origin
		}
	}
	_, err := p.e.Up(ctx, []engine.Declared{d}, o)
	p.a.ui.live.end()
	return err
}

func (p *promptHost) down(ctx context.Context, name string) error {
	return p.end(ctx, name, engine.DownOptions{})
}

func (p *promptHost) remove(ctx context.Context, name string) error {
	return p.end(ctx, name, engine.DownOptions{Remove: true, Force: true})
}

func (p *promptHost) end(ctx context.Context, name string, o engine.DownOptions) error {
	flows := &keptFlows{a: p.a, e: p.e}
	o.Flows = flows.of
	_, err := p.e.Down(ctx, []string{name}, o)
	p.a.ui.live.end()
	return err
}

func (p *promptHost) plan(_ context.Context, guests []engine.Declared) error {
	e, plan, err := p.a.makePlan(guests, engine.PlanOptions{})
	if err == nil {
		err = p.a.addCalls(e, plan, guests)
	}
	if err == nil {
		p.a.printPlan(plan)
	}
	return err
}

// shell runs a command in a guest, or a login shell at a terminal.
func (p *promptHost) shell(ctx context.Context, guest string, argv []string) error {
	if len(argv) == 0 {
		return p.a.runOnTerminal(ctx, guest, engine.ExecArgs{Argv: []string{"/bin/sh", "-c", loginShell}})
	}
	err := p.a.runCommand(ctx, guest, engine.ExecArgs{Argv: argv, Stdout: p.a.ui.guestOutput(), Stderr: p.a.ui.guestErrors()})
	var own *codeError
	if errors.As(err, &own) {
		return fmt.Errorf("%s: exit status %d", argv[0], own.code)
	}
	return err
}
