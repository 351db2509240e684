package rootfs

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"vsl/engine/internal/sys"
)

// hostDirs are the folders of the host that hold programs and libraries.
var hostDirs = []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"}

// hostFacts are what a host() template depends on: where programs lie and which
// system it is. What is installed in /usr does not matter, guests see it live.
func hostFacts() []string {
	var facts []string
	for _, d := range hostDirs {
		l, err := os.Readlink("/" + d)
		if err != nil {
			if _, e := os.Stat("/" + d); e == nil {
				l = "folder"
			}
		}
		facts = append(facts, d+"="+l)
	}
	b, _ := os.ReadFile("/etc/os-release")
	return append(facts, string(b))
}

// hostBinds are /usr and, where they are no links into it, /bin and its kin.
func hostBinds() []Bind {
	binds := []Bind{{Source: "/usr", Target: "/usr", ReadOnly: true, IDMap: true}}
	for _, d := range hostDirs {
		if st, err := os.Lstat("/" + d); err == nil && st.IsDir() {
			binds = append(binds, Bind{Source: "/" + d, Target: "/" + d, ReadOnly: true, IDMap: true})
		}
	}
	return binds
}

// hostEtc is what of the host's /etc a guest gets a copy of, and only such files
// as every user of the host may read: what a guest's programs need to run, and
// nothing that says who the host is.
var hostEtc = []string{
	"alternatives", "bash.bashrc", "ca-certificates.conf", "debian_version", "gai.conf", "host.conf",
	"inputrc", "java-17-openjdk", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "locale.alias", "locale.conf",
	"localtime", "login.defs", "magic", "mime.types", "os-release", "pam.conf", "pam.d", "perl", "pki",
	"protocols", "python3", "python3.11", "python3.12", "python3.13", "rpc", "security/limits.conf",
	"security/namespace.conf", "security/pam_env.conf", "services", "shells", "skel", "ssl/certs",
	"ssl/openssl.cnf", "terminfo", "timezone", "vim", "xattr.conf",
	"nginx/nginx.conf", "nginx/mime.types", "nginx/fastcgi_params", "nginx/modules-enabled",
}

// hostTree makes the tree of a host() template: a skeleton around the host's own
// /usr, which guests get as a bind.
func hostTree(rootfs string) error {
	for _, d := range []struct {
		path string
		mode os.FileMode
	}{
		{"dev", 0o755}, {"etc", 0o755}, {"home", 0o755}, {"media", 0o755}, {"mnt", 0o755}, {"opt", 0o755},
		{"proc", 0o555}, {"root", 0o700}, {"run", 0o755}, {"srv", 0o755}, {"sys", 0o555}, {"tmp", 0o777 | os.ModeSticky},
		{"usr", 0o755}, {"var", 0o755}, {"var/cache", 0o755}, {"var/lib", 0o755}, {"var/local", 0o755}, {"var/log", 0o755},
		{"var/mail", 0o755}, {"var/opt", 0o755}, {"var/spool", 0o755}, {"var/tmp", 0o777 | os.ModeSticky},
	} {
		if err := makeDir(filepath.Join(rootfs, d.path), d.mode); err != nil {
			return err
		}
	}
	links := map[string]string{"var/run": "/run", "var/lock": "/run/lock", "etc/mtab": "../proc/self/mounts"}
	for _, d := range hostDirs {
		st, err := os.Lstat("/" + d)
		switch {
		case err != nil:
		case st.IsDir():
			if err := makeDir(filepath.Join(rootfs, d), 0o755); err != nil {
				return err
			}
		case st.Mode()&os.ModeSymlink != 0:
			if links[d], err = os.Readlink("/" + d); err != nil {
				return sys.Op("read link", "/"+d, unwrapPath(err))
			}
		}
	}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(rootfs, name)); err != nil {
			return sys.Op("make link", name, unwrapPath(err))
		}
	}
	for _, name := range hostEtc {
		if err := copyHost(filepath.Join("/etc", name), filepath.Join(rootfs, "etc", name)); err != nil {
			return err
		}
	}
	if err := hostAccounts(filepath.Join(rootfs, "etc")); err != nil {
		return err
	}
	return hostDaemons(rootfs)
}

