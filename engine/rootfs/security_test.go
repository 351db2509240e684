//go:build linux

package rootfs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vsl/engine/internal/sys"
)

// TestGuestCannotUndoMounts is why the mounts are made before the guest's mount
// namespace is: the kernel then locks them and their flags.
func TestGuestCannotUndoMounts(t *testing.T) {
	requireRoot(t)
	dir := t.TempDir()
	r := newGuest(t, hostTemplate(t, dir), dir, Overlay)
	host := filepath.Join(dir, "shared")
	if err := os.Mkdir(host, 0o755); err != nil {
		t.Fatal(err)
	}
	r.Binds = append(r.Binds, Bind{Source: host, Target: "/srv/shared", ReadOnly: true, IDMap: true})
	out := inGuest(t, r, `
		refused() { if "$@" 2>/dev/null; then echo "allowed: $*"; fi; }
		for m in /usr /srv/shared; do
			refused mount -n -o remount,bind,rw $m
			refused mount -n -o remount,bind,ro,dev $m
			refused umount $m
			refused umount -l $m
			refused touch $m/x
		done
		refused mount -n -o remount,bind,rw,dev /
		refused mount -n -o remount,bind,rw,suid,exec /dev
		refused mount -n -o remount,size=1g /dev
		refused umount -l /dev
		refused umount -l /sys
		refused umount -l /run
		refused mknod /tmp/sda b 8 0
		refused mknod /dev/kmsg2 c 1 11
		refused mount -t ext4 /dev/null /tmp
		refused sh -c 'echo 1 > /proc/sys/vm/overcommit_memory'
		umount -n /proc/sysrq-trigger 2>/dev/null # the mask takes what is written
		refused sh -c 'echo b > /proc/sysrq-trigger'
		mount -n -o remount,bind,rw /proc/sys 2>/dev/null
		refused sh -c 'echo 1 > /proc/sys/vm/overcommit_memory'
		refused ls /.. | grep -qx lost+found
		grep -v ' - \(overlay\|tmpfs\|proc\|sysfs\|cgroup2\|devpts\|mqueue\) ' /proc/self/mountinfo || true`)
	if strings.TrimSpace(out) != "" { // nothing of the host's is to be seen
		t.Errorf("guest printed:\n%s", out)
	}
}

// TestHostileRoot boots a guest that has put links in the place of folders on
// which mounts go: a clean error, and no mount anywhere.
func TestHostileRoot(t *testing.T) {
	requireRoot(t)
	before, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	tmpl := hostTemplate(t, dir)
	victim := filepath.Join(dir, "victim")
	if err := os.Mkdir(victim, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"proc", "sys", "dev", "run", "usr", "srv/deep/er"} {
		for _, what := range []string{victim, "/..", "../../../../../../..", "/etc/shadow", "file"} {
			g := filepath.Join(dir, "g")
			if err := os.Mkdir(g, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := Clone(context.Background(), tmpl, g, Overlay, testUID); err != nil {
				t.Fatal(err)
			}
			bad := filepath.Join(g, "upper", strings.TrimSuffix(name, "/deep/er"))
			if what == "file" {
				err = os.WriteFile(bad, nil, 0o644)
			} else {
				err = os.Symlink(what, bad)
			}
			if err != nil {
				t.Fatal(err)
			}
			r := &Root{Template: tmpl.RootFS(), GuestDir: g, UID: testUID,
				Binds: append(tmpl.Binds, Bind{Source: "/usr", Target: "/srv/deep/er", ReadOnly: true})}
			out, err := tryGuest(t, r, "echo booted")
			if !errors.Is(err, sys.ELOOP) && !errors.Is(err, sys.ENOTDIR) {
				t.Errorf("%s as %s: error %v, output %q; want a clean refusal", name, what, err, out)
			}
			if err := RemoveTree(g); err != nil {
				t.Fatal(err)
			}
		}
	}
	if ents, _ := os.ReadDir(victim); len(ents) > 0 {
		t.Errorf("%v was made in the victim", ents)
	}
	after, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		t.Errorf("the host's mounts changed:\n%s\n%s", before, after)
	}
}

