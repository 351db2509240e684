package engine

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"vsl/engine/internal/sys"
	"vsl/engine/ipbind"
	"vsl/engine/kernel"
	"vsl/engine/spawn"
)

// What an audit says of one respect in which a guest and its host may meet.
const (
	AuditIsolated = "isolated" // the guest has its own, or was refused when it tried
	AuditLimited  = "limited"  // it has a share that the kernel bounds
	AuditShared   = "shared"   // the host and its guests have one, by design
	AuditOpen     = "open"     // a wall that ought to stand did not
	AuditUnknown  = "unknown"  // it could not be measured here
)

// AuditItem is one line of an audit.
type AuditItem struct {
	Area  string `json:"area"`         // "kernel", "files", "network" and so on
	What  string `json:"what"`         // "pid namespace", "raw sockets"
	State string `json:"state"`        // one of the Audit constants
	By    string `json:"by,omitempty"` // the mechanism: "user namespace", "seccomp"
	Seen  string `json:"seen"`         // what was measured
}

// audit collects the items for one running guest.
type audit struct {
	g     *guest
	pid   int // of pid 1
	items []AuditItem
}

func (a *audit) add(area, what, state, by, seen string) {
	a.items = append(a.items, AuditItem{area, what, state, by, seen})
}

// Audit measures how far a running guest is kept apart from its host and from
// its neighbours. Nothing is taken from the record: namespaces, id maps and
// limits are read from the kernel, and each wall is tried by a process that is
// born into the guest as any command of exec is. Every attempt is harmless
// where it succeeds. ErrNotRunning where the guest does not run.
func (e *Engine) Audit(ctx context.Context, name string) ([]AuditItem, error) {
	g, err := e.lookup(name)
	if err != nil {
		return nil, err
	}
	j, err := g.join()
	if err != nil {
		return nil, err
	}
	defer j.Close()
	if g.run, err = e.readRun(g.spec.Name); err != nil {
		return nil, err
	}
	a := &audit{g: g, pid: j.PID}
	for _, measure := range []func(context.Context, *spawn.Join) error{
		a.namespaces, a.ids, a.powers, a.attempts, a.inside, a.limits, a.shared,
	} {
		if err := measure(ctx, j); err != nil {
			return nil, &OpError{Op: "audit guest", Target: g.spec.Name, Err: err}
		}
	}
	slices.SortStableFunc(a.items, func(x, y AuditItem) int {
		return slices.Index(auditAreas, x.Area) - slices.Index(auditAreas, y.Area)
	})
	return a.items, nil
}

// auditAreas is the order in which an audit is read.
var auditAreas = []string{"namespaces", "ids", "processes", "kernel", "files", "network", "limits", "shared"}

// namespaces compares those of pid 1 with ours.
func (a *audit) namespaces(context.Context, *spawn.Join) error {
	for _, ns := range []struct{ file, what string }{
		{"user", "user and group ids"}, {"mnt", "mounts"}, {"pid", "process ids"}, {"ipc", "System V IPC, POSIX queues"},
		{"uts", "host name"}, {"cgroup", "control groups"}, {"time", "uptime and monotonic clock"}, {"net", "network stack"},
	} {
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", a.pid, ns.file))
		if err != nil {
			return sys.Op("read namespace", ns.file, err)
		}
		ours, err := os.Readlink("/proc/self/ns/" + ns.file)
		if err != nil {
			return sys.Op("read namespace", ns.file, err)
		}
		state, by := AuditIsolated, ns.file+" namespace"
		if theirs == ours {
			state = AuditOpen
			if ns.file == "net" && !a.g.run.OwnNet {
				state, by = AuditShared, "cgroup BPF confines its sockets to its addresses"
			}
		}
		a.add("namespaces", ns.what, state, by, theirs)
	}
	return nil
}

// ids looks at which ids of the host the guest's are, and who else has them.
func (a *audit) ids(context.Context, *spawn.Join) error {
	for _, m := range []string{"uid_map", "gid_map"} {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", a.pid, m))
		if err != nil {
			return sys.Op("read", m, err)
		}
		seen := strings.Join(strings.Fields(string(data)), " ")
		state := AuditIsolated
		if want := fmt.Sprintf("0 %d 65536", a.g.hostID()); seen != want {
			state = AuditOpen
		}
		what := "guest root is nobody on the host"
		if m == "gid_map" {
			what = "and so are its groups"
		}
		a.add("ids", what, state, "id map of its own range", seen)
	}
	all, _, err := a.g.e.List()
	if err != nil {
		return err
	}
	var same []string
	for _, o := range all {
		if o.XID() == a.g.XID() && o.Name() != a.g.Name() {
			same = append(same, o.Name())
		}
	}
	if len(same) > 0 {
		a.add("ids", "range of its own", AuditOpen, "xid", "shared with "+strings.Join(same, ", "))
		return nil
	}
	a.add("ids", "range of its own", AuditIsolated, "xid", fmt.Sprintf("xid %d, none of the %d other guests of this root has it", a.g.XID(), len(all)-1))
	return nil
}

