package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"vsl/engine"
	"vsl/engine/cgroup"
)

func (a *app) statusCommand() *cobra.Command {
	var json bool
	cmd := &cobra.Command{
		Use:   "status NAME…",
		Short: "details of guests",
		Long: "Prints what guests are and use, and how often they met their limits. A pool's name stands for its guests.\n" +
			"The exit code is 3 when one of them is not running.",
		Example: "  vsl status web1\n  vsl status web1 --json",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.runStatus(cmd.Context(), args, json) },
	}
	a.guestArgs(cmd, 1)
	cmd.Flags().BoolVar(&json, "json", false, "print an array of objects")
	return cmd
}

func (a *app) runStatus(ctx context.Context, names []string, json bool) error {
	e, err := a.engine(false)
	if err != nil {
		return err
	}
	var all []statusJSON
	stopped := false
	for _, n := range withPools(e, names) {
		s, err := statusOf(ctx, e, n)
		if err != nil {
			return err
		}
		all = append(all, forJSON(s))
		stopped = stopped || s.PID == 0
	}
	if json {
		err = a.ui.json(all)
	} else {
		for i, s := range all {
			if i > 0 {
				a.ui.printf("\n")
			}
			a.printStatus(s.Status)
		}
	}
	if err == nil && stopped {
		return &codeError{3}
	}
	return err
}

// withPools replaces the names of pools by those of their guests.
func withPools(e *engine.Engine, names []string) []string {
	var out []string
	for _, n := range names {
		of, err := e.PoolGuests(n)
		if _, lookup := e.Lookup(n); err != nil || lookup == nil || len(of) == 0 {
			of = []string{n} // where it is neither, who looks it up says so
		}
		out = append(out, of...)
	}
	return out
}

// statusOf is a guest's status with its usage, which ls leaves out.
func statusOf(ctx context.Context, e *engine.Engine, name string) (engine.Status, error) {
	g, err := e.Lookup(name)
	if err != nil {
		return engine.Status{}, err
	}
	s, err := g.Status(ctx)
	if err != nil {
		return s, err
	}
	if m, ok := g.(interface{ Usage(*engine.Status) error }); ok {
		err = m.Usage(&s)
	}
	return s, err
}

func (a *app) printStatus(s engine.Status) {
	head := s.Name + ": " + stateWords(s)
	if s.PID != 0 && !s.Since.IsZero() {
		if s.State != engine.StateRunning {
			head += ", up"
		}
		head += fmt.Sprintf(" for %s, since %s", uptime(s), s.Since.Local().Format("2006-01-02 15:04:05"))
		if !s.Ready {
			head += ", not ready"
		}
	}
	rows := [][]string{}
	add := func(k, v string) {
		if v != "" && v != "0" {
			rows = append(rows, []string{"  " + k, v})
		}
	}
	if s.Failed != nil {
		add("failed", "at "+s.Failed.At.Local().Format("2006-01-02 15:04:05")+", and was kept: vsl up makes it good, vsl rm -f removes it")
	}
	if s.Ended != nil {
		add("ended", s.Ended.String())
	}
	add("xid", fmt.Sprint(s.XID))
	add("ip", strings.Join(s.IP, " "))
	if s.Hostname != s.Name {
		add("hostname", s.Hostname)
	}
	add("template", s.Template)
	add("clone", s.Clone)
	if s.Spare {
		s.Pool += ", which has become smaller"
	}
	add("pool", s.Pool)
	add("recipe", s.Recipe)
	add("init", s.Init)
	add("pid", pid(s))
	add("processes", fmt.Sprint(s.Processes))
	add("cgroup", s.CGroup)
	a.ui.printf("%s\n", clean(head))
	for _, r := range limitRows(s) {
		add(r.name, strings.TrimPrefix(strings.Join(r.parts(), ", "), ", "))
	}
	a.ui.table(rows)
}

// limitRow is one thing that can be limited: its limit, use and hits, in words;
// "" where there is nothing to say.
type limitRow struct{ name, limit, used, hits string }

func (r limitRow) parts() []string {
	var out []string
	if r.used != "" {
		out = append(out, r.used+" used")
	}
	if r.limit != "" {
		out = append(out, "limit "+r.limit)
	}
	if r.hits != "" {
		out = append(out, r.hits)
	}
	return out
}

// limitRows lists what is limited or counted.
func limitRows(s engine.Status) []limitRow {
	var l engine.Limits
	if s.Limits != nil {
		l = *s.Limits
	}
	rows := []limitRow{
		{name: "memory", limit: size(l.Memory)}, {name: "swap", limit: size(l.Swap)},
		{name: "cpu", limit: cores(l.CPU)}, {name: "pids", limit: count(l.Pids)},
	}
	if u := s.Usage; u != nil {
		rows[0].used, rows[1].used, rows[3].used = used(u.Memory, sizeWords), used(u.Swap, sizeWords), used(u.Pids, plain)
		if u.MemoryPeak > 0 {
			rows[0].used += ", " + sizeWords(u.MemoryPeak) + " at most"
		}
		if u.CPU >= 0 {
			rows[2].used = fmt.Sprintf("%.2f s", u.CPU.Seconds())
		}
		rows[0].hits = joinHits(hit(u.Hits.Memory, "reached %d times"), hit(u.Hits.OOMKills, "%d processes killed"))
		rows[2].hits = hit(u.Hits.Throttled, "throttled %d times")
		rows[3].hits = hit(u.Hits.Pids, "%d forks refused")
	}
	rows = append(rows, socketLimits(l, s.Sockets)...)
	rows = append(rows, socketRow(l, s.Usage))
	rows = append(rows, otherLimits(l)...)
	out := rows[:0]
	for _, r := range rows {
		if r.limit != "" || r.used != "" || r.hits != "" {
			out = append(out, r)
		}
	}
	return out
}

