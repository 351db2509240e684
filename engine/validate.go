package engine

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"vsl/engine/cgroup"
	"vsl/engine/internal/sys"
	"vsl/engine/store"
)

// Validate finds every mistake in a set of declarations at once. It looks at
// the data alone: what this host offers is checked when a plan is carried out.
func Validate(specs []*Spec) error {
	v := &validator{byName: map[string]*Spec{}, templates: map[string]*Template{}}
	for _, s := range specs {
		v.guest(s)
	}
	for _, s := range specs {
		v.dependencies(s)
	}
	v.cycles(specs)
	v.sharedAddresses(specs)
	return v.err()
}

func (v *validator) err() error { return errors.Join(v.errs...) }

// wrap notes a mistake that a leaf found. An OpError's hint becomes the
// mistake's own.
func (v *validator) wrap(s *Spec, key string, err error) {
	hint := ""
	var op *OpError
	if errors.As(err, &op) && op.Hint != "" {
		plain := *op
		hint, plain.Hint = op.Hint, ""
		err = &plain
	}
	v.fail(s, key, hint, "%v", err)
	v.errs[len(v.errs)-1].(*SpecError).Err = err
}

type validator struct {
	byName    map[string]*Spec
	templates map[string]*Template
	leaving   []*guest // run now, and will not when the others come up
	errs      []error
}

func (v *validator) fail(s *Spec, key, hint, format string, args ...any) {
	pos := s.Pos
	if p, ok := s.KeyPos[key]; ok {
		pos = p
	}
	v.errs = append(v.errs, &SpecError{Pos: pos, Guest: s.Name, Msg: fmt.Sprintf(format, args...), Hint: hint})
}

func (v *validator) guest(s *Spec) {
	if err := store.ValidName(s.Name); err != nil {
		v.fail(s, "", "", "bad name: %v", err)
	}
	if first, dup := v.byName[s.Name]; dup {
		v.fail(s, "", "names are unique in a recipe", "declared twice; the first is at %s", first.Pos)
	} else {
		v.byName[s.Name] = s
	}
	if s.Template == nil {
		v.fail(s, "template", "host() needs no download", "it has no template")
	} else {
		v.template(s, s.Template)
	}
	if s.Init != nil && s.Command != nil {
		v.fail(s, "command", "a command runs below vsl's own small init", "init and command exclude each other")
	}
	if (s.Init != nil && len(s.Init) == 0) || (s.Command != nil && len(s.Command) == 0) {
		v.fail(s, "command", "the first item is the program", "an empty list cannot be run")
	}
	if !slices.Contains([]string{"", "overlay", "reflink", "copy"}, s.Clone) {
		v.fail(s, "clone", "overlay, reflink or copy", "unknown kind of clone %q", s.Clone)
	}
	if s.Hostname != "" {
		if err := store.ValidName(s.Hostname); err != nil {
			v.fail(s, "hostname", "", "bad hostname: %v", err)
		}
	}
	v.limits(s)
	v.net(s)
	v.stop(s)
	v.probe(s)
}

func (v *validator) template(s *Spec, t *Template) {
	if err := store.ValidName(t.Name); err != nil {
		v.fail(s, "template", "", "bad template name: %v", err)
	}
	if other, ok := v.templates[t.Name]; ok && other != t && !equalJSON(other.From, t.From) {
		v.fail(s, "template", "", "template %q is declared twice, at %s and at %s", t.Name, other.Pos, t.Pos)
	}
	v.templates[t.Name] = t
	if t.From.Kind == "tar" && !filepath.IsAbs(t.From.Path) {
		v.fail(s, "template", "", "tar path %q is not absolute", t.From.Path)
	}
}

