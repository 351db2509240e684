//go:build linux

package rootfs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vsl/engine/internal/sys"
)

func TestFilterResolv(t *testing.T) {
	for _, c := range []struct {
		in, out string
		servers int
	}{
		{"nameserver 192.0.2.1\n", "nameserver 192.0.2.1\n", 1},
		{"# x\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch a b\n", "options edns0 trust-ad\nsearch a b\n", 0},
		{"nameserver ::1\nnameserver 2001:db8::1\nnameserver 0.0.0.0\nsortlist x\n", "nameserver 2001:db8::1\n", 1},
		{"nameserver\nnameserver evil\n\n", "", 0},
	} {
		if out, n := filterResolv(c.in); out != c.out || n != c.servers {
			t.Errorf("filterResolv(%q) = %q, %d; want %q, %d", c.in, out, n, c.out, c.servers)
		}
	}
}

func FuzzFilterResolv(f *testing.F) {
	f.Add("nameserver 192.0.2.1\nsearch a")
	f.Fuzz(func(t *testing.T, s string) {
		out, n := filterResolv(s)
		again, m := filterResolv(out)
		if n != m || (n > 0 && again != out) {
			t.Errorf("filtered twice: %q, then %q", out, again)
		}
	})
}

func TestFilterAccounts(t *testing.T) {
	in := "root:x:0:0:root:/root:/bin/bash\nme:secret:1000:1000:Me:/home/me:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nbad\n:x:1:1:::\n"
	if got, want := filterAccounts([]byte(in)), "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/bin/false\n"; got != want {
		t.Errorf("accounts %q, want %q", got, want)
	}
	if got, want := filterAccounts([]byte("root:x:0:me\nsudo:x:27:me,you\nme:x:1000:\n")), "root:x:0:\nsudo:x:27:\n"; got != want {
		t.Errorf("groups %q, want %q", got, want)
	}
}

func FuzzFilterAccounts(f *testing.F) {
	f.Add([]byte("root:x:0:0:root:/root:/bin/bash\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for l := range strings.Lines(filterAccounts(b)) {
			if n := strings.Count(l, ":"); n != 3 && n != 6 {
				t.Errorf("line %q", l)
			}
		}
	})
}

const deb822 = `Types: deb
# http://snapshot.example/
URIs: http://deb.example/debian
Suites: bookworm bookworm-updates trixie
Components: main contrib
Signed-By: /usr/share/keyrings/a.gpg

Types: deb-src
URIs: http://deb.example/debian
Suites: bookworm
Components: main

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main
`

func TestHostSources(t *testing.T) {
	files := map[string]string{
		"/etc/os-release":       "NAME=x\nID=debian\n",
		"/etc/apt/sources.list": "deb [arch=amd64 signed-by=/k.gpg] http://a.example/debian bookworm main # c\ndeb http://b.example cloud main\ndeb-src http://a.example bookworm main\ndeb http://s.example/ bookworm-security main\n",
	}
	read := func(p string) ([]byte, error) {
		if s, ok := files[p]; ok {
			return []byte(s), nil
		}
		return nil, os.ErrNotExist
	}
	want := []string{"deb [arch=amd64 signed-by=/k.gpg] http://a.example/debian bookworm main", "deb http://s.example/ bookworm-security main"}
	if got := hostSources("bookworm", read); !slices.Equal(got, want) {
		t.Errorf("hostSources = %q", got)
	}
	if got := hostSources("trixie", read); got != nil {
		t.Errorf("another suite gives %q", got)
	}
	want = []string{
		"deb [signed-by=/usr/share/keyrings/a.gpg] http://deb.example/debian bookworm main contrib",
		"deb [signed-by=/usr/share/keyrings/a.gpg] http://deb.example/debian bookworm-updates main contrib",
	}
	if got := deb822Sources(deb822, "bookworm"); !slices.Equal(got, want) {
		t.Errorf("deb822Sources = %q", got)
	}
	if got := debianSources(Source{Suite: "trixie"}, read); len(got) != 3 || !strings.Contains(got[2], "debian-security trixie-security") {
		t.Errorf("debianSources = %q", got)
	}
	if got := debianSources(Source{Suite: "sid", Mirror: "http://m.example"}, read); !slices.Equal(got, []string{"deb http://m.example sid main"}) {
		t.Errorf("debianSources with a mirror = %q", got)
	}
}

func TestHostSuite(t *testing.T) {
	for release, want := range map[string]string{
		"NAME=x\nID=debian\nVERSION_CODENAME=bookworm\n": "bookworm",
		"ID=\"debian\"\nVERSION_CODENAME='trixie'\n":     "trixie",
		"ID=debian\n":                                         "stable",
		"ID=debian\nVERSION_CODENAME=\n":                      "stable",
		"ID=debian\nVERSION_CODENAME=--hook\n":                "stable",
		"ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\n": "stable",
	} {
		read := func(string) ([]byte, error) { return []byte(release), nil }
		if got := hostSuite(read); got != want {
			t.Errorf("hostSuite of %q = %q, want %q", release, got, want)
		}
	}
	if got := hostSuite(func(string) ([]byte, error) { return nil, os.ErrNotExist }); got != "stable" {
		t.Errorf("hostSuite without os-release = %q", got)
	}
}

