package main

import (
	"context"
	"slices"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"vsl/engine"
	"vsl/recipes"
)

// Completion asks the same places as the verbs do; what cannot be read gives no
// suggestions and no message.

const noFiles = cobra.ShellCompDirectiveNoFileComp

func (a *app) guestNames() []string {
	e, err := a.engine(false)
	if err != nil {
		return nil
	}
	guests, _, err := e.List()
	if err != nil {
		return nil
	}
	var names []string
	for _, g := range guests {
		names = append(names, g.Name())
	}
	return names
}

// matching are the known words that begin so and were not given yet.
func matching(known, given []string, begin string) []string {
	var out []string
	for _, k := range known {
		if strings.HasPrefix(k, begin) && !slices.Contains(given, k) {
			out = append(out, k)
		}
	}
	sort.Strings(out)
	return out
}

func (a *app) completeGuests(_ *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
	return matching(a.guestNames(), args, begin), noFiles
}

// completeOneGuest completes the first argument only; a command follows.
func (a *app) completeOneGuest(_ *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return matching(a.guestNames(), nil, begin), noFiles
}

// completeRecipe completes to embedded recipes, and to files.
func (a *app) completeRecipe(_ *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, noFiles
	}
	return matching(recipes.Names(), nil, begin), cobra.ShellCompDirectiveDefault
}

// completeRecipeThenGuests completes the guests that a recipe declares once the
// recipe is given.
func (a *app) completeRecipeThenGuests(cmd *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return a.completeRecipe(cmd, args, begin)
	}
	a.ui.quiet = true
	l, err := a.loadArg(context.Background(), nil, args[0], recipeOptions{optional: true})
	if err != nil {
		return nil, noFiles
	}
	defer l.Close()
	var names []string
	for _, d := range l.Guests {
		names = append(names, d.Spec.Name)
	}
	for _, p := range l.Pools {
		names = append(names, p.Name)
	}
	return matching(names, args[1:], begin), noFiles
}

func (a *app) completeEmbedded(_ *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, noFiles
	}
	return matching(recipes.Names(), nil, begin), noFiles
}

func (a *app) completeTemplates(_ *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
	e, err := a.engine(false)
	if err != nil {
		return nil, noFiles
	}
	all, err := e.Templates()
	if err != nil {
		return nil, noFiles
	}
	var names []string
	for _, t := range all {
		names = append(names, t.Name)
	}
	return matching(slices.Compact(names), args, begin), noFiles
}

func completeSignals(_ *cobra.Command, _ []string, begin string) ([]string, cobra.ShellCompDirective) {
	return matching(engine.SignalNames(), nil, strings.ToUpper(begin)), noFiles
}

func (a *app) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "print a shell's completion script",
		Long: "Prints the script that makes a shell complete verbs, flags, guests, recipes and templates.\n" +
			"That of bash needs the package bash-completion.",
		Example: "  source <(vsl completion bash)\n  vsl completion bash > /etc/bash_completion.d/vsl\n" +
			"  vsl completion zsh > /usr/local/share/zsh/site-functions/_vsl\n" +
			"  vsl completion fish > ~/.config/fish/completions/vsl.fish",
		Args:      exactly(1, "a shell: bash, zsh or fish"),
		ValidArgs: []string{"bash", "zsh", "fish"},
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.ui.out, true)
			case "zsh":
				return root.GenZshCompletion(a.ui.out)
			case "fish":
				return root.GenFishCompletion(a.ui.out, true)
			}
			return &usageError{msg: "no completion for " + args[0], hint: "bash, zsh and fish there is"}
		},
	}
}