// socketRow is what sockets queue: part of memory, or as much again where the kernel
// counts it by itself. Of a guest that has no sockets there is nothing to say.
func socketRow(l engine.Limits, u *cgroup.Usage) limitRow {
	r := limitRow{name: "socket memory"}
	if u == nil || l.Memory == nil || *l.Memory < 0 || max(u.Sockets, u.SocketPeak) <= 0 {
		return limitRow{}
	}
	r.used = used(u.Sockets, sizeWords)
	if u.SocketPeak >= 0 {
		r.limit = size(l.Memory)
		r.used += ", " + sizeWords(u.SocketPeak) + " at most"
	} else {
		r.limit = "in memory"
	}
	return r
}

// socketLimits are shown as they are kept: a guest that sets none has some too.
func socketLimits(l engine.Limits, u *engine.SocketUse) []limitRow {
	sockets, ports := limitRow{name: "sockets", limit: count(l.Sockets)}, limitRow{name: "ports", limit: count(l.Ports)}
	if u == nil {
		return []limitRow{sockets, ports}
	}
	bound := func(n uint32) string {
		if n == engine.NoSocketBound {
			return "unlimited"
		}
		return plain(int64(n))
	}
	sockets.limit, sockets.used = bound(u.Bounds.Sockets), plain(int64(u.Held.Sockets))
	ports.limit, ports.used = bound(u.Bounds.Ports), plain(int64(u.Held.Ports))
	if u.Lingering > 0 {
		ports.used += fmt.Sprintf(", and %d given back a while ago", u.Lingering)
	}
	sockets.hits, ports.hits = hit(int64(u.Refused.Sockets), "%d sockets refused"), hit(int64(u.Refused.Ports), "%d ports refused")
	return []limitRow{sockets, ports}
}

// otherLimits are those that nothing is counted for.
func otherLimits(l engine.Limits) []limitRow {
	rows := []limitRow{
		{name: "memory_high", limit: size(l.MemoryHigh)}, {name: "cpu_weight", limit: number(l.CPUWeight)},
		{name: "io_weight", limit: number(l.IOWeight)}, {name: "nice", limit: number(l.Nice)},
	}
	if l.CPUBurst != nil {
		rows = append(rows, limitRow{name: "cpu_burst", limit: l.CPUBurst.String()})
	}
	if l.CPUSet != nil && *l.CPUSet != "" {
		rows = append(rows, limitRow{name: "cpuset", limit: *l.CPUSet})
	}
	if l.OOMGroup != nil {
		rows = append(rows, limitRow{name: "oom_group", limit: fmt.Sprint(*l.OOMGroup)})
	}
	if l.Sched != nil {
		rows = append(rows, limitRow{name: "sched", limit: strings.TrimSuffix(fmt.Sprintf("%s:%d", l.Sched.Policy, l.Sched.Priority), ":0")})
	}
	for _, io := range l.IO {
		var parts []string
		for _, b := range []struct {
			name string
			v    int64
		}{{"read_bps", io.ReadBPS}, {"write_bps", io.WriteBPS}, {"read_iops", io.ReadIOPS}, {"write_iops", io.WriteIOPS}} {
			if b.v > 0 {
				parts = append(parts, fmt.Sprintf("%s=%d", b.name, b.v))
			}
		}
		rows = append(rows, limitRow{name: "io " + io.Device, limit: strings.Join(parts, " ")})
	}
	for _, n := range sortedNames(l.Rlimits) {
		r := l.Rlimits[n]
		rows = append(rows, limitRow{name: "rlimits." + n, limit: orUnlimited(r.Soft) + ":" + orUnlimited(r.Hard)})
	}
	return rows
}

func orUnlimited(n int64) string {
	if n < 0 {
		return "unlimited"
	}
	return fmt.Sprint(n)
}

func sizeWords(n int64) string { return units.BytesSize(float64(n)) }
func plain(n int64) string     { return fmt.Sprint(n) }

func used(n int64, word func(int64) string) string {
	if n < 0 {
		return "" // no controller counts it
	}
	return word(n)
}

func size(n *int64) string {
	if n == nil || *n < 0 {
		return ""
	}
	return sizeWords(*n)
}

func count(n *int64) string {
	if n == nil || *n < 0 {
		return ""
	}
	return fmt.Sprint(*n)
}

func number(n *int) string {
	if n == nil {
		return ""
	}
	return fmt.Sprint(*n)
}

func cores(n *float64) string {
	if n == nil || *n < 0 {
		return ""
	}
	return fmt.Sprintf("%g cores", *n)
}

func hit(n int64, words string) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(words, n)
}

func joinHits(hits ...string) string {
	var out []string
	for _, h := range hits {
		if h != "" {
			out = append(out, h)
		}
	}
	return strings.Join(out, ", ")
}