func (v *validator) limits(s *Spec) {
	l := s.Limits
	atLeast := func(key string, p *int64, least int64) {
		if p != nil && *p != -1 && *p < least {
			v.fail(s, "limit."+key, fmt.Sprintf("at least %d", least), "limit.%s is %d", key, *p)
		}
	}
	for key, p := range map[string]*int64{"memory": l.Memory, "memory_high": l.MemoryHigh} {
		if p != nil && *p != -1 && *p < 1<<20 {
			v.fail(s, "limit."+key, "at least 1M", "limit.%s is %d bytes", key, *p)
		}
	}
	atLeast("swap", l.Swap, 0)
	atLeast("pids", l.Pids, 1)
	for key, p := range map[string]*int64{"sockets": l.Sockets, "ports": l.Ports} {
		atLeast(key, p, 0)
		if p != nil && s.Net.mode() == "none" {
			v.fail(s, "limit."+key, "with ip or net = \"bind\"", "limit.%s is for guests on the host's network", key)
		}
	}
	if l.CPU != nil && *l.CPU != -1 && (*l.CPU < 0.01 || *l.CPU > 4096) {
		v.fail(s, "limit.cpu", "cores, as in 0.5, or a share, as in \"50%\"", "limit.cpu is %g", *l.CPU)
	}
	for key, w := range map[string]*int{"cpu_weight": l.CPUWeight, "io_weight": l.IOWeight} {
		if w != nil && (*w < 1 || *w > 10000) {
			v.fail(s, "limit."+key, "1 to 10000, 100 is normal", "limit.%s is %d", key, *w)
		}
	}
	v.rlimits(s)
	if l.Nice != nil && (*l.Nice < -20 || *l.Nice > 19) {
		v.fail(s, "limit.nice", "-20 to 19", "limit.nice is %d", *l.Nice)
	}
	if l.Sched != nil {
		v.sched(s, l.Sched)
	}
	v.cpusAndDisks(s)
}

// cpusAndDisks holds what only the kernel would refuse: a list that is none, saving up more
// than there is, a disk that cannot be found by its name.
func (v *validator) cpusAndDisks(s *Spec) {
	l := s.Limits
	if l.CPUSet != nil {
		if _, err := cgroup.ParseCPUSet(*l.CPUSet); err != nil {
			v.fail(s, "limit.cpuset", "", "limit.cpuset: %v", err)
		}
	}
	if l.CPU != nil && *l.CPU > 0 && l.CPUBurst != nil {
		if most := time.Duration(*l.CPU * float64(cgroup.Period)); *l.CPUBurst > most {
			v.fail(s, "limit.cpu_burst", "", "limit.cpu_burst is %s, more than the %s that limit.cpu gives in each %s", *l.CPUBurst, most, cgroup.Period)
		}
	}
	for _, io := range l.IO {
		if !cgroup.DiskName(io.Device) {
			v.fail(s, "limit.io", "a path such as /dev/vda, or a number such as 254:0", "limit.io: %q is no disk", io.Device)
		}
	}
}

func (v *validator) rlimits(s *Spec) {
	for _, name := range sortedKeys(s.Limits.Rlimits) {
		if _, ok := sys.Rlimits[name]; !ok {
			v.fail(s, "limit.rlimits", suggest(name, sys.Rlimits), "unknown rlimit %q", name)
		}
		if err := s.Limits.Rlimits[name].Check(); err != nil {
			v.fail(s, "limit.rlimits", "the hard limit is how far a process may raise the soft one", "limit.rlimits.%s: %v", name, err)
		}
	}
}

func (v *validator) sched(s *Spec, c *Sched) {
	if _, ok := sys.SchedPolicies[c.Policy]; !ok {
		v.fail(s, "limit.sched", suggest(c.Policy, sys.SchedPolicies), "unknown scheduling policy %q", c.Policy)
	}
	if real := c.Policy == "fifo" || c.Policy == "rr"; real && (c.Priority < 1 || c.Priority > 99) {
		v.fail(s, "limit.sched", "1 to 99", "priority of %s is %d", c.Policy, c.Priority)
	} else if !real && c.Priority != 0 {
		v.fail(s, "limit.sched", "only fifo and rr have one", "policy %s has no priority", c.Policy)
	}
}

