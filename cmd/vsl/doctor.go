package main

import (
	"context"

	"github.com/spf13/cobra"
)

func (a *app) doctorCommand() *cobra.Command {
	var json bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "what this host offers, and what is missing",
		Long: "Looks at everything vsl may need of this host and says what is missing and what to do about it.\n" +
			"The exit code is 1 when something is missing; much of it only some guests need. What has a - is not\n" +
			"there and not missed: something else does the same.",
		Example: "  sudo vsl doctor",
		Args:    exactly(0, ""),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.runDoctor(cmd.Context(), json) },
	}
	cmd.Flags().BoolVar(&json, "json", false, "print an array of objects")
	return cmd
}

func (a *app) runDoctor(ctx context.Context, json bool) error {
	e, err := a.engine(false)
	if err != nil {
		return err
	}
	findings := e.Doctor(ctx)
	missing := 0
	rows := [][]string{}
	for _, f := range findings {
		mark := "ok"
		switch {
		case f.Spare:
			mark = "-"
		case !f.OK:
			mark = "no"
			missing++
		}
		rows = append(rows, []string{mark, f.Name, f.Detail})
		if !f.OK && f.Remedy != "" {
			rows = append(rows, []string{"", "", "→ " + f.Remedy})
		}
	}
	if json {
		err = a.ui.json(findings)
	} else {
		a.ui.table(rows)
	}
	if err == nil && missing > 0 {
		return &codeError{1}
	}
	return err
}

func (a *app) gcCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "gc",
		Short: "finish what killed commands left",
		Long: "Finishes what commands left that were killed half-way: undoes unfinished runs, releases contexts\n" +
			"and addresses without a guest, removes temporary files and half-built templates. It touches nothing\n" +
			"that runs. vsl up does the same for the guests it brings up.",
		Example: "  vsl gc",
		Args:    exactly(0, ""),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.runGC(cmd.Context()) },
	}
}

func (a *app) runGC(ctx context.Context) error {
	e, err := a.engine(false)
	if err != nil {
		return err
	}
	swept, err := e.GC(ctx)
	for _, d := range swept.Did {
		a.ui.printf("%s\n", clean(d))
	}
	for _, name := range swept.Busy {
		a.ui.note("%s: another vsl is at work on it; where that is one that was killed just now, vsl gc once more", name)
	}
	if err == nil && len(swept.Did)+len(swept.Busy) == 0 {
		a.ui.note("nothing was left")
	}
	return err
}
