package engine

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

var update = flag.Bool("update", false, "write the golden files anew")

func testEngine(t *testing.T) *Engine {
	t.Helper()
	e, err := Open(Options{Root: filepath.Join(t.TempDir(), "r"), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// A plan is computed without the kernel, and nothing is made on disk.
func TestPlanGolden(t *testing.T) {
	e := testEngine(t)
	web := spec("web", func(s *Spec) {
		s.Template = &Template{Name: "deb", From: Source{Kind: "debian", Suite: "bookworm", Packages: []string{"systemd"}}}
		s.Limits.Memory, s.Limits.CPU = ptr[int64](256<<20), ptr(0.5)
		s.Net.Addrs = []Address{{IP: "198.51.100.5/24", Dev: "eth0"}, {IP: "2001:db8::5"}}
		s.After = map[string]string{"db": "ready"}
		s.Ready = &Probe{Kind: "http", Port: 80}
		s.Custom = map[string]Pos{"provision": {"r.lua", 7}}
	})
	db := spec("db", func(s *Spec) { s.Command = []string{"sleep", "9"} })
	p, err := e.Plan([]Declared{{Spec: web}, {Spec: db}}, PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, tp := range p.Templates {
		b.WriteString("template " + tp.Name + ": " + tp.From + "\n")
	}
	for _, g := range p.Guests {
		b.WriteString(string(g.Change) + " " + g.Name + " (" + strings.Join(g.Reasons, ", ") + ")\n")
		for _, s := range g.Steps {
			b.WriteString("    " + s.String() + "\n")
		}
	}
	golden(t, "plan.golden", b.String())
	if _, err := os.Stat(e.Root()); err == nil {
		t.Error("planning made the state root")
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		os.MkdirAll("testdata", 0o755)
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestSpecDiff(t *testing.T) {
	old := spec("a", nil)
	for _, c := range []struct {
		name          string
		change        func(*Spec)
		live, restart int
	}{
		{"nothing", func(s *Spec) { s.Pos.Line = 99 }, 0, 0},
		{"limits", func(s *Spec) { s.Limits.Memory = ptr[int64](1 << 30) }, 1, 0},
		{"address", func(s *Spec) { s.Net.Addrs = []Address{{IP: "198.51.100.5"}} }, 0, 1},
		{"command and stop", func(s *Spec) { s.Command, s.Stop.Signal = []string{"x"}, "INT" }, 1, 1},
		{"template", func(s *Spec) { s.Template = &Template{Name: "other"} }, 0, 1},
	} {
		live, restart := specDiff(old, spec("a", c.change))
		if len(live) != c.live || len(restart) != c.restart {
			t.Errorf("%s: live %q, restart %q; want %d and %d", c.name, live, restart, c.live, c.restart)
		}
	}
}

// resolve must see a guest's links as the guest does, and never the host's files.
func TestResolveLayers(t *testing.T) {
	upper, lower := t.TempDir(), t.TempDir()
	link := func(dir, target, name string) {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	os.MkdirAll(filepath.Join(lower, "usr/lib/systemd"), 0o755)
	os.WriteFile(filepath.Join(lower, "usr/lib/systemd/systemd"), nil, 0o755)
	link(lower, "usr/lib", "lib")
	link(lower, "usr/sbin", "sbin")
	link(lower, "/lib/systemd/systemd", "usr/sbin/init")
	link(upper, "loop", "loop")
	link(upper, "../../../../../../etc/passwd", "up")
	link(upper, "/usr/lib/systemd/systemd", "mine")
	for p, want := range map[string]string{
		"/sbin/init": "/usr/lib/systemd/systemd", "/mine": "/usr/lib/systemd/systemd", "/loop": "", "/up": "", "/none": "", "/": "/",
	} {
		got, ok := resolve([]string{upper, lower}, p)
		if got != want && ok || ok != (want != "") {
			t.Errorf("resolve(%s) = %q, %v; want %q", p, got, ok, want)
		}
	}
}

func TestCheckStatus(t *testing.T) {
	for _, c := range []struct {
		line string
		want int
		ok   bool
	}{
		{"HTTP/1.1 200 OK", 0, true}, {"HTTP/1.0 302 Found", 0, true}, {"HTTP/1.1 500 Oops", 0, false},
		{"HTTP/1.1 404 No", 404, true}, {"SSH-2.0-OpenSSH", 0, false}, {"", 0, false}, {"HTTP/1.", 0, false},
	} {
		if err := checkStatus(c.line, c.want); (err == nil) != c.ok {
			t.Errorf("checkStatus(%q, %d) = %v", c.line, c.want, err)
		}
	}
}

func TestNotifyDatagram(t *testing.T) {
	n := &notifySocket{}
	if n.take("STATUS=Starting\nX_READY=1\n") || n.status != "Starting" {
		t.Errorf("ready too early, or status %q", n.status)
	}
	if !n.take("FOO=1\nREADY=1") {
		t.Error("READY=1 was not seen")
	}
}

func FuzzAccount(f *testing.F) {
	f.Add("root:x:0:0:root:/root:/bin/sh\nwww:x:33:33::/:/bin/false\n", "www")
	f.Fuzz(func(t *testing.T, passwd, user string) {
		if a, ok := findAccount(passwd, user); ok && (a.uid > 65535 || a.gid > 65535) {
			t.Errorf("findAccount gave ids out of a guest's range: %+v", a)
		}
		findGroups(passwd, user)
	})
}

func TestFindAccount(t *testing.T) {
	const passwd = "bad line\nroot:x:0:0:root:/root:/bin/sh\nbig:x:99999:1::/:/sh\nwww:x:33:34::/var/www:/bin/false\n"
	a, ok := findAccount(passwd, "www")
	if !ok || a.uid != 33 || a.gid != 34 || a.home != "/var/www" {
		t.Errorf("findAccount(www) = %+v, %v", a, ok)
	}
	if a, ok := findAccount(passwd, "33"); !ok || a.name != "www" {
		t.Errorf("findAccount(33) = %+v, %v", a, ok)
	}
	if _, ok := findAccount(passwd, "big"); ok {
		t.Error("an id beyond the guest's range was taken")
	}
	if g := findGroups("adm:x:4:www,other\nbroken\nssl:x:99:www\n", "www"); len(g) != 2 || g[0] != 4 || g[1] != 99 {
		t.Errorf("findGroups = %v", g)
	}
}
