package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"vsl/engine"
)

func (a *app) templateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "template",
		Short: "list, build and remove templates",
		Long: "Templates are the read-only file systems that guests are cloned from. vsl up builds what is\n" +
			"missing; these verbs do it alone.",
		Example: "  vsl template ls\n  vsl template build debian-web\n  vsl template rm debian-web",
	}
	cmd.AddCommand(a.templateLsCommand(), a.templateBuildCommand(), a.templateRmCommand())
	return cmd
}

func (a *app) templateLsCommand() *cobra.Command {
	var json bool
	cmd := &cobra.Command{
		Use: "ls", Short: "list built templates", Long: "Lists the templates that are built.", Example: "  vsl template ls",
		Args: exactly(0, ""),
		RunE: func(*cobra.Command, []string) error { return a.runTemplateLs(json) },
	}
	cmd.Flags().BoolVar(&json, "json", false, "print an array of objects")
	return cmd
}

// templateInfo is the JSON of template ls and build.
type templateInfo struct {
	Name    string    `json:"name"`
	Key     string    `json:"key"`
	From    string    `json:"from"`
	Created time.Time `json:"created"`
	Size    int64     `json:"size"`
	Files   int64     `json:"files"`
	Dir     string    `json:"dir"`
}

func (a *app) runTemplateLs(json bool) error {
	e, err := a.engine(false)
	if err != nil {
		return err
	}
	all, err := e.Templates()
	if err != nil {
		return err
	}
	infos := []templateInfo{}
	rows := [][]string{{"NAME", "KEY", "SIZE", "FILES", "AGE", "FROM"}}
	for _, t := range all {
		i := templateInfo{t.Name, t.Key, engine.Source(t.Source).String(), t.Created, t.Size, t.Files, t.Dir()}
		infos = append(infos, i)
		rows = append(rows, []string{i.Name, i.Key[:min(12, len(i.Key))], sizeWords(i.Size), fmt.Sprint(i.Files), span(time.Since(i.Created)), i.From})
	}
	if json {
		return a.ui.json(infos)
	}
	if len(infos) == 0 {
		a.ui.note("no templates: vsl up builds what its recipe needs")
		return nil
	}
	a.ui.table(rows)
	return nil
}

func (a *app) templateBuildCommand() *cobra.Command {
	var o recipeOptions
	cmd := &cobra.Command{
		Use:     "build RECIPE [TEMPLATE…]",
		Short:   "build the templates of a recipe",
		Long:    "Builds the templates that a recipe declares, or those named. What is built already stays.",
		Example: "  vsl template build debian-web",
		Args:    atLeast(1, "a recipe"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runTemplateBuild(cmd.Context(), args[0], args[1:], o)
		},
	}
	cmd.ValidArgsFunction = a.completeRecipe
	a.recipeFlags(cmd, &o)
	return cmd
}

func (a *app) runTemplateBuild(ctx context.Context, recipe string, names []string, o recipeOptions) error {
	e, err := a.engine(false)
	if err != nil {
		return err
	}
	l, err := a.loadArg(ctx, e, recipe, o)
	if err != nil {
		return err
	}
	if err := l.validate(); err != nil {
		return err
	}
	all := l.allTemplates()
	var known []string
	for _, t := range all {
		known = append(known, t.Name)
	}
	for _, n := range names {
		if !slices.Contains(known, n) {
			u := &usageError{msg: fmt.Sprintf("%s: declares no template %q", l.Path, n)}
			if near := engine.Nearest(n, known); near != "" {
				u.hint = fmt.Sprintf("did you mean %q?", near)
			}
			return u
		}
	}
	for _, t := range all {
		if len(names) > 0 && !slices.Contains(names, t.Name) {
			continue
		}
		begin := time.Now()
		tm, err := e.BuildTemplate(ctx, t, l.BuildFlows[t.Name])
		a.ui.live.end()
		if err != nil {
			return err
		}
		if !a.quiet {
			a.ui.printf("template %s  %s  %s\n", t.Name, sizeWords(tm.Size), seconds(time.Since(begin)))
		}
	}
	return nil
}

// allTemplates are the declared templates and those that guests name in place.
func (l *loaded) allTemplates() []*engine.Template {
	all := slices.Clone(l.Templates)
	for _, d := range l.Guests {
		if t := d.Spec.Template; t != nil && !slices.ContainsFunc(all, func(o *engine.Template) bool { return o.Name == t.Name }) {
			all = append(all, t)
		}
	}
	return all
}

func (a *app) templateRmCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "rm TEMPLATE…",
		Short:   "remove templates",
		Long:    "Removes every build of a template. One that guests are cloned from is refused.",
		Example: "  vsl template rm debian-web",
		Args:    atLeast(1, "a template"),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := a.engine(false)
			if err != nil {
				return err
			}
			return each(args, e.RemoveTemplate)
		},
	}
	cmd.ValidArgsFunction = a.completeTemplates
	return cmd
}
