//go:build linux

package rootfs

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"vsl/engine/internal/sys"
	"vsl/engine/spawn"
	"vsl/tests/fixture"
)

const testUID = 5000 << 16

func requireRoot(t testing.TB) {
	t.Helper()
	if os.Getuid() == 0 {
		return
	}
	if os.Getenv("VSL_TEST_REQUIRE") == "1" {
		t.Fatal("this test needs root")
	}
	t.Skip("this test needs root")
}

// inGuest runs a shell script as root of a guest with this root and gives its
// output; the test fails when it does not exit 0.
func inGuest(t testing.TB, r *Root, script string) string {
	t.Helper()
	out, err := tryGuest(t, r, script)
	if err != nil {
		t.Fatalf("guest: %v\n%s", err, out)
	}
	return out
}

// guestProgram is what a guest's child has to do, as GuestMounts says.
func guestProgram(t testing.TB, r *Root, script string) *spawn.Program {
	mp, err := MountPoint()
	if err != nil {
		t.Fatal(err)
	}
	p := &spawn.Program{}
	p.Sync("root")
	p.Unshare(sys.CLONE_NEWNS)
	p.Mount(mp, mp, "", sys.MsBind|sys.MsRec, "")
	p.Chdir(mp)
	p.PivotRoot(".", ".")
	addMounts(p, GuestMounts(MountOpts{Cgroup: true, OwnNetNS: r.OwnNetNS}))
	p.Umount(".", sys.MntDetach)
	p.Chdir("/")
	p.Exec("/bin/sh", []string{"sh", "-c", script}, []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"})
	return p
}

func addMounts(p *spawn.Program, ms []Mount) {
	for _, m := range ms {
		s := p.Mount(m.Source, m.Target, m.FSType, m.Flags, m.Data)
		if m.Optional {
			s.Ignore(sys.ENOENT, sys.ENODEV, sys.EPERM, sys.EINVAL)
		}
	}
}

func tryGuest(t testing.TB, r *Root, script string) (string, error) {
	o, err := r.Open()
	if err != nil {
		return "", err
	}
	defer o.Close()
	pr, pw, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer func() { _ = pr.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), fixture.Patience(30*time.Second))
	defer cancel()
	flags := uint64(sys.CLONE_NEWUSER | sys.CLONE_NEWPID | sys.CLONE_NEWUTS | sys.CLONE_NEWIPC | sys.CLONE_NEWCGROUP)
	if r.OwnNetNS {
		flags |= sys.CLONE_NEWNET
	}
	p, err := spawn.Start(&spawn.Attr{
		Name: "test guest", Program: guestProgram(t, r, script), CloneFlags: flags, CgroupFD: -1,
		Files: []*os.File{nil, pw, pw}, IDMap: &spawn.IDMap{HostID: uint32(r.UID), Size: 65536}, Context: ctx,
		Thread: sys.UnshareMounts,
		Hooks: map[string]func(int, int) error{"root": func(pid, pidfd int) error {
			ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", pid))
			if err != nil {
				return err
			}
			defer func() { _ = ns.Close() }()
			mp, err := o.Attach(int(ns.Fd()))
			if err != nil {
				return err
			}
			prog, shown := &spawn.Program{}, sys.CLONE_NEWPID
			if r.OwnNetNS {
				shown |= sys.CLONE_NEWNET
			}
			addMounts(prog, HostMounts(mp, MountOpts{OwnNetNS: r.OwnNetNS}))
			if err := spawn.In(ctx, "mounts", pidfd, shown, prog); err != nil {
				return err
			}
			return o.Mask(mp)
		}},
	})
	_ = pw.Close()
	if err != nil {
		return "", err
	}
	defer func() { _ = p.Close() }()
	out, err := io.ReadAll(pr)
	if err != nil {
		return "", err
	}
	st, err := p.Wait(ctx)
	if err == nil && st.ShellCode() != 0 {
		err = fmt.Errorf("%v", st)
	}
	return string(out), err
}

// hostTemplate builds a host() template in a store below dir.
func hostTemplate(t testing.TB, dir string) *Template {
	t.Helper()
	s := &Store{Dir: filepath.Join(dir, "templates")}
	tmpl, err := s.Build(context.Background(), "host", Source{Kind: "host"}, "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

// newGuest clones a template into a fresh guest folder and seeds it.
func newGuest(t testing.TB, tmpl *Template, dir string, kind CloneKind) *Root {
	t.Helper()
	g := filepath.Join(dir, "guest-"+string(kind))
	if err := os.Mkdir(g, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Clone(context.Background(), tmpl, g, kind, testUID); err != nil {
		t.Fatal(err)
	}
	if err := SeedFiles(g, tmpl, kind, testUID, Seed{Hostname: "g1"}); err != nil {
		t.Fatal(err)
	}
	return &Root{Kind: kind.Root(), Template: tmpl.RootFS(), GuestDir: g, Tree: filepath.Join(g, "root"), UID: testUID, Binds: tmpl.Binds}
}

func TestHostGuest(t *testing.T) {
	requireRoot(t)
	for _, kind := range []CloneKind{Overlay, Copy} {
		for _, own := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s own net %v", kind, own), func(t *testing.T) {
				dir := t.TempDir()
				tmpl := hostTemplate(t, dir)
				r := newGuest(t, tmpl, dir, kind)
				r.OwnNetNS = own
				out := inGuest(t, r, `
					set -e
					id -u; cat /etc/hostname; stat -c %u:%a / /etc /tmp /dev /usr /etc/shadow
					test "$(stat -c %F /dev/null)" = "character special file"
					echo x > /dev/null; echo hi > /etc/new; touch /run/x /dev/shm/y
					test -d /proc/1 && test -e /sys/kernel && test -e /sys/fs/cgroup/cgroup.procs
					test -e /dev/ptmx`)
				if want := "0\ng1\n0:755\n0:755\n0:1777\n0:755\n0:755\n0:640\n"; out != want {
					t.Errorf("guest printed %q, want %q", out, want)
				}
			})
		}
	}
}
