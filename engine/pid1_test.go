package engine

import (
	"strings"
	"testing"

	"vsl/engine/spawn"
)

// The programs of the kinds of guests there are, as a boot runs them and a plan
// shows them.
func TestProgramGolden(t *testing.T) {
	id := strings.Repeat("0", 32)
	sh := []string{"/bin/sh", "-c", "true"}
	systemd := inits["systemd"]
	cases := []struct {
		name string
		pid1 pid1
	}{
		{"a command, network of its own", pid1{kind: kindCommand, argv: sh, ownNet: true, guard: -1}},
		{"systemd on the host's stack", pid1{kind: systemd, argv: append([]string{"/sbin/init"}, systemd.args...), guard: spawn.Unopened,
			joins: []descriptor{{"/sys/fs/cgroup/pids/vsl/web/tasks", spawn.Unopened}}}},
		{"idle, for provisioning", pid1{kind: kindIdle, ownNet: true, guard: -1}},
	}
	var b strings.Builder
	for _, c := range cases {
		p := &c.pid1
		p.hostname, p.mount, p.reaper = "web", "/mnt", spawn.Unopened
		p.files, p.env = p.kind.files(p.argv, false), p.kind.env(id, map[string]string{"TOKEN": "tell-nobody"})
		prog, err := p.program()
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(c.name + ", with " + strings.Join(p.files, ", ") + "\n" + prog.String())
	}
	golden(t, "program.golden", b.String())
	if strings.Contains(b.String(), "tell-nobody") {
		t.Error("the value of an environment variable is shown")
	}
}
