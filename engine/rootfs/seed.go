package rootfs

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"vsl/engine/internal/sys"
)

// Seed is what makes a fresh clone a machine of its own.
type Seed struct {
	Hostname  string
	Addrs     []string // the guest's addresses, for /etc/hosts; none gives 127.0.1.1
	MachineID string   // 32 hex digits; "" draws one
	Resolv    []byte   // /etc/resolv.conf; nil is the host's name servers
}

// SeedFiles writes /etc/hostname, hosts, resolv.conf and machine-id into a clone
// that was never booted, as guest root. A link in such a file's place is
// replaced, never followed. Doing it again is harmless.
func SeedFiles(guestDir string, t *Template, kind CloneKind, uid int, s Seed) error {
	if s.MachineID == "" {
		var id [16]byte
		_, _ = rand.Read(id[:])
		s.MachineID = hex.EncodeToString(id[:])
	}
	if s.Resolv == nil {
		s.Resolv = HostResolv()
	}
	etc, owner, err := openEtc(guestDir, t, kind, uid)
	if err != nil {
		return err
	}
	defer sys.Close(etc)
	for _, f := range []struct {
		name string
		data []byte
		mode uint32
	}{
		{"hostname", []byte(s.Hostname + "\n"), 0o644},
		{"hosts", hostsFile(s), 0o644},
		{"resolv.conf", s.Resolv, 0o644},
		{"machine-id", []byte(s.MachineID + "\n"), 0o444},
	} {
		if err := replaceFile(etc, f.name, f.data, f.mode, owner); err != nil {
			return sys.Op("write", "/etc/"+f.name, err)
		}
	}
	return nil
}

// openEtc opens the clone's /etc for writing below it. In an overlay's upper
// folder it is made first, as the template's is.
func openEtc(guestDir string, t *Template, kind CloneKind, uid int) (fd, owner int, err error) {
	tree := filepath.Join(guestDir, "root")
	if kind == Overlay {
		tree = filepath.Join(guestDir, "upper")
	}
	root, err := sys.OpenAt(sys.Cwd, tree, sys.OPath|sys.ODir, 0)
	if err != nil {
		return -1, 0, sys.Op("open", tree, err)
	}
	defer sys.Close(root)
	if owner, err = firstID(root, uid); err != nil {
		return -1, 0, sys.Op("open", tree, err)
	}
	if kind == Overlay {
		st, err := sys.StatAt(sys.Cwd, filepath.Join(t.RootFS(), "etc"))
		if err != nil {
			return -1, 0, sys.Op("read template", t.Name, err)
		}
		if st.Mode&sys.SIfmt != sys.SIfdir {
			return -1, 0, notPlain("etc", sys.ENOTDIR)
		}
		made, err := ensureDir(root, "etc", st.Mode&0o7777, uid)
		if err != nil {
			return -1, 0, err
		}
		sys.Close(made)
	}
	fd, err = sys.OpenBeneath(root, "etc", sys.ORdonly|sys.ODir, 0)
	return fd, owner, notPlain("etc", err)
}

// replaceFile puts a file into the open folder dir in one rename.
func replaceFile(dir int, name string, data []byte, mode uint32, owner int) error {
	tmp := "." + name + ".vsl"
	if err := sys.UnlinkAt(dir, tmp, false); err != nil && err != sys.ENOENT {
		return err
	}
	fd, err := sys.OpenAt(dir, tmp, sys.OWronly|sys.OCreat|sys.OExcl, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	_, err = f.Write(data)
	if err == nil {
		err = sys.ChownAt(fd, "", owner, owner)
	}
	if err == nil {
		err = sys.Chmod(fd, mode)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return unwrapPath(err)
	}
	return sys.RenameAt(dir, tmp, dir, name, false)
}

func hostsFile(s Seed) []byte {
	var b strings.Builder
	b.WriteString("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")
	addrs := s.Addrs
	if len(addrs) == 0 {
		addrs = []string{"127.0.1.1"}
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a); err == nil {
			a = p.Addr().String()
		}
		fmt.Fprintf(&b, "%s\t%s\n", a, s.Hostname)
	}
	return []byte(b.String())
}

// HostResolv gives a resolv.conf with the name servers of the host that a guest
// can reach. One on the host's loopback, as of systemd-resolved, is not among
// them, because a guest's 127.0.0.1 is its own; then those that systemd-resolved
// itself asks are taken.
func HostResolv() []byte {
	for _, p := range []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"} {
		b, err := os.ReadFile(p)
		if err != nil {
			continue
		}
		if out, servers := filterResolv(string(b)); servers > 0 {
			return []byte(out)
		}
	}
	return []byte("# the host has no name server that a guest can reach\n")
}

// filterResolv keeps what of resolv.conf(5) holds for a guest and counts its
// name servers.
func filterResolv(text string) (string, int) {
	var out strings.Builder
	servers := 0
	for l := range strings.Lines(text) {
		f := strings.Fields(l)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "nameserver":
			a, err := netip.ParseAddr(f[1])
			if err != nil || a.IsLoopback() || a.IsUnspecified() {
				continue
			}
			servers++
		case "search", "domain", "options":
		default:
			continue
		}
		out.WriteString(strings.Join(f, " ") + "\n")
	}
	return out.String(), servers
}
