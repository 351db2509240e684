package lua

import (
	"context"
	"strings"
	"testing"
)

func TestLog(t *testing.T) {
	var errOut strings.Builder
	if _, _, err := load(t, `log.info("up", { name = "web", text = "a b", n = 1 }) log.warn("x")`, Options{Stderr: &errOut}); err != nil {
		t.Fatal(err)
	}
	if got := errOut.String(); got != "info: up n=1 name=web text=\"a b\"\nwarn: x\n" {
		t.Errorf("%q", got)
	}
}

func TestSubnet(t *testing.T) {
	for _, c := range []struct{ expr, want string }{
		{`subnet("198.51.100.77/24"):at(1)`, "198.51.100.1"},
		{`subnet("198.51.100.0/24"):host(254)`, "198.51.100.254"},
		{`subnet("198.51.0.0/16"):at(256)`, "198.51.1.0"},
		{`subnet("198.51.100.6/31"):at(1)`, "198.51.100.7"},
		{`subnet("2001:db8::/64"):at(65536)`, "2001:db8::1:0"},
		{`subnet("2001:db8::/120"):at(255)`, "2001:db8::ff"},
		{`subnet("2001:db8::/120").bits`, "120"},
		{`"in " .. subnet("2001:db8::/120")`, "in 2001:db8::/120"},
	} {
		var out strings.Builder
		if _, _, err := load(t, "print("+c.expr+")", Options{Stdout: &out}); err != nil || out.String() != c.want+"\n" {
			t.Errorf("%s: %q, %v", c.expr, out.String(), err)
		}
	}
	for _, expr := range []string{`subnet("198.51.100.0/24"):at(0)`, `subnet("198.51.100.0/24"):at(1.5)`, `subnet("198.51.100.1/32"):at(1)`, `subnet("2001:db8::/120"):at(256)`, `subnet("x"):at(1)`, `subnet("2001:db8::/64"):at(1e300)`} {
		if _, _, err := load(t, "print("+expr+")", Options{}); err == nil {
			t.Errorf("%s: no error", expr)
		}
	}
}

// What g.spec shows can be declared again.
func TestSpecTable(t *testing.T) {
	calls, err := boot(t, context.Background(), `guest "a" {
  limit = { memory = "1.5G", memory_high = "1G", swap = 0, cpu = "50%", cpu_burst = "10ms", cpu_weight = 50, cpuset = "0-1", pids = "unlimited", io_weight = 10,
    io = { { device = "/dev/vda", read_bps = "10M", write_iops = 5 } }, oom_group = true, rlimits = { nofile = 1024, core = { soft = 0, hard = "unlimited" } }, nice = -5, sched = { policy = "fifo", priority = 3 } },
  boot = function(g) limit { g } limit { g, g.spec.limit } end }`, Options{}, nil)
	if err != nil || len(calls) != 2 || calls[0] != calls[1] {
		t.Errorf("%v\n%s", err, strings.Join(calls, "\n"))
	}
	want := `limit a cpu=0.5 cpu_burst=10000000 cpu_weight=50 cpuset=0-1 io=[{"device":"/dev/vda","read_bps":10485760,"write_iops":5}] io_weight=10 memory=1610612736 memory_high=1073741824 nice=-5 oom_group=true pids=-1 rlimits.core.hard=-1 rlimits.core.soft=0 rlimits.nofile.hard=1024 rlimits.nofile.soft=1024 sched.policy=fifo sched.priority=3 swap=0`
	if calls[0] != want {
		t.Errorf("got  %s\nwant %s", calls[0], want)
	}
}
