package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"

	"vsl/engine/ipbind"
	"vsl/engine/kernel"
	"vsl/engine/rootfs"
	"vsl/engine/store"
)

// Finding is one thing that vsl needs of the host, or can use.
type Finding struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"` // what to do when it is not
	Spare  bool   `json:"spare,omitempty"`  // not OK, but vsl does without: something else serves as well, or nothing of its own needs it
}

// spares are what is not missed where the other way is there.
var spares = map[string]string{"pidfd exit status": "the process connector does as well", "BPF LSM": "Landlock does as well", "Landlock scope": "BPF LSM does as well"}

// Doctor looks at everything vsl may need, by trying it where that is harmless, and
// takes a guest up and down, since it is all of it together that counts.
func (e *Engine) Doctor(ctx context.Context) []Finding {
	var out []Finding
	add := func(name string, err error, detail, remedy string) {
		f := Finding{Name: name, OK: err == nil, Detail: detail}
		if err != nil {
			f.Detail, f.Remedy = err.Error(), remedy
		}
		out = append(out, f)
	}
	guard, guardErr := ipbind.AbstractGuard()
	for _, f := range kernel.Features() {
		n := Finding{Name: f.Name, OK: f.OK, Detail: f.Detail, Remedy: f.Remedy}
		if other, ok := spares[f.Name]; ok && !f.OK && (guardErr == nil || f.Name == "pidfd exit status") {
			n.Detail, n.Remedy, n.Spare = "not needed: "+other, "", true
		}
		out = append(out, n)
	}
	l, err := e.layout()
	detail := ""
	if err == nil {
		detail = l.Kind()
		for _, c := range []string{"memory", "cpu", "pids", "cpuset", "io"} {
			if v := l.Has(c); v > 0 {
				detail += fmt.Sprintf(", %s on v%d", c, v)
			} else {
				detail += ", no " + c
			}
		}
	}
	add("cgroups", err, detail, "mount cgroup2 at /sys/fs/cgroup, or boot with systemd.unified_cgroup_hierarchy=1")
	_, err = os.Stat(e.paths.Root)
	if errors.Is(err, fs.ErrNotExist) {
		add("state folder", nil, e.paths.Root+", not made yet", "")
	} else {
		add("state folder", err, e.paths.Root, "run as root, or name another folder with --root")
	}
	if err == nil {
		var kinds []string
		for _, k := range e.kinds() {
			kinds = append(kinds, string(k))
		}
		detail := strings.Join(kinds, ", ")
		if err := rootfs.ProbeOverlay(e.paths.Root); err != nil {
			detail += "; no overlay: " + err.Error()
		}
		add("clones", nil, detail, "")
	}
	add("a guest", e.trial(ctx), "came up and went down, from host()", "vsl up fails like this: --root names a state folder elsewhere; templates from tar{} or debian{} do without the host's /usr")
	add("address confinement", ipbind.Supported(), "cgroup BPF", "use net = \"none\", or a kernel with cgroup BPF")
	add("abstract UNIX sockets", guardErr, "guarded by "+guard, "kernel 6.12 has Landlock scopes; before that boot with lsm=...,bpf")
	out = append(out, pingFinding())
	path, err := exec.LookPath("mmdebstrap")
	add("mmdebstrap", err, path, "apt-get install mmdebstrap: debian{} templates need it")
	return out
}

// pingFinding says whether guests on the host's stack can ping. Which groups may
// open ICMP sockets is a setting of the network namespace (icmp(7)), and the
// groups are those of the host: a guest's begin at its xid << 16.
func pingFinding() Finding {
	const path = "/proc/sys/net/ipv4/ping_group_range"
	f := Finding{Name: "ping in guests", Spare: true,
		Remedy: `sysctl net.ipv4.ping_group_range="0 2147483647" lets guests with addresses ping, as systemd does by default`}
	data, err := os.ReadFile(path)
	if err != nil {
		f.Detail = err.Error()
		return f
	}
	var low, high int64
	seen := strings.Join(strings.Fields(string(data)), " ")
	if _, err := fmt.Sscan(seen, &low, &high); err != nil || low > store.MinXID<<16 || high < store.MaxXID<<16|0xffff {
		f.Detail = "not those with addresses: groups that may are " + seen
		return f
	}
	return Finding{Name: f.Name, OK: true, Detail: "groups that may are " + seen}
}
