package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vsl/tests/fixture"
)

// service is a program that tells in a file that it began and that it was asked
// to end.
const service = `#!/bin/sh
trap 'echo TERM >> /var/svc.log; exit 0' TERM
echo up >> /var/svc.log
while :; do sleep 0.1; done
`

// anInit is an init that guests may have: how its tree is prepared, how it is
// named in the recipe, and what inside ends the guest.
type anInit struct {
	name, tree   string // tree is one of fixture.Inits, "" is that of systemd
	build        string // Lua, in the build flow of its template
	init         string // the recipe's init, "" looks for one
	kind         string // what status calls it
	reboot, halt []string
}

var (
	byBusybox = [2][]string{{"busybox", "reboot", "-f"}, {"busybox", "poweroff", "-f"}}
	noGettys  = `t:sh "sed -i '/getty/d' /etc/inittab"` + "\n"
	sysvBuild = noGettys + `t:append("/etc/inittab", "sv:2345:respawn:/svc\n")`
)

// allInits are those of Debian 12, of which each package of an init is one row.
var allInits = []anInit{
	{name: "systemd", kind: "systemd", reboot: []string{"systemctl", "reboot"}, halt: []string{"systemctl", "halt"},
		build: `t:write("/etc/systemd/system/svc.service", "[Service]\nExecStart=/svc\n[Install]\nWantedBy=multi-user.target\n")
t:sh "systemctl enable svc; systemctl disable nginx redis-server"`},
	{name: "sysvinit", tree: "sysvinit", kind: "sysvinit", build: sysvBuild, reboot: []string{"reboot"}, halt: []string{"halt"}},
	{name: "sysvinit whose telinit lies", tree: "sysvinit", kind: "sysvinit", build: sysvBuild + "\n" + `t:sh "rm /sbin/telinit; ln -s /bin/false /sbin/telinit"`,
		reboot: []string{"reboot"}, halt: []string{"halt"}},
	{name: "OpenRC under sysvinit", tree: "openrc", kind: "sysvinit", build: sysvBuild, reboot: []string{"reboot"}, halt: []string{"halt"}},
	{name: "openrc-init", tree: "openrc", kind: "openrc", init: `{ "/sbin/openrc-init" }`,
		build: `t:write("/etc/init.d/svc", "#!/sbin/openrc-run\ncommand=/svc\ncommand_background=yes\npidfile=/run/svc.pid\n", { mode = "0755" })
t:sh "rc-update add svc default"`,
		reboot: []string{"openrc-shutdown", "--reboot", "now"}, halt: []string{"openrc-shutdown", "--halt", "now"}},
	{name: "runit", tree: "runit", kind: "runit", build: `t:sh "rm -rf /etc/runit/runsvdir/default/getty*"
t:mkdir "/etc/runit/runsvdir/default/svc" t:sh "ln -s /svc /etc/runit/runsvdir/default/svc/run"`,
		reboot: []string{"reboot"}, halt: []string{"poweroff"}},
	{name: "finit", tree: "finit", kind: "finit", build: `t:write("/etc/finit.d/svc.conf", "service [2345] /svc -- svc\n")`,
		reboot: []string{"reboot"}, halt: []string{"poweroff"}},
	{name: "s6", tree: "small", kind: "s6", init: `{ "/usr/bin/s6-svscan", "/srv/scan" }`,
		build:  `t:sh "mkdir -p /srv/scan/svc; ln -s /svc /srv/scan/svc/run"`,
		reboot: byBusybox[0], halt: byBusybox[1]},
	{name: "dumb-init", tree: "small", kind: "init", init: `{ "/usr/bin/dumb-init", "--", "/svc" }`, reboot: byBusybox[0], halt: byBusybox[1]},
	{name: "tini", tree: "small", kind: "init", init: `{ "/usr/bin/tini", "--", "/svc" }`, reboot: byBusybox[0], halt: byBusybox[1]},
	{name: "busybox", tree: "small", kind: "busybox", build: `t:sh "ln -sf /usr/bin/busybox /sbin/init"
t:write("/etc/inittab", "::respawn:/svc\n")`,
		reboot: []string{"busybox", "reboot"}, halt: []string{"busybox", "halt"}},
	{name: "a script beside telinit", tree: "sysvinit", kind: "init", init: `{ "/svc" }`, reboot: byBusybox[0], halt: byBusybox[1]},
}

// TestInits brings up, stops, reboots and halts a guest with each init that
// Debian has, and prints a table with the times. A stop is graceful when the
// service was told of it.
func TestInits(t *testing.T) {
	if os.Getenv("VSL_TEST_INITS") != "1" {
		t.Skip("builds a Debian tree for each init: make test-inits")
	}
	rows := []string{fmt.Sprintf("%-30s %-9s %8s %8s %8s %8s", "init", "kind", "up", "down", "reboot", "halt")}
	for _, i := range allInits {
		t.Run(i.name, func(t *testing.T) {
			rows = append(rows, i.holds(t))
		})
	}
	t.Logf("\n%s", strings.Join(rows, "\n"))
}

// holds takes one init through its life and gives its row of the table.
func (i anInit) holds(t *testing.T) string {
	r := newRoot(t)
	tree := fixture.Systemd
	if i.tree != "" {
		tree = fixture.Inits[i.tree]
	}
	packed, err := tree.Path(t.Context(), t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(packed, filepath.Join(r.src, "tree.tar.zst")); err != nil {
		t.Fatal(err)
	}
	named := ""
	if i.init != "" {
		named = "init = " + i.init + ", "
	}
	recipe := r.recipe(fmt.Sprintf(`local it = template "it" { from = tar "tree.tar.zst", build = function(t)
t:write("/svc", %q, { mode = "0755" })
%s
end }
guest "i" { template = it, %s net = "none", ready = probe.exec { "grep", "-q", "up", "/var/svc.log", within = "60s" } }`, service, i.build, named))
	r.must("template", "build", recipe)
	log := filepath.Join(r.dir, "guests", "i", "upper", "var", "svc.log")
	up := func() time.Duration {
		os.Remove(log)
		return r.timed("up", "--allow-host", recipe)
	}
	took := []time.Duration{up()}
	expect(t, "init", r.status("i").Init, i.kind)
	took = append(took, r.timed("down", "i"))
	if text := readFile(t, log); !strings.HasSuffix(text, "TERM\n") {
		t.Errorf("its service was not told of the shutdown: %q", text)
	}
	if bound := slow(15 * time.Second); took[1] > bound {
		t.Errorf("down took %s", took[1])
	}
	for _, argv := range [][]string{i.reboot, i.halt} {
		up()
		begin := time.Now()
		r.vsl(append([]string{"exec", "i"}, argv...)...)
		eventually(t, slow(25*time.Second), strings.Join(argv, " ")+" inside ends it", func() bool { return r.vsl("status", "i").code == 3 })
		took = append(took, time.Since(begin))
	}
	row := fmt.Sprintf("%-30s %-9s", i.name, i.kind)
	for _, d := range took {
		row += fmt.Sprintf(" %6.2f s", d.Seconds())
	}
	return row
}
