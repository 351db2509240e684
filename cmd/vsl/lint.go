package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vsl/engine"
	"vsl/lua/lint"
	"vsl/lua/modules"
	"vsl/recipes"
)

func (a *app) lintCommand() *cobra.Command {
	var json bool
	cmd := &cobra.Command{
		Use:   "lint [PATH…]",
		Short: "look for mistakes in recipes without reading them as Lua",
		Long: "Looks at the text of recipes and modules, without running them: for what vsl check would refuse, also\n" +
			"in flows and in branches that it does not come by, and for what is allowed and was hardly meant, such\n" +
			"as names that nothing uses. A folder stands for all .lua files in it; without a path it is this one.\n" +
			"Each finding has the name of its rule; a comment on its line keeps it back: -- lint: ignore RULE.\n" +
			"It exits with 2 where it finds something, as vsl check does.\n\nRules:\n" + lintRules(),
		Example: "  vsl lint\n  vsl lint ./shop --json\n  vsl lint hello",
		RunE:    func(_ *cobra.Command, args []string) error { return a.runLint(args, json) },
	}
	cmd.ValidArgsFunction = a.completeRecipe
	cmd.Flags().BoolVar(&json, "json", false, "print what is found as JSON")
	return cmd
}

func lintRules() string {
	var b strings.Builder
	for _, r := range lint.Rules {
		fmt.Fprintf(&b, "  %-14s%s\n", r.Name, r.Doc)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (a *app) runLint(args []string, json bool) error {
	if len(args) == 0 {
		args = []string{"."}
	}
	var files []*recipeFile
	for _, arg := range args {
		more, err := lintFiles(arg)
		if err != nil {
			return err
		}
		files = append(files, more...)
	}
	all := []lint.Finding{}
	for _, f := range files {
		o := lint.Options{}
		if !f.embedded {
			o.Find = (&modules.Folders{Own: filepath.Dir(f.path), User: modules.UserFolder()}).Find
		}
		all = append(all, lint.Text(f.path, string(f.src), o)...)
	}
	if json {
		if err := a.ui.json(all); err != nil {
			return err
		}
	} else {
		for _, f := range all {
			a.ui.printf("%s\n", clean(f.String()))
			if f.Hint != "" {
				a.ui.printf("     %s\n", clean(f.Hint))
			}
		}
	}
	if len(all) > 0 {
		return &codeError{2}
	}
	if !json {
		a.ui.note("%s, nothing found", plural(len(files), "file"))
	}
	return nil
}

// lintFiles are the texts that an argument stands for.
func lintFiles(arg string) ([]*recipeFile, error) {
	info, err := os.Stat(arg)
	if err != nil || !info.IsDir() || slices.Contains(recipes.Names(), arg) {
		f, err := findRecipe(arg)
		return []*recipeFile{f}, err
	}
	var files []*recipeFile
	err = filepath.WalkDir(arg, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != arg && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() || !strings.HasSuffix(path, ".lua") {
			return nil
		}
		src, err := engine.ReadPlain(path, modules.MaxSize)
		files = append(files, &recipeFile{path: path, src: src})
		return err
	})
	if err == nil && len(files) == 0 {
		return nil, &usageError{msg: fmt.Sprintf("folder %s has no .lua file", arg)}
	}
	return files, err
}
