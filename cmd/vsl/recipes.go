package main

import (
	"strings"

	"github.com/spf13/cobra"

	"vsl/recipes"
)

func (a *app) recipesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "recipes",
		Short:   "list and print the embedded recipes",
		Long:    "The recipes that are part of vsl: to be brought up by name, or copied and changed.",
		Example: "  vsl recipes ls\n  vsl recipes show hello > my.lua && vsl up ./my.lua",
	}
	ls := &cobra.Command{
		Use: "ls", Short: "list the embedded recipes", Long: "Lists the embedded recipes.", Example: "  vsl recipes ls",
		Args: exactly(0, ""),
		RunE: func(*cobra.Command, []string) error {
			rows := [][]string{}
			for _, n := range recipes.Names() {
				rows = append(rows, []string{n, firstComment(n)})
			}
			a.ui.table(rows)
			return nil
		},
	}
	show := &cobra.Command{
		Use: "show RECIPE", Short: "print an embedded recipe", Long: "Prints the text of an embedded recipe.",
		Example: "  vsl recipes show hello > my.lua", Args: exactly(1, "a recipe"),
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := findRecipe(args[0])
			if err != nil {
				return err
			}
			a.ui.printf("%s", f.src)
			return nil
		},
	}
	show.ValidArgsFunction = a.completeEmbedded
	cmd.AddCommand(ls, show)
	return cmd
}

// firstComment is the first sentence of a recipe's opening comment.
func firstComment(name string) string {
	src, err := recipes.Read(name)
	if err != nil {
		return ""
	}
	var text []string
	for line := range strings.Lines(string(src)) {
		c, ok := strings.CutPrefix(strings.TrimSpace(line), "--")
		if !ok {
			break
		}
		text = append(text, strings.TrimSpace(strings.TrimLeft(c, "-")))
	}
	all := strings.TrimPrefix(strings.Join(text, " "), name+": ")
	if i := strings.Index(all, ". "); i >= 0 {
		all = all[:i]
	}
	return strings.TrimSuffix(all, ".")
}