// copyHost copies one file, link or folder of the host's /etc. What is missing,
// large or not readable by everyone is left out.
func copyHost(from, to string) error {
	st, err := os.Lstat(from)
	if err != nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return sys.Op("make folder", filepath.Dir(to), unwrapPath(err))
	}
	switch {
	case st.Mode()&os.ModeSymlink != 0:
		l, err := os.Readlink(from)
		if err == nil {
			err = os.Symlink(l, to)
		}
		return sys.Op("copy link", from, unwrapPath(err))
	case st.IsDir() && st.Mode().Perm()&0o005 == 0o005:
		if err := makeDir(to, st.Mode().Perm()); err != nil {
			return err
		}
		ents, err := os.ReadDir(from)
		if err != nil {
			return sys.Op("read", from, unwrapPath(err))
		}
		for _, e := range ents {
			if err := copyHost(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
				return err
			}
		}
	case st.Mode().IsRegular() && st.Mode().Perm()&0o004 != 0 && st.Size() <= 4<<20:
		b, err := os.ReadFile(from)
		if err != nil {
			return sys.Op("read", from, unwrapPath(err))
		}
		return writeFile(to, b, st.Mode().Perm())
	}
	return nil
}

func writeFile(path string, data []byte, mode os.FileMode) error {
	err := os.WriteFile(path, data, mode)
	if err == nil {
		err = os.Chmod(path, mode)
	}
	return sys.Op("write", path, unwrapPath(err))
}

// hostAccounts writes the accounts of the host's system (ids below 1000 and
// nobody), all without a password; people's accounts stay out.
func hostAccounts(etc string) error {
	passwd := systemAccounts("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n")
	group := systemAccounts("/etc/group", "root:x:0:\ntty:x:5:\nshadow:x:42:\nnogroup:x:65534:\n")
	var shadow, gshadow strings.Builder
	shadowGID := 0
	for l := range strings.Lines(passwd) {
		fmt.Fprintf(&shadow, "%s:*:19000:0:99999:7:::\n", strings.SplitN(l, ":", 2)[0])
	}
	for l := range strings.Lines(group) {
		f := strings.Split(strings.TrimSpace(l), ":")
		fmt.Fprintf(&gshadow, "%s:*::\n", f[0])
		if f[0] == "shadow" {
			shadowGID, _ = strconv.Atoi(f[2])
		}
	}
	for _, f := range []struct {
		name, text string
		mode       os.FileMode
		gid        int
	}{
		{"passwd", passwd, 0o644, 0},
		{"group", group, 0o644, 0},
		{"shadow", shadow.String(), 0o640, shadowGID},
		{"gshadow", gshadow.String(), 0o640, shadowGID},
		{"nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nprotocols: files\nservices: files\n", 0o644, 0},
		{"profile", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nexport PATH\n", 0o644, 0},
		{"fstab", "", 0o644, 0},
		{"environment", "", 0o644, 0},
	} {
		path := filepath.Join(etc, f.name)
		if err := writeFile(path, []byte(f.text), f.mode); err != nil {
			return err
		}
		if err := os.Chown(path, 0, f.gid); err != nil {
			return sys.Op("set owner", path, unwrapPath(err))
		}
	}
	return nil
}

// systemAccounts gives the lines of passwd(5) or group(5) whose third field is
// the id of a system account, members of groups left out; or def.
func systemAccounts(path, def string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return def
	}
	if s := filterAccounts(b); strings.HasPrefix(s, "root:") {
		return s
	}
	return def
}

func filterAccounts(b []byte) string {
	var out strings.Builder
	for sc := bufio.NewScanner(bytes.NewReader(b)); sc.Scan(); {
		f := strings.Split(sc.Text(), ":")
		if len(f) != 4 && len(f) != 7 {
			continue
		}
		id, err := strconv.ParseUint(f[2], 10, 32)
		if err != nil || f[0] == "" || (id >= 1000 && id != 65534) {
			continue
		}
		f[1] = "x"
		if len(f) == 4 {
			f[3] = ""
		}
		out.WriteString(strings.Join(f, ":") + "\n")
	}
	return out.String()
}

// hostDaemons makes the folders without which common daemons of the host do not
// start, where those are installed.
func hostDaemons(rootfs string) error {
	if _, err := os.Stat("/usr/sbin/nginx"); err != nil {
		return nil
	}
	for _, d := range []string{"var/log/nginx", "var/lib/nginx"} {
		if err := makeDir(filepath.Join(rootfs, d), 0o755); err != nil {
			return err
		}
	}
	return nil
}
