package guest

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// prey is what of the host the probes go for: a process, sockets in the abstract
// namespace, and memory of System V. It is checked to be as it was afterwards.
type prey struct {
	r     *root
	state string // what the host is set to
}

const preySocket = "vsl-test-prey"

func newPrey(r *root) *prey {
	r.t.Helper()
	l, err := net.Listen("unix", "@"+preySocket)
	if err != nil {
		r.t.Fatal(err)
	}
	d, err := net.ListenPacket("unixgram", "@"+preySocket+".dgram")
	if err != nil {
		r.t.Fatal(err)
	}
	const key = 0x76736c70 // as in the probe
	shm, err := unix.SysvShmGet(key, 4096, unix.IPC_CREAT|0o666)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		l.Close()
		d.Close()
		_, err := unix.SysvShmCtl(shm, unix.IPC_RMID, nil)
		if err != nil {
			r.t.Error(err)
		}
	})
	return &prey{r: r, state: hostState(r.t)}
}

// hostState is what of the host a probe that worked would have changed.
func hostState(t testing.TB) string {
	t.Helper()
	state := ""
	for _, name := range []string{"kernel/hostname", "kernel/domainname", "kernel/pid_max", "kernel/core_pattern", "net/ipv4/ip_forward"} {
		state += name + " = " + readFile(t, "/proc/sys/"+name)
	}
	return state
}

// kind is what decides about which results of a probe are right.
type kind struct{ ownNet, ownTree, below bool }

// right are the results of a probe that are right in a guest of that kind.
func (p probe) right(k kind) []string {
	want := p.want
	for _, more := range []struct {
		on      bool
		results string
	}{{k.ownNet, p.own}, {k.ownTree, p.tree}, {k.below, p.below}} {
		if more.on {
			want += " " + more.results
		}
	}
	return strings.Fields(want)
}

// probed runs the whole list in a guest, as its root and as root of a user namespace
// below, and holds what it gave to what is right.
func (p *prey) probed(guest string, k kind) {
	p.r.t.Helper()
	args := []string{agentName, "probe", strconv.Itoa(os.Getpid()), preySocket, "198.51.100.1"}
	p.judge(guest, p.r.out(guest, args...), k)
	nested := append([]string{"unshare", "--user", "--map-root-user", "--mount"}, args...)
	k.below = true
	p.judge(guest+", nested", p.r.out(guest, nested...), k)
	expect(p.r.t, "the host afterwards", hostState(p.r.t), p.state)
}

// judge compares a list of results with the table. What root of the guest may do
// root of a namespace below may do or not.
func (p *prey) judge(who, results string, k kind) {
	p.r.t.Helper()
	got := map[string]string{}
	for line := range strings.Lines(results) {
		name, result, _ := strings.Cut(strings.TrimSpace(line), "\t")
		got[name] = result
	}
	for _, probe := range probes() {
		want := probe.right(k)
		switch result, ok := got[probe.name]; {
		case !ok:
			p.r.t.Errorf("%s: %s: no result", who, probe.name)
		case !slices.Contains(want, result):
			p.r.t.Errorf("%s: %s: %s, want %s: %s", who, probe.name, result, strings.Join(want, " or "), probe.why)
		}
	}
}

// The hostile list, as root of guests that share the host's system and are on its
// network, or have one of their own. TestDebian has it in a guest with an init.
func TestHostileProbes(t *testing.T) {
	r := newRoot(t)
	prey := newPrey(r)
	r.up(`guest "bind" { template = box, command = { "sleep", "infinity" }, ip = "127.77.4.20", limit = { memory = "256M", pids = 256 } }
guest "none" { template = box, command = { "sleep", "infinity" } }`)
	prey.probed("bind", kind{})
	prey.probed("none", kind{ownNet: true})
	r.setuidStaysTheGuests("bind")
}

// setuidStaysTheGuests makes what a user of the host would run, were it in reach, and
// looks whose it is on the host.
func (r *root) setuidStaysTheGuests(name string) {
	r.t.Helper()
	r.sh(name, "cp /bin/sh /root/suid && chmod 4755 /root/suid")
	path := filepath.Join(r.dir, "guests", name, "upper/root/suid")
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		r.t.Fatal(err)
	}
	expect(r.t, "owner on the host of a guest's setuid file", int(st.Uid), r.status(name).XID<<16)
}

func TestProbesAreWellFormed(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range probes() {
		if seen[p.name] || p.try == nil || p.want == "" || p.why == "" {
			t.Errorf("%q is there twice or incomplete", p.name)
		}
		seen[p.name] = true
	}
	if len(seen) < 60 {
		t.Errorf("%d probes", len(seen))
	}
}
