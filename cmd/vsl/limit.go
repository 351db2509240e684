package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vsl/engine"
	"vsl/engine/cgroup"
	"vsl/lua/bind"
)

func (a *app) limitCommand() *cobra.Command {
	var json bool
	cmd := &cobra.Command{
		Use:   "limit NAME [KEY=VALUE…]",
		Short: "show or change what a guest may use",
		Long: "Changes limits of a guest, at once where it runs. They are kept until its recipe is applied again, by\n" +
			"vsl up or vsl restart, which puts back what the recipe says; vsl plan shows that it would. Without\n" +
			"values it shows limits, use and hits.\n" +
			"Keys are those of limit in a recipe: memory, memory_high, swap (256M), cpu (0.5 or 50%), cpu_burst\n" +
			"(10ms), cpu_weight, io_weight (1..10000), cpuset (0-1,4), pids, sockets, ports, oom_group (true), nice, sched\n" +
			"(fifo:10), rlimits.nofile (1024 or 1024:4096), io (/dev/vda,read_bps=10M,write_iops=100).\n" +
			"The value unlimited takes a limit away.",
		Example: "  vsl limit web1 memory=512M cpu=50%\n  vsl limit web1",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runLimit(cmd.Context(), args[0], args[1:], json)
		},
	}
	a.guestArgs(cmd, 1)
	cmd.ValidArgsFunction = func(c *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return a.completeOneGuest(c, args, begin)
		}
		var keys []string
		for _, k := range sortedNames(limitKeys) {
			keys = append(keys, k+"=")
		}
		return matching(keys, nil, begin), noFiles | cobra.ShellCompDirectiveNoSpace
	}
	cmd.Flags().BoolVar(&json, "json", false, "print limits and use as JSON")
	return cmd
}

func (a *app) runLimit(ctx context.Context, name string, pairs []string, json bool) error {
	e, err := a.engine(false)
	if err != nil {
		return err
	}
	g, err := e.Lookup(name)
	if err != nil {
		return err
	}
	if len(pairs) > 0 {
		l, err := parseLimits(pairs)
		if err != nil {
			return err
		}
		check := &engine.Spec{Name: g.Name(), Template: g.Spec().Template, Net: g.Spec().Net, Limits: l}
		if err := engine.Validate([]*engine.Spec{check}); err != nil {
			return err
		}
		if err := g.Limit(ctx, l); err != nil || !json {
			return err
		}
	}
	s, err := statusOf(ctx, e, name)
	if err != nil {
		return err
	}
	if json {
		return a.ui.json(struct {
			Name    string            `json:"name"`
			Limits  *engine.Limits    `json:"limits"`
			Usage   *cgroup.Usage     `json:"usage"`
			Sockets *engine.SocketUse `json:"sockets,omitempty"`
		}{s.Name, s.Limits, s.Usage, s.Sockets})
	}
	rows := [][]string{{"WHAT", "LIMIT", "USED", "HITS"}}
	for _, r := range limitRows(s) {
		rows = append(rows, []string{r.name, dash(r.limit), dash(r.used), dash(r.hits)})
	}
	a.ui.table(rows)
	return nil
}

// limitKeys parse the value of one key into limits.
var limitKeys = map[string]func(l *engine.Limits, v string) error{
	"memory":      func(l *engine.Limits, v string) error { return set(&l.Memory, v, bind.ParseSize) },
	"memory_high": func(l *engine.Limits, v string) error { return set(&l.MemoryHigh, v, bind.ParseSize) },
	"swap":        func(l *engine.Limits, v string) error { return set(&l.Swap, v, bind.ParseSize) },
	"cpu":         func(l *engine.Limits, v string) error { return set(&l.CPU, v, bind.ParseCPU) },
	"cpu_burst":   func(l *engine.Limits, v string) error { return set(&l.CPUBurst, v, parseBurst) },
	"cpu_weight":  func(l *engine.Limits, v string) error { return set(&l.CPUWeight, v, parseWeight) },
	"cpuset":      func(l *engine.Limits, v string) error { return set(&l.CPUSet, v, parseCPUSet) },
	"pids":        func(l *engine.Limits, v string) error { return set(&l.Pids, v, parseCount) },
	"sockets":     func(l *engine.Limits, v string) error { return set(&l.Sockets, v, parseCount) },
	"ports":       func(l *engine.Limits, v string) error { return set(&l.Ports, v, parseCount) },
	"io_weight":   func(l *engine.Limits, v string) error { return set(&l.IOWeight, v, parseWeight) },
	"oom_group":   func(l *engine.Limits, v string) error { return set(&l.OOMGroup, v, strconv.ParseBool) },
	"nice":        func(l *engine.Limits, v string) error { return set(&l.Nice, v, parseInt) },
	"sched":       parseSched,
	"io":          parseIO,
}

