package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"vsl/engine"
)

func (a *app) auditCommand() *cobra.Command {
	var json bool
	cmd := &cobra.Command{
		Use:   "audit NAME…",
		Short: "what keeps running guests apart, measured",
		Long: "Measures, inside each guest and at this moment, what is isolated and by which mechanism, what is\n" +
			"limited, and what the host and its guests share. A process with the powers of guest root tries each\n" +
			"wall; every attempt is harmless where it succeeds. The exit code is 1 when a wall is open.",
		Example: "  sudo vsl audit web1\n  sudo vsl audit web1 --json",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.runAudit(cmd.Context(), args, json) },
	}
	a.guestArgs(cmd, 1)
	cmd.Flags().BoolVar(&json, "json", false, "print an array of objects, one for each guest")
	return cmd
}

// auditJSON is a guest's audit as --json prints it.
type auditJSON struct {
	Guest string             `json:"guest"`
	Open  int                `json:"open"` // walls that did not stand
	Items []engine.AuditItem `json:"items"`
}

func (a *app) runAudit(ctx context.Context, names []string, json bool) error {
	e, err := a.engine(false)
	if err != nil {
		return err
	}
	var all []auditJSON
	open := 0
	for _, n := range withPools(e, names) {
		items, err := e.Audit(ctx, n)
		if err != nil {
			return err
		}
		r := auditJSON{Guest: n, Items: items}
		for _, i := range items {
			if i.State == engine.AuditOpen {
				r.Open++
			}
		}
		open += r.Open
		all = append(all, r)
	}
	if json {
		err = a.ui.json(all)
	} else {
		for i, r := range all {
			if i > 0 {
				a.ui.printf("\n")
			}
			a.printAudit(r)
		}
	}
	if err == nil && open > 0 {
		return &codeError{1}
	}
	return err
}

func (a *app) printAudit(r auditJSON) {
	counts := map[string]int{}
	rows := [][]string{}
	area := ""
	for _, i := range r.Items {
		counts[i.State]++
		head := ""
		if i.Area != area {
			head, area = i.Area, i.Area
		}
		by := i.By
		if by == "" {
			by = "-"
		}
		rows = append(rows, []string{i.State, head, i.What, by, i.Seen})
	}
	var said []string
	for _, s := range []string{engine.AuditOpen, engine.AuditUnknown, engine.AuditIsolated, engine.AuditLimited, engine.AuditShared} {
		if counts[s] > 0 {
			said = append(said, fmt.Sprintf("%d %s", counts[s], s))
		}
	}
	a.ui.printf("%s: %s\n", clean(r.Guest), strings.Join(said, ", "))
	a.ui.table(rows)
}
