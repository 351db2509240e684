package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vsl/engine"
)

func (a *app) lsCommand() *cobra.Command {
	var json bool
	cmd := &cobra.Command{
		Use:     "ls",
		Short:   "list guests",
		Long:    "Lists the guests of this host and what they do.",
		Example: "  vsl ls\n  vsl ls --json | jq -r '.[] | select(.state == \"running\") | .name'",
		Args:    exactly(0, ""),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.runLs(cmd.Context(), json) },
	}
	cmd.Flags().BoolVar(&json, "json", false, "print an array of objects")
	return cmd
}

func (a *app) runLs(ctx context.Context, json bool) error {
	e, err := a.engine(false)
	if err != nil {
		return err
	}
	guests, bad, err := e.List()
	if err != nil {
		return err
	}
	all := []statusJSON{}
	for _, g := range guests {
		s, err := g.Status(ctx)
		var d *engine.Damage
		if errors.As(err, &d) {
			bad = append(bad, d)
			continue
		}
		if err != nil {
			return err
		}
		all = append(all, forJSON(s))
	}
	for _, d := range bad {
		all = append(all, forJSON(engine.Status{Name: d.Guest, State: engine.StateBroken, IP: []string{}}))
	}
	slices.SortStableFunc(all, func(a, b statusJSON) int { return strings.Compare(a.Name, b.Name) })
	defer a.tellBad(bad)
	if json {
		return a.ui.json(all)
	}
	if len(all) == 0 {
		a.ui.note("no guests: vsl up hello makes one")
		return nil
	}
	pools := slices.ContainsFunc(all, func(j statusJSON) bool { return j.Pool != "" })
	row := func(name, xid, state, pid, ip, template, pool, uptime string) []string {
		r := []string{name, xid, state, pid, ip, template}
		if pools {
			r = append(r, pool)
		}
		return append(r, uptime)
	}
	xid := func(n int) string {
		if n == 0 {
			return "-"
		}
		return strconv.Itoa(n)
	}
	rows := [][]string{row("NAME", "XID", "STATE", "PID", "IP", "TEMPLATE", "POOL", "UPTIME")}
	for _, j := range all {
		s := j.Status
		rows = append(rows, row(s.Name, xid(s.XID), stateWords(s), dash(pid(s)), dash(strings.Join(s.IP, " ")),
			dash(s.Template), dash(s.Pool), dash(uptime(s))))
	}
	a.ui.table(rows)
	return nil
}

// tellBad names the guests that cannot be read, and what to do about them.
func (a *app) tellBad(bad []*engine.Damage) {
	for _, d := range bad {
		a.ui.note("%v", d)
		a.ui.note("  %s", d.Hint)
	}
}

// statusJSON is a status whose since is there, as null, for stopped guests too.
type statusJSON struct {
	engine.Status
	Since *time.Time `json:"since"`
}

func forJSON(s engine.Status) statusJSON {
	j := statusJSON{Status: s}
	if !s.Since.IsZero() {
		j.Since = &s.Since
	}
	return j
}

// stateWords is a guest's state, and of one that failed the phase.
func stateWords(s engine.Status) string {
	if s.Failed != nil {
		return fmt.Sprintf("%s (%s)", s.State, s.Failed.Phase)
	}
	return string(s.State)
}

func pid(s engine.Status) string {
	if s.PID == 0 {
		return ""
	}
	return strconv.Itoa(s.PID)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// uptime is the time since a running guest's boot, in its two largest units.
func uptime(s engine.Status) string {
	if s.PID == 0 || s.Since.IsZero() {
		return ""
	}
	return span(time.Since(s.Since))
}

func span(d time.Duration) string {
	sec := int(d.Seconds())
	switch {
	case sec < 60:
		return fmt.Sprintf("%ds", sec)
	case sec < 3600:
		return fmt.Sprintf("%dm%02ds", sec/60, sec%60)
	case sec < 86400:
		return fmt.Sprintf("%dh%02dm", sec/3600, sec/60%60)
	}
	return fmt.Sprintf("%dd%02dh", sec/86400, sec/3600%24)
}
