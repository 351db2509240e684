package guest

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"vsl/engine/rootfs"
)

// Every mask looks like "not permitted", "not there" or "there are none", to root
// and to a user.
func TestMasksLookLikeNothingThere(t *testing.T) {
	r := newRoot(t)
	r.up(`guest "bind" { template = box, command = { "sleep", "infinity" }, ip = "127.77.4.30" }
guest "none" { template = box, command = { "sleep", "infinity" } }`)
	want := map[string]string{}
	for _, m := range rootfs.Masks {
		want[m.Path] = map[rootfs.MaskKind]string{rootfs.Empty: "folder of 0", rootfs.Refused: "EACCES",
			rootfs.Text: strconv.Quote(m.Text)}[m.As]
		if _, err := os.Lstat(m.Path); err != nil {
			want[m.Path] = "ENOENT" // nor on the host
		}
	}
	paths := slices.Sorted(maps.Keys(want))
	for _, u := range rootfs.Unmasked {
		if u.Refused {
			paths = append(paths, u.Path)
		}
	}
	for _, guest := range []string{"bind", "none"} {
		for _, uid := range []string{"0", "1000"} {
			out := r.out(guest, append([]string{agentName, "peek", uid}, paths...)...)
			for line := range strings.Lines(out) {
				path, got, _ := strings.Cut(strings.TrimSpace(line), "\t")
				if w, ok := want[path]; ok {
					expect(t, fmt.Sprintf("%s: uid %s: %s", guest, uid, path), got, w)
				} else if got != "EACCES" && got != "EPERM" && got != "ENOENT" {
					t.Errorf("%s: uid %s: %s: %s", guest, uid, path, got)
				}
			}
		}
	}
}

// Guest root gets behind no mask, be it in a user namespace of its own below.
func TestMasksCannotBeTakenOff(t *testing.T) {
	r := newRoot(t)
	r.up(`guest "bind" { template = box, command = { "sleep", "infinity" }, ip = "127.77.4.31" }
guest "none" { template = box, command = { "sleep", "infinity" } }`)
	argv := []string{agentName, "unmask", "/proc/sys/kernel/random/boot_id"}
	for _, m := range rootfs.Masks {
		if _, err := os.Lstat(m.Path); err == nil {
			argv = append(argv, m.Path)
		}
	}
	for _, guest := range []string{"bind", "none"} {
		for _, nested := range [][]string{nil, {"unshare", "--user", "--map-root-user", "--mount"}} {
			for line := range strings.Lines(r.out(guest, append(nested, argv...)...)) {
				what, got, _ := strings.Cut(strings.TrimSpace(line), "\t")
				if got != "EPERM" && got != "EINVAL" {
					t.Errorf("%s: %v: %s: %s", guest, nested, what, got)
				}
			}
		}
	}
}

// Each guest, and each boot of it, has a boot_id of its own.
func TestBootIDIsOfTheBoot(t *testing.T) {
	r := newRoot(t)
	r.up(`guest "g" { template = box, command = { "sleep", "infinity" } }
guest "other" { template = box, command = { "sleep", "infinity" } }`)
	const path = "/proc/sys/kernel/random/boot_id"
	seen := map[string]string{readFile(t, path): "the host"}
	look := func(guest, boot string) {
		id := r.out(guest, "cat", path) + "\n"
		if len(id) != 37 || id[8] != '-' {
			t.Errorf("%s: boot_id %q", boot, id)
		}
		if who := seen[id]; who != "" {
			t.Errorf("%s has the boot_id of %s", boot, who)
		}
		seen[id] = boot
		expect(t, boot+": again", r.out(guest, "cat", path)+"\n", id)
	}
	look("g", "first boot")
	look("other", "other guest")
	r.must("restart", "g")
	look("g", "second boot")
}