// powers reads what confines pid 1 and with it all that it starts.
func (a *audit) powers(context.Context, *spawn.Join) error {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.pid))
	if err != nil {
		return sys.Op("read status of", strconv.Itoa(a.pid), err)
	}
	status := map[string]string{}
	for line := range strings.Lines(string(data)) {
		k, v, _ := strings.Cut(line, ":")
		status[k] = strings.TrimSpace(v)
	}
	state := AuditIsolated
	if status["Seccomp"] != "2" {
		state = AuditOpen
	}
	a.add("kernel", "system calls", state, "seccomp", "mode "+status["Seccomp"]+", filters "+status["Seccomp_filters"])
	bound, err := strconv.ParseUint(status["CapBnd"], 16, 64)
	if err != nil {
		return sys.Op("read capabilities of", strconv.Itoa(a.pid), err)
	}
	dropped := spawn.DroppedCaps()
	kept := slices.DeleteFunc(slices.Clone(dropped), func(c int) bool { return bound&(1<<c) == 0 })
	state, seen := AuditIsolated, fmt.Sprintf("bounding set %#x, without the %d that guests never get", bound, len(dropped))
	if len(kept) > 0 {
		names := make([]string, len(kept))
		for i, c := range kept {
			names[i] = spawn.CapName(c)
		}
		state, seen = AuditOpen, "has "+strings.Join(names, " ")
	}
	a.add("kernel", "capabilities", state, "bounding set; what is left ends at the user namespace", seen)
	return nil
}

// limits reads from the kernel what bounds the guest now.
func (a *audit) limits(context.Context, *spawn.Join) error {
	grp, err := a.g.group()
	if err != nil {
		return err
	}
	l := grp.Current()
	bound := func(what string, set bool, seen string) {
		state := AuditLimited
		if !set {
			state, seen = AuditShared, "no limit: all that the host has"
		}
		a.add("limits", what, state, "cgroup", seen)
	}
	words := func(n *int64, unit string) string {
		if n == nil {
			return ""
		}
		return strconv.FormatInt(*n, 10) + unit
	}
	bound("memory", l.Memory != nil, words(l.Memory, " bytes"))
	bound("swap", l.Swap != nil, words(l.Swap, " bytes"))
	cpu, set := "", ""
	if l.CPU != nil {
		cpu = fmt.Sprintf("%g cores", *l.CPU)
	}
	if l.CPUSet != nil {
		set = "cpus " + *l.CPUSet
	}
	bound("cpu time", l.CPU != nil, cpu)
	bound("cpus", l.CPUSet != nil, set)
	bound("processes", l.Pids != nil, words(l.Pids, " tasks"))
	if a.g.run.OwnNet {
		return nil
	}
	u, err := socketUsage(grp)
	if err != nil || u == nil {
		return err
	}
	bound("sockets", u.Bounds.Sockets != ipbind.Unbounded, fmt.Sprint(u.Bounds.Sockets))
	bound("ports", u.Bounds.Ports != ipbind.Unbounded, fmt.Sprint(u.Bounds.Ports))
	return nil
}

// shared names what all guests and the host have one of, whatever the limits.
func (a *audit) shared(context.Context, *spawn.Join) error {
	a.add("shared", "kernel", AuditShared, "", "Linux "+kernel.Release())
	a.add("shared", "wall clock", AuditShared, "", "only the host sets it")
	if fs, err := sys.Statfs(a.g.e.paths.Guest(a.g.Name())); err == nil {
		a.add("shared", "disk space", AuditShared, "", fmt.Sprintf("no limit of its own; %d of %d bytes free for all guests", fs.Free, fs.Total))
	}
	if !a.g.run.OwnNet {
		kind, err := ipbind.AbstractGuard()
		if err != nil {
			kind = "nothing: " + err.Error()
		}
		a.add("shared", "network devices and routes", AuditShared, "", "it sees the host's; abstract UNIX sockets are guarded by "+kind)
	}
	return nil
}