func (v *validator) net(s *Spec) {
	if !slices.Contains([]string{"", "bind", "none"}, s.Net.Mode) {
		v.fail(s, "net", "bind or none", "unknown net %q", s.Net.Mode)
	}
	if s.Net.Mode == "none" && len(s.Net.Addrs) > 0 {
		v.fail(s, "net", "leave net out", "net = \"none\" and ip exclude each other")
	}
	for _, a := range s.Net.Addrs {
		p, err := a.prefix()
		switch {
		case err != nil:
			v.fail(s, "ip", "as in \"198.51.100.5\" or \"198.51.100.5/24\"", "%q is not an address", a.IP)
		default:
			if msg, hint := unfit(p); msg != "" {
				v.fail(s, "ip", hint, "%s %s", a.IP, msg)
			}
		}
	}
}

func (v *validator) stop(s *Spec) {
	names := []string{s.Stop.Signal}
	for _, st := range s.Stop.Sequence {
		names = append(names, st.Signal)
		if st.Wait < 0 {
			v.fail(s, "stop", "", "negative wait")
		}
	}
	for _, n := range names {
		if _, err := ParseSignal(n); n != "" && err != nil {
			v.fail(s, "stop", "", "%v", err)
		}
	}
}

func (v *validator) probe(s *Spec) {
	if p := s.Ready; p != nil && (p.Kind == "tcp" || p.Kind == "http") && (p.Port < 1 || p.Port > 65535) {
		v.fail(s, "ready", "1 to 65535", "port of probe.%s is %d", p.Kind, p.Port)
	}
}

func (v *validator) dependencies(s *Spec) {
	for _, dep := range sortedKeys(s.After) {
		if _, ok := v.byName[dep]; !ok {
			v.fail(s, "after", suggest(dep, v.byName), "it comes after %q, which this recipe does not declare", dep)
		}
		if c := s.After[dep]; c != "started" && c != "ready" {
			v.fail(s, "after", "started or ready", "unknown condition %q of %q", c, dep)
		}
	}
}

// cycles reports each cycle of dependencies once, with the lines of its guests.
func (v *validator) cycles(specs []*Spec) {
	const (
		open = 1
		done = 2
	)
	state := map[string]int{}
	var path []string
	var visit func(name string)
	visit = func(name string) {
		s := v.byName[name]
		if s == nil || state[name] == done {
			return
		}
		if state[name] == open {
			loop := append(slices.Clone(path[slices.Index(path, name):]), name)
			var at []string
			for _, n := range loop[:len(loop)-1] {
				at = append(at, fmt.Sprintf("%s at %s", n, v.byName[n].Pos))
			}
			v.fail(s, "after", "", "dependency cycle: %s (%s)", strings.Join(loop, " -> "), strings.Join(at, ", "))
			return
		}
		state[name] = open
		path = append(path, name)
		for _, dep := range sortedKeys(s.After) {
			visit(dep)
		}
		path = path[:len(path)-1]
		state[name] = done
	}
	for _, s := range specs {
		visit(s.Name)
	}
}

// sharedAddresses refuses an address that two guests of one recipe claim.
func (v *validator) sharedAddresses(specs []*Spec) {
	owner := map[netip.Addr]*Spec{}
	for _, s := range specs {
		for _, a := range s.Net.Addrs {
			p, err := a.prefix()
			if err != nil {
				continue
			}
			if o := owner[p.Addr()]; o != nil && o.Name != s.Name {
				v.fail(s, "ip", "each guest needs its own", "%s is also the address of %q at %s", p.Addr(), o.Name, o.Pos)
			}
			owner[p.Addr()] = s
		}
	}
}

func suggest[V any](word string, known map[string]V) string {
	if near := Nearest(word, sortedKeys(known)); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "known: " + strings.Join(sortedKeys(known), ", ")
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
