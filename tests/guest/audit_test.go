package guest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"vsl/engine"
	"vsl/engine/ipbind"
)

// auditOf is what vsl audit --json says of one guest, by what it is about.
func (r *root) auditOf(code int, name string) map[string]engine.AuditItem {
	r.t.Helper()
	res := r.vsl("audit", "--json", name)
	expect(r.t, "exit code of audit "+name, res.code, code)
	var all []struct {
		Guest string
		Items []engine.AuditItem
	}
	if err := json.Unmarshal([]byte(res.out), &all); err != nil || len(all) != 1 || all[0].Guest != name {
		r.t.Fatalf("audit %s: %v\n%s%s", name, err, res.out, res.err)
	}
	items := map[string]engine.AuditItem{}
	for _, i := range all[0].Items {
		items[i.What] = i
	}
	return items
}

// An audit finds every wall standing, and says of what is shared that it is.
func TestAuditMeasuresTheWalls(t *testing.T) {
	r := newRoot(t)
	r.up(`guest "bind" { template = box, command = { "sleep", "infinity" }, ip = "127.77.4.30", limit = { memory = "64M", cpu = 0.5 } }
guest "none" { template = box, command = { "sleep", "infinity" } }`)
	for name, want := range map[string]map[string]string{
		"bind": {"network stack": engine.AuditShared, "memory": engine.AuditLimited, "cpu time": engine.AuditLimited,
			"processes": engine.AuditLimited, "binding the host's 198.51.100.1": engine.AuditIsolated, "disk space": engine.AuditShared},
		"none": {"network stack": engine.AuditIsolated, "memory": engine.AuditShared, "cpu time": engine.AuditShared},
	} {
		items := r.auditOf(0, name)
		for what, i := range items {
			if i.State == engine.AuditOpen || i.State == engine.AuditUnknown {
				t.Errorf("%s: %s is %s: %s", name, what, i.State, i.Seen)
			}
		}
		for what, state := range want {
			expect(t, name+": "+what, items[what].State, state)
		}
		for _, what := range []string{"mounts", "process ids", "system calls", "loading modules", "host's 127.0.0.1",
			"host's abstract UNIX sockets", "making device nodes", "writing to the host's /usr", "range of its own"} {
			expect(t, name+": "+what, items[what].State, engine.AuditIsolated)
		}
	}
	expect(t, "bind: memory", r.auditOf(0, "bind")["memory"].Seen, "67108864 bytes")
	r.fails(3, []string{"not running"}, "audit", r.stopped("bind"))
	r.fails(5, []string{"no such guest"}, "audit", "nobody")
}

// stopped takes a guest down and gives its name.
func (r *root) stopped(name string) string {
	r.t.Helper()
	r.must("down", name)
	return name
}

// An audit that could not fail would be worth nothing: without its BPF programs
// the guest reaches the host's loopback, and the audit says so.
func TestAuditFindsAnOpenWall(t *testing.T) {
	r := newRoot(t)
	r.simple(`ip = "127.77.4.31"`)
	var dir *os.File
	for _, top := range r.cgroups() {
		f, err := os.Open(filepath.Join(top, "g"))
		if _, e := os.Stat(filepath.Join(top, "g", "cgroup.kill")); err == nil && e == nil {
			dir = f
		}
	}
	if dir == nil {
		t.Fatal("the guest has no cgroup on the v2 hierarchy")
	}
	defer dir.Close()
	if err := ipbind.Detach(int(dir.Fd())); err != nil {
		t.Fatal(err)
	}
	items := r.auditOf(1, "g")
	for _, what := range []string{"host's 127.0.0.1", "binding the host's 198.51.100.1"} {
		expect(t, what, items[what].State, engine.AuditOpen)
	}
	expect(t, "mounts", items["mounts"].State, engine.AuditIsolated)
}