func set[T any](to **T, v string, parse func(string) (T, error)) error {
	x, err := parse(v)
	*to = &x
	return err
}

func parseLimits(pairs []string) (engine.Limits, error) {
	var l engine.Limits
	for _, p := range pairs {
		k, v, ok := strings.Cut(p, "=")
		if !ok {
			return l, &usageError{msg: fmt.Sprintf("%s: not of the form key=value", p), hint: "as in memory=256M"}
		}
		parse := limitKeys[k]
		if name, isRlimit := strings.CutPrefix(k, "rlimits."); isRlimit {
			parse = func(l *engine.Limits, v string) error { return parseRlimit(l, name, v) }
		}
		if parse == nil {
			u := &usageError{msg: fmt.Sprintf("unknown limit %q", k), hint: "vsl limit --help lists them"}
			if near := engine.Nearest(k, sortedNames(limitKeys)); near != "" {
				u.hint = fmt.Sprintf("did you mean %q?", near)
			}
			return l, u
		}
		if err := parse(&l, v); err != nil {
			return l, &usageError{msg: fmt.Sprintf("%s: %v", k, err)}
		}
	}
	return l, nil
}

func parseInt(v string) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", v)
	}
	return n, nil
}

func parseCount(v string) (int64, error) {
	if v == "unlimited" {
		return cgroup.Unlimited, nil
	}
	n, err := parseInt(v)
	if err == nil && n < 0 {
		err = fmt.Errorf("%q is negative", v)
	}
	return int64(n), err
}

func parseCPUSet(v string) (string, error) {
	if v == "unlimited" {
		return "", nil
	}
	return bind.ParseCPUSet(v)
}

// parseBurst reads how much may be saved up; without a limit of it nothing is.
func parseBurst(v string) (time.Duration, error) {
	if v == "unlimited" {
		return 0, nil
	}
	return bind.ParseDuration(v)
}

// parseWeight reads a weight; the one that everybody begins with is no limit.
func parseWeight(v string) (int, error) {
	if v == "unlimited" {
		return 100, nil
	}
	return parseInt(v)
}

func parseSched(l *engine.Limits, v string) error {
	policy, prio, _ := strings.Cut(v, ":")
	l.Sched = &engine.Sched{Policy: policy}
	if prio == "" {
		return nil
	}
	var err error
	l.Sched.Priority, err = parseInt(prio)
	return err
}

// parseIO reads "/dev/vda,read_bps=10M,write_iops=100".
func parseIO(l *engine.Limits, v string) error {
	parts := strings.Split(v, ",")
	io := cgroup.IOLimit{Device: parts[0]}
	keys := map[string]*int64{"read_bps": &io.ReadBPS, "write_bps": &io.WriteBPS, "read_iops": &io.ReadIOPS, "write_iops": &io.WriteIOPS}
	if len(parts) < 2 {
		return fmt.Errorf("%q names no bound, as in /dev/vda,read_bps=10M", v)
	}
	for _, p := range parts[1:] {
		k, val, _ := strings.Cut(p, "=")
		to, ok := keys[k]
		if !ok {
			return fmt.Errorf("unknown bound %q: read_bps, write_bps, read_iops and write_iops there are", k)
		}
		n, err := bind.ParseSize(val)
		if err == nil && n == 0 {
			err = errors.New("0 would let nothing through")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", k, err)
		}
		*to = n
	}
	l.IO = append(l.IO, io)
	return nil
}

// parseRlimit reads "1024" or "1024:4096".
func parseRlimit(l *engine.Limits, name, v string) error {
	soft, hard, both := strings.Cut(v, ":")
	if !both {
		hard = soft
	}
	var r engine.Rlimit
	var err error
	if r.Soft, err = bind.ParseSize(soft); err != nil {
		return err
	}
	if r.Hard, err = bind.ParseSize(hard); err != nil {
		return err
	}
	if l.Rlimits == nil {
		l.Rlimits = map[string]engine.Rlimit{}
	}
	l.Rlimits[name] = r
	return nil
}
