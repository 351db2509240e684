package engine

import (
	"errors"
	"strings"
	"testing"

	"vsl/engine/netdev"
)

func hostTemplate() *Template { return &Template{Name: "host", From: Source{Kind: "host"}} }

func spec(name string, change func(*Spec)) *Spec {
	s := &Spec{Name: name, Template: hostTemplate(), Pos: Pos{File: "r.lua", Line: len(name)}}
	if change != nil {
		change(s)
	}
	return s
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		name  string
		specs []*Spec
		want  []string // each in the error's text; none: valid
	}{
		{"valid", []*Spec{spec("web", func(s *Spec) { s.After = map[string]string{"db": "ready"} }), spec("db", nil)}, nil},
		{"name", []*Spec{spec("../x", nil)}, []string{`r.lua:4: guest "../x": bad name`}},
		{"duplicate", []*Spec{spec("a", nil), spec("a", nil)}, []string{"declared twice; the first is at r.lua:1"}},
		{"unknown dependency", []*Spec{spec("web", func(s *Spec) { s.After = map[string]string{"dbs": "ready"} }), spec("db", nil)},
			[]string{`comes after "dbs", which this recipe does not declare (did you mean "db"?)`}},
		{"cycle", []*Spec{
			spec("a", func(s *Spec) { s.After = map[string]string{"bb": "ready"} }),
			spec("bb", func(s *Spec) { s.After = map[string]string{"a": "started"} })},
			[]string{"dependency cycle: a -> bb -> a (a at r.lua:1, bb at r.lua:2)"}},
		{"self", []*Spec{spec("a", func(s *Spec) { s.After = map[string]string{"a": "ready"} })}, []string{"dependency cycle: a -> a"}},
		{"several at once", []*Spec{spec("a", func(s *Spec) {
			s.Clone, s.Init, s.Command = "cow", []string{"/sbin/init"}, []string{"sh"}
			s.Limits.Memory, s.Limits.CPU = ptr[int64](5), ptr(0.0)
			s.Stop.Signal = "TREM"
		})}, []string{`unknown kind of clone "cow"`, "init and command exclude each other", "limit.memory is 5", "limit.cpu is 0", `did you mean "TERM"?`}},
		{"addresses", []*Spec{
			spec("a", func(s *Spec) { s.Net.Addrs = []Address{{IP: "198.51.100.5/24"}, {IP: "127.16.0.1"}, {IP: "0.0.0.0"}} }),
			spec("b", func(s *Spec) { s.Net.Addrs = []Address{{IP: "198.51.100.5"}, {IP: "nonsense"}} })},
			[]string{"127.16.0.1 may be the private loopback", "0.0.0.0 cannot be", `also the address of "a" at r.lua:1`, `"nonsense" is not an address`}},
		{"net none with ip", []*Spec{spec("a", func(s *Spec) { s.Net = Net{Mode: "none", Addrs: []Address{{IP: "198.51.100.5"}}} })},
			[]string{"exclude each other"}},
		{"key line", []*Spec{spec("a", func(s *Spec) {
			s.Limits.Rlimits = map[string]Rlimit{"nofiles": {}}
			s.KeyPos = map[string]Pos{"limit.rlimits": {"r.lua", 77}}
		})}, []string{`r.lua:77: guest "a": unknown rlimit "nofiles" (did you mean "nofile"?)`}},
		{"sched", []*Spec{spec("a", func(s *Spec) { s.Limits.Sched = &Sched{Policy: "fifo"} })}, []string{"priority of fifo is 0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Validate(c.specs)
			if len(c.want) == 0 {
				if err != nil {
					t.Fatalf("Validate = %v; want nil", err)
				}
				return
			}
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("Validate = %v; want an ErrInvalid", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("Validate = %v\nwant it to say %q", err, w)
				}
			}
		})
	}
}

// What no host can give a guest is told when the recipe is checked, not by a
// leaf in the middle of up.
func TestAddressesThatNoGuestCanHave(t *testing.T) {
	for ip, word := range map[string]string{
		"127.0.0.1": "each guest has for itself", "127.0.0.9": "each guest has for itself", "127.200.3.4": "each guest has for itself", "127.0.0.1/8": "each guest has for itself",
		"127.16.0.1": "may be the private loopback", "127.127.255.1": "may be the private loopback", "fd76:736c:6c6f::1000": "may be the private loopback",
		"0.0.0.0": "cannot be", "::": "cannot be", "::1": "cannot be", "224.0.0.1": "cannot be", "239.1.2.3": "cannot be", "ff02::1": "cannot be",
		"255.255.255.255": "cannot be", "fe80::1": "cannot be", "::ffff:198.51.100.5": "cannot be",
		"198.51.100.0/24": "first or last", "198.51.100.255/24": "first or last",
		"127.77.0.10": "", "198.51.100.5": "", "198.51.100.5/24": "", "198.51.100.0/31": "", "198.51.100.0": "", "198.51.100.7/32": "", "2001:db8::5/64": "", "2001:db8::": "", "10.0.0.255/16": "",
	} {
		err := Validate([]*Spec{spec("a", func(s *Spec) { s.Net.Addrs = []Address{{IP: ip}} })})
		if word == "" && err != nil || word != "" && (err == nil || !strings.Contains(err.Error(), word)) {
			t.Errorf("%s: %v; want %q", ip, err, word)
		}
	}
}

func TestParseSignal(t *testing.T) {
	for in, want := range map[string]int{"TERM": 15, "SIGTERM": 15, "term": 15, "9": 9, "RTMIN+4": 38, "SIGRTMIN+3": 37, "RTMIN": 34} {
		if got, err := ParseSignal(in); got != want || err != nil {
			t.Errorf("ParseSignal(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "0", "65", "NONE", "RTMIN+40"} {
		if got, err := ParseSignal(in); err == nil {
			t.Errorf("ParseSignal(%q) = %d; want an error", in, got)
		}
	}
}

func TestLifting(t *testing.T) {
	old := Limits{}
	old.Memory, old.CPU, old.Pids = ptr[int64](1<<30), ptr(0.5), ptr[int64](10)
	now := Limits{}
	now.CPU = ptr(2.0)
	got := now.Lifting(old)
	if *got.Memory != -1 || *got.CPU != 2 || *got.Pids != DefaultPids {
		t.Errorf("lifting = %s; want memory=-1, cpu=2, pids=%d", got, DefaultPids)
	}
	old.Nice, old.Sched, old.Rlimits = ptr(5), &Sched{Policy: "batch"}, map[string]Rlimit{"nofile": {10, 20}, "core": {1, 1}}
	now.Rlimits = map[string]Rlimit{"core": {2, 2}}
	got = now.Lifting(old)
	if *got.Nice != 0 || got.Sched.Policy != "other" || got.Rlimits["nofile"] != (Rlimit{1024, 524288}) || got.Rlimits["core"].Soft != 2 {
		t.Errorf("lifting = %s; want what a guest without limits has", got)
	}
	if len(now.Rlimits) != 1 || now.Memory != nil {
		t.Error("lifting changed its receiver")
	}
}

func TestIsPrivateLoopback(t *testing.T) {
	for xid, want := range map[int]string{4096: "127.16.0.1", 32767: "127.127.255.1"} {
		a := netdev.Loopback4(xid)
		if a.String() != want || !isPrivateLoopback(a) {
			t.Errorf("loopback(%d) = %v; want %s", xid, a, want)
		}
	}
}