// TestAttachElsewhere refuses namespaces in which nothing would be locked, or
// which the host sees.
func TestAttachElsewhere(t *testing.T) {
	requireRoot(t)
	dir := t.TempDir()
	o, err := newGuest(t, hostTemplate(t, dir), dir, Overlay).Open()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if _, err := o.Attach(-1); err == nil || !strings.Contains(err.Error(), "wrong mount namespace") {
		t.Errorf("Attach in the host's namespace gave %v", err)
	}
}

// treeHash is a digest of everything about a tree but access times.
func treeHash(t testing.TB, root string) string {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := sys.StatAt(sys.Cwd, p)
		if err != nil {
			return err
		}
		fmt.Fprintln(h, p, st.Ino, st.Mode, st.UID, st.GID, st.Nlink, st.Size, st.Mtime.UnixNano())
		if l, err := os.Readlink(p); err == nil {
			fmt.Fprintln(h, l)
		}
		if !d.Type().IsRegular() && !d.IsDir() {
			return nil
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		attrs, err := sys.Xattrs(int(f.Fd()))
		if err != nil {
			return err
		}
		fmt.Fprintln(h, attrs)
		if d.Type().IsRegular() {
			_, err = io.Copy(h, f)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// TestTemplateNeverChanges lets guest root do its worst to a clone and compares
// the template, byte for byte and inode for inode.
func TestTemplateNeverChanges(t *testing.T) {
	requireRoot(t)
	for _, kind := range []CloneKind{Overlay, Copy} {
		t.Run(string(kind), func(t *testing.T) {
			dir := t.TempDir()
			tmpl := hostTemplate(t, dir)
			if err := os.Link(filepath.Join(tmpl.RootFS(), "etc/profile"), filepath.Join(tmpl.RootFS(), "etc/profile2")); err != nil {
				t.Fatal(err)
			}
			before := treeHash(t, tmpl.RootFS())
			r := newGuest(t, tmpl, dir, kind)
			out := inGuest(t, r, `
				set -e
				echo evil >> /etc/passwd; chmod 777 /etc/group; chown 1000 /etc/services; : > /etc/protocols
				mv /etc/login.defs /etc/moved; mv /etc/pam.d /etc/pam.old; rm -r /etc/alternatives /etc/skel
				setfattr -n user.x -v y /etc/shadow 2>/dev/null || python3 -c 'import os; os.setxattr("/etc/shadow", "user.x", b"y")'
				ln /etc/profile /etc/profile3; echo x >> /etc/profile2; touch -d 2001-01-01 /etc/shells
				ln -sf /nowhere /etc/localtime; mkdir /etc/new.d; rm -rf /home; mv /opt /opt2; chmod 000 /srv
				python3 -c 'import mmap; f=open("/etc/inputrc","r+b"); m=mmap.mmap(f.fileno(),0); m[0:1]=b"X"; m.flush()'
				truncate -s 1M /etc/ld.so.cache; chmod 700 /; chown 7:7 /; touch /root/x /var/lib/y`)
			if out != "" {
				t.Logf("guest said %s", out)
			}
			if after := treeHash(t, tmpl.RootFS()); after != before {
				t.Error("the template changed")
			}
			// And the guest's changes are there when it boots again.
			if out := inGuest(t, r, `tail -n1 /etc/passwd; test -e /etc/pam.old && ! test -e /etc/pam.d && stat -c %u /`); out != "evil\n7\n" {
				t.Errorf("second boot printed %q", out)
			}
		})
	}
}

// TestPageCacheShared reads a file in one guest and finds the template's own
// pages in memory: what two guests read is there once.
func TestPageCacheShared(t *testing.T) {
	requireRoot(t)
	dir := t.TempDir()
	tmpl := hostTemplate(t, dir)
	name := filepath.Join(tmpl.RootFS(), "etc/big")
	if err := os.WriteFile(name, make([]byte, 4<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := sys.DropCache(int(f.Fd())); err != nil {
		t.Fatal(err)
	}
	if n, _, err := sys.Resident(int(f.Fd()), 4<<20); err != nil || n != 0 {
		t.Skipf("the kernel keeps %d pages: %v", n, err)
	}
	inGuest(t, newGuest(t, tmpl, dir, Overlay), "cat /etc/big > /dev/null")
	n, all, err := sys.Resident(int(f.Fd()), 4<<20)
	if err != nil || n != all {
		t.Errorf("after a guest read the file, %d of the template's %d pages are in memory: %v", n, all, err)
	}
}
