//go:build linux

package rootfs

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"vsl/engine/internal/sys"
)

// All that is unpacked for a guest belongs to the guest's own ids, so that what is
// set-user-id there gives nobody anything on the host, if ever it can be reached.
func TestCloneIsTheGuestsOwn(t *testing.T) {
	requireRoot(t)
	dir := t.TempDir()
	tmpl := hostTemplate(t, dir)
	su := filepath.Join(tmpl.RootFS(), "opt/su")
	if err := os.WriteFile(su, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	acl := []byte{2, 0, 0, 0, // version; then tag, permissions and id of each entry
		1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 33, 0, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255,
		8, 0, 4, 0, 34, 0, 0, 0, 16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255}
	caps := []byte{1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0} // cap_net_raw=ep
	for name, value := range map[string][]byte{"system.posix_acl_access": acl, capability: caps} {
		fd, err := sys.OpenAt(sys.Cwd, su, sys.ORdonly, 0)
		if err == nil {
			err = sys.SetXattr(fd, name, value)
			sys.Close(fd)
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if err := os.Chmod(su, 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []CloneKind{Overlay, Copy} {
		r := newGuest(t, tmpl, dir, kind)
		if out := inGuest(t, r, "cp -p /opt/su /srv/su; chmod u+s /srv/su; stat -c '%u:%g %a' /opt/su /srv/su"); out != "0:0 4755\n0:0 4755\n" {
			t.Errorf("%s: the guest sees %q", kind, out)
		}
		nobodys(t, r.GuestDir)
	}
	fd, err := sys.OpenAt(sys.Cwd, filepath.Join(dir, "guest-copy/root/opt/su"), sys.ORdonly, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close(fd)
	attrs, err := sys.Xattrs(fd)
	if err != nil {
		t.Fatal(err)
	}
	id := binary.LittleEndian.Uint32
	if a := attrs["system.posix_acl_access"]; len(a) != len(acl) || id(a[16:]) != testUID+33 || id(a[32:]) != testUID+34 {
		t.Errorf("the list's ids are not the guest's: %v", a)
	}
	if c := attrs[capability]; len(c) != 24 || id(c[20:]) != testUID {
		t.Errorf("the capabilities are not the guest's: %v", c)
	}
}

// nobodys looks for files that could give a user of the host something.
func nobodys(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := sys.StatAt(sys.Cwd, p)
		if err == nil && st.Mode&0o6000 != 0 && st.Mode&sys.SIfmt == sys.SIfreg && (st.UID <= maxID || st.GID <= maxID) {
			t.Errorf("%s has mode %o and belongs to %d:%d", p, st.Mode, st.UID, st.GID)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A clone of before, with the template's ids on disk, goes on as it was.
func TestOldCloneGoesOn(t *testing.T) {
	requireRoot(t)
	dir := t.TempDir()
	tmpl := hostTemplate(t, dir)
	g := filepath.Join(dir, "guest")
	if err := os.Mkdir(g, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := copyTree(context.Background(), tmpl.RootFS(), filepath.Join(g, "root"), copying{}, nil); err != nil {
		t.Fatal(err)
	}
	if err := SeedFiles(g, tmpl, Copy, testUID, Seed{Hostname: "old"}); err != nil {
		t.Fatal(err)
	}
	r := &Root{Kind: DirectRoot, GuestDir: g, Tree: filepath.Join(g, "root"), UID: testUID, Binds: tmpl.Binds}
	out := inGuest(t, r, "cat /etc/hostname; stat -c %u / /etc/hostname /etc/passwd; touch /new; stat -c %u /new")
	if out != "old\n0\n0\n0\n0\n" {
		t.Errorf("the guest printed %q", out)
	}
	if st, err := sys.StatAt(sys.Cwd, filepath.Join(g, "root/new")); err != nil || st.UID != 0 {
		t.Errorf("its new file: %+v, %v", st, err)
	}
}
