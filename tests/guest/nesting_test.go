package guest

import (
	"strings"
	"testing"

	"vsl/engine/rootfs"
)

// With nesting a user of a guest may mount a proc of its own, as sandboxes and
// containers do; without it nobody may, since a new one has no masks.
func TestNestingMountsProc(t *testing.T) {
	r := newRoot(t)
	r.up(`guest "plain" { template = box, command = { "sleep", "infinity" }, ip = "127.77.4.32" }
guest "nest" { template = box, command = { "sleep", "infinity" }, ip = "127.77.4.33", nesting = true }
guest "own" { template = box, command = { "sleep", "infinity" }, nesting = true }`)
	user := []string{"setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups", "--"}
	unshare := append(user, "unshare", "-Urpf", "--mount-proc", "sh", "-c", "echo $$; ls /proc | grep -c '^[0-9]'")
	fresh := []string{"sh", "-c", "mkdir -p /run/p && mount -t proc proc /run/p && head -1 /run/p/stat && umount /run/p"}
	for guest, works := range map[string]bool{"plain": false, "nest": true, "own": true} {
		res := r.exec(guest, unshare...)
		expect(t, guest+": a user's proc: exit 0", res.Code == 0, works)
		if works {
			expect(t, guest+": pid and processes there", strings.Join(strings.Fields(string(res.Stdout)), " "), "1 3")
		}
		res = r.exec(guest, fresh...)
		expect(t, guest+": root's proc: exit 0", res.Code == 0, works)
		// Its own /proc is masked all the same, and the other is not to be come upon.
		out := r.out(guest, agentName, "peek", "0", "/proc/fs", "/dev/.vsl/nested", "/dev/.vsl/nested/proc/swaps")
		want := "/proc/fs\tfolder of 0\n/dev/.vsl/nested\tEACCES\n/dev/.vsl/nested/proc/swaps\tEACCES"
		if !works {
			want = strings.ReplaceAll(want, "EACCES", "ENOENT")
		}
		expect(t, guest+": what it sees", out, want)
	}
	res := r.exec("own", "sh", "-c", "mkdir -p /run/s && mount -o ro -t sysfs sysfs /run/s && ls /run/s/class/net && umount /run/s")
	expect(t, "sysfs of its own network", strings.TrimSpace(string(res.Stdout)), "lo")
	// What the kernel refuses by itself it refuses there, too.
	for _, u := range rootfs.Unmasked {
		if rest, ok := strings.CutPrefix(u.Path, "/proc/"); ok && u.Refused {
			res := r.exec("nest", "sh", "-c", "mkdir -p /run/p && mount -t proc proc /run/p && cat /run/p/"+rest+" | head -c 1 | wc -c; umount /run/p")
			expect(t, "bytes of "+rest+" of a proc of its own", strings.TrimSpace(string(res.Stdout)), "0")
		}
	}
}