func FuzzSources(f *testing.F) {
	f.Add(deb822)
	f.Add("deb [a=b c=d] http://x y z\n")
	f.Fuzz(func(t *testing.T, s string) {
		for _, l := range append(listSources(s, "bookworm"), deb822Sources(s, "bookworm")...) {
			if !strings.HasPrefix(l, "deb ") || strings.ContainsAny(l, "\n") {
				t.Errorf("line %q", l)
			}
		}
	})
}

func TestFollowDebian(t *testing.T) {
	var stages []string
	tail := followDebian(strings.NewReader("I: running apt-get update...\ndone\nI: chroot...\nE: no such package\nI: extracting archives...\n"),
		func(s string, done, total int64) { stages = append(stages, s) })
	if !slices.Equal(stages, []string{"package lists", "extracting"}) || !slices.Equal(tail, []string{"E: no such package"}) {
		t.Errorf("stages %q, tail %q", stages, tail)
	}
}

func TestDebianArgsRefuse(t *testing.T) {
	s := &Store{Dir: filepath.Join(t.TempDir(), "templates")}
	for _, src := range []Source{
		{Suite: "--help"}, {Suite: ""}, {Suite: "a b"}, {Suite: "bookworm", Variant: "-x"},
		{Suite: "bookworm", Packages: []string{"--simulate"}}, {Suite: "bookworm", Packages: []string{"a b"}},
	} {
		if _, err := s.debianArgs(&Template{Source: src, dir: s.Dir}); err == nil {
			t.Errorf("%+v is accepted", src)
		}
	}
}

func TestSeedFiles(t *testing.T) {
	requireRoot(t)
	d := t.TempDir()
	tmpl := hostTemplate(t, d)
	victim := filepath.Join(d, "victim")
	if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []CloneKind{Overlay, Copy} {
		r := newGuest(t, tmpl, d, kind)
		tree := r.Tree
		if kind == Overlay {
			tree = filepath.Join(r.GuestDir, "upper")
		}
		etc := filepath.Join(tree, "etc")
		for _, n := range []string{"resolv.conf", "hosts", ".hostname.vsl"} {
			_ = os.Remove(filepath.Join(etc, n))
			if err := os.Symlink(victim, filepath.Join(etc, n)); err != nil {
				t.Fatal(err)
			}
		}
		seed := Seed{Hostname: "h", Addrs: []string{"198.51.100.7/24", "2001:db8::7"}, MachineID: strings.Repeat("a", 32), Resolv: []byte("nameserver 192.0.2.1\n")}
		if err := SeedFiles(r.GuestDir, tmpl, kind, testUID, seed); err != nil {
			t.Fatal(err)
		}
		for n, want := range map[string]string{
			"hostname": "h\n", "resolv.conf": "nameserver 192.0.2.1\n", "machine-id": strings.Repeat("a", 32) + "\n",
			"hosts": "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n198.51.100.7\th\n2001:db8::7\th\n",
		} {
			st, err := sys.StatAt(sys.Cwd, filepath.Join(etc, n))
			b, _ := os.ReadFile(filepath.Join(etc, n))
			if err != nil || string(b) != want || st.UID != testUID || st.Mode&sys.SIfmt != sys.SIfreg {
				t.Errorf("%s: %s is %q, %+v, %v", kind, n, b, st, err)
			}
		}
		// A folder of the guest's own making in the way of /etc.
		if err := os.Rename(etc, etc+"2"); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(d, etc); err != nil {
			t.Fatal(err)
		}
		if err := SeedFiles(r.GuestDir, tmpl, kind, testUID, seed); err == nil {
			t.Error("a link in place of /etc is accepted")
		}
	}
	if b, _ := os.ReadFile(victim); string(b) != "mine" {
		t.Errorf("the victim has %q", b)
	}
	if _, err := os.Lstat(filepath.Join(d, "hostname")); err == nil {
		t.Error("written through a link")
	}
}

func TestKey(t *testing.T) {
	s := &Store{Dir: t.TempDir()}
	key := func(src Source, flow string) string {
		k, err := s.Key(src, flow)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	a := key(Source{Kind: "debian", Suite: "bookworm", Packages: []string{"a", "b"}}, "")
	if b := key(Source{Kind: "debian", Suite: "bookworm", Packages: []string{"b", "a"}}, ""); a != b {
		t.Error("the order of packages changes the key")
	}
	for _, c := range []string{
		key(Source{Kind: "debian", Suite: "bookworm", Packages: []string{"a"}}, ""),
		key(Source{Kind: "debian", Suite: "bookworm", Packages: []string{"a", "b"}}, "flow"),
		key(Source{Kind: "host"}, ""),
	} {
		if c == a {
			t.Error("different templates have one key")
		}
	}
	if _, err := s.Key(Source{Kind: "nix"}, ""); err == nil {
		t.Error("an unknown kind is accepted")
	}
}
