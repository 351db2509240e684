package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vsl/engine"
	"vsl/lua"
)

// recipeOptions are the flags of every verb that reads a recipe.
type recipeOptions struct {
	params    []string
	file      string
	allowHost bool
	optional  bool // no parameter has to be given
}

func (a *app) recipeFlags(cmd *cobra.Command, o *recipeOptions) {
	cmd.Flags().StringArrayVarP(&o.params, "param", "p", nil, "give a parameter of the recipe: -p name=value (repeatable)")
	cmd.Flags().StringVar(&o.file, "params", "", "give parameters by a JSON file; -p wins over it")
	cmd.Flags().BoolVar(&o.allowHost, "allow-host", false, "let the recipe reach files of the host outside its own folder")
	cmd.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		a.help(cmd, args)
		if given := cmd.Flags().Args(); len(given) > 0 {
			a.failed = a.paramHelp(cmd.Context(), given[0], *o)
		}
	})
	err := cmd.RegisterFlagCompletionFunc("param", func(_ *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
		return a.completeParam(args, begin)
	})
	if err != nil {
		panic(err) // the flag is not there: a mistake of ours
	}
}

// given is what parameters are given by, in the order of what wins.
type given struct {
	params    map[string]string
	file      map[string]lua.Given
	env       func(string) (string, bool)
	allowHost bool
	optional  bool
}

func (o *recipeOptions) given() (given, error) {
	g := given{params: map[string]string{}, env: os.LookupEnv, allowHost: o.allowHost, optional: o.optional}
	for _, p := range o.params {
		k, v, ok := strings.Cut(p, "=")
		if !ok || k == "" {
			return g, &usageError{msg: "-p " + k + ": not of the form name=value"}
		}
		g.params[k] = v
	}
	var err error
	if o.file != "" {
		g.file, err = readParams(o.file)
	}
	return g, err
}

// recorded is what a guest's recipe was given when it was brought up: nothing
// of today's environment comes to it.
func recorded(o engine.Origin) given { return given{params: o.Params, allowHost: o.AllowHost} }

// paramHelp lists the parameters of a recipe below the help of a verb.
func (a *app) paramHelp(ctx context.Context, recipe string, o recipeOptions) error {
	o.optional = true
	l, err := a.loadArg(ctx, nil, recipe, o)
	if err != nil {
		return err
	}
	defer l.Close()
	a.ui.printf("\nParameters of %s:\n", recipe)
	if len(l.Params) == 0 {
		a.ui.printf("  none\n")
		return nil
	}
	rows := [][]string{}
	for _, p := range l.Params {
		rows = append(rows, []string{"  " + p.Name, p.Type, paramValueWords(p), paramDoc(p)})
	}
	a.ui.table(rows)
	return nil
}

// paramValueWords is a parameter's value and where it comes from.
func paramValueWords(p *lua.Param) string {
	switch p.From {
	case "":
		return "must be given"
	case "default":
		return "default " + quoteEmpty(p.Words(p.Value))
	}
	text := p.From + ": " + quoteEmpty(p.Words(p.Value))
	if p.Default != nil {
		text += " (default " + quoteEmpty(p.Words(p.Default)) + ")"
	}
	return text
}

func quoteEmpty(s string) string {
	if s == "" {
		return `""`
	}
	return s
}

// paramDoc is what a parameter is for, and what it may be.
func paramDoc(p *lua.Param) string {
	text := p.Doc
	add := func(s string) {
		if text != "" {
			text += "; "
		}
		text += s
	}
	if p.Choices != nil {
		add("one of " + strings.Join(p.Choices, ", "))
	}
	if p.Pattern != "" {
		add("like " + p.Pattern)
	}
	switch {
	case p.Min != nil && p.Max != nil:
		add(p.Words(*p.Min) + " to " + p.Words(*p.Max))
	case p.Min != nil:
		add("at least " + p.Words(*p.Min))
	case p.Max != nil:
		add("at most " + p.Words(*p.Max))
	}
	return text
}

// completeParam completes -p to the recipe's parameters, and to their values
// where those are few.
func (a *app) completeParam(args []string, begin string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, noFiles
	}
	a.ui.quiet = true
	l, err := a.loadArg(context.Background(), nil, args[0], recipeOptions{optional: true})
	if err != nil {
		return nil, noFiles
	}
	defer l.Close()
	name, _, valued := strings.Cut(begin, "=")
	if !valued {
		var names []string
		for _, p := range l.Params {
			names = append(names, p.Name+"=\t"+paramDoc(p))
		}
		return matching(names, nil, begin), noFiles | cobra.ShellCompDirectiveNoSpace
	}
	i := slices.IndexFunc(l.Params, func(p *lua.Param) bool { return p.Name == name })
	if i < 0 {
		return nil, noFiles
	}
	values := l.Params[i].Choices
	switch l.Params[i].Type {
	case "bool":
		values = []string{"false", "true"}
	case "secret":
		values = []string{"env:", "file:"}
	}
	var words []string
	for _, v := range values {
		words = append(words, fmt.Sprintf("%s=%s", name, v))
	}
	return matching(words, nil, begin), noFiles
}
