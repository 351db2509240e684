package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vsl/engine"
	"vsl/engine/spawn"
	"vsl/tests/fixture"
)

// A file that is copied to a folder goes into it, both ways.
func TestCopiesGoIntoFolders(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	r.simple(`net = "none"`)
	g, ctx, dir := r.guest("g"), t.Context(), t.TempDir()
	from := filepath.Join(dir, "from")
	if err := os.WriteFile(from, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("from", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	r.sh("g", "mkdir /srv/there; ln -s there /srv/linked")
	for _, c := range []struct{ from, to, at string }{
		{"from", "/srv/there", "/srv/there/from"}, {"from", "/srv/there/", "/srv/there/from"}, {"from", "/srv/linked", "/srv/there/from"},
		{"from", "/srv/new", "/srv/new"}, {"from", "/srv/made/", "/srv/made/from"}, {"link", "/srv/there", "/srv/there/link"},
	} {
		r.sh("g", "rm -rf /srv/there/* /srv/new /srv/made")
		if err := g.CopyIn(ctx, filepath.Join(dir, c.from), c.to); err != nil {
			t.Errorf("%s to %s: %v", c.from, c.to, err)
			continue
		}
		expect(t, c.from+" copied to "+c.to, r.exec("g", "test", "-e", c.at, "-o", "-L", c.at).Code, 0)
	}
	if err := g.WriteFile(ctx, "/srv/out", []byte("out"), engine.WriteArgs{}); err != nil {
		t.Fatal(err)
	}
	if err := g.CopyOut(ctx, "/srv/out", dir); err != nil {
		t.Fatal(err)
	}
	expect(t, "what came out", readFile(t, filepath.Join(dir, "out")), "out")
}

func TestFileOperationsOfHandles(t *testing.T) {
	r := newRoot(t)
	r.simple("")
	g, ctx := r.guest("g"), t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	must(g.Mkdir(ctx, "/srv/a/b", 0o750))
	must(g.WriteFile(ctx, "/srv/a/b/one", []byte("one\n"), engine.WriteArgs{Mode: 0o640}))
	must(g.WriteFile(ctx, "/srv/a/b/one", []byte("more\n"), engine.WriteArgs{Append: true}))
	must(g.WriteFile(ctx, "/srv/a/b/two", nil, engine.WriteArgs{}))
	data, err := g.ReadFile(ctx, "/srv/a/b/one")
	must(err)
	expect(t, "content", string(data), "one\nmore\n")
	must(g.WriteFile(ctx, "/srv/a/b/one", []byte("1"), engine.WriteArgs{Mode: 0o640}))
	expect(t, "as the guest sees it", r.sh("g", "cd /srv/a/b; stat -c '%n %u:%g %a %s' . one two | tr '\\n' ' '"), ". 0:0 750 4096 one 0:0 640 1 two 0:0 644 0 ")
	names, err := g.Glob(ctx, "/srv/*/b/*")
	must(err)
	expect(t, "glob", strings.Join(names, " "), "/srv/a/b/one /srv/a/b/two")
	for path, want := range map[string]bool{"/srv/a": true, "/srv/x": false, "/srv/a/b/one/x": false} {
		ok, err := g.Exists(ctx, path)
		must(err)
		expect(t, path+" exists", ok, want)
	}
	must(g.Remove(ctx, "/srv/a"))
	must(g.Remove(ctx, "/srv/a"))
	expect(t, "removed", r.sh("g", "ls /srv"), "")
	if err := g.Remove(ctx, "/"); err == nil {
		t.Error("removing / works")
	}
	if _, err := g.ReadFile(ctx, "/srv/none"); !os.IsNotExist(err) && !strings.Contains(err.Error(), "no such file") {
		t.Errorf("reading what is not there: %v", err)
	}
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	must(g.WriteFile(ctx, "/big", big, engine.WriteArgs{}))
	data, err = g.ReadFile(ctx, "/big")
	must(err)
	expect(t, "a megabyte comes back", bytes.Equal(data, big), true)
}

func TestCopyInAndOut(t *testing.T) {
	r := newRoot(t)
	r.simple("")
	g, ctx := r.guest("g"), t.Context()
	tree := filepath.Join(t.TempDir(), "tree")
	for p, text := range map[string]string{"a": "A", "sub/b": "B", "sub/deep/c": "C"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(tree, p)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(tree, p), []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../a", filepath.Join(tree, "sub/link")); err != nil {
		t.Fatal(err)
	}
	if err := g.CopyIn(ctx, tree, "/srv/tree"); err != nil {
		t.Fatal(err)
	}
	expect(t, "inside", r.sh("g", "cd /srv/tree; find . -type f -exec stat -c '%n %u %a' {} + | sort | tr '\\n' ' '; cat sub/link"),
		"./a 0 640 ./sub/b 0 640 ./sub/deep/c 0 640 A")
	back := filepath.Join(t.TempDir(), "back")
	if err := g.CopyOut(ctx, "/srv/tree", back); err != nil {
		t.Fatal(err)
	}
	expect(t, "came back", readFile(t, filepath.Join(back, "sub/deep/c"))+readFile(t, filepath.Join(back, "sub/link")), "CA")
}

// Links and special files that a guest made lead file operations nowhere but
// where a program of the guest would get.
func TestHostileFilesLeadNowhere(t *testing.T) {
	r := newRoot(t)
	r.simple("")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("the host's"), 0o666); err != nil {
		t.Fatal(err)
	}
	r.sh("g", `cd /srv
ln -s /proc/sys/kernel/core_pattern core
ln -s ../../../../../../../../..`+secret+` up
ln -s `+secret+` abs
ln -s /proc/1/root/../../..`+secret+` root1
ln -s loop loop
mkfifo fifo
ln -s /dev/zero zero
mkdir d; ln -s /tmp d/t; ln -s `+filepath.Dir(secret)+` dir`)
	pattern := readFile(t, "/proc/sys/kernel/core_pattern")
	g := r.guest("g")
	for _, name := range []string{"core", "up", "abs", "root1", "loop", "fifo", "dir/secret", "/proc/1/mem"} {
		path := name
		if !strings.HasPrefix(name, "/") {
			path = "/srv/" + name
		}
		ctx, cancel := context.WithTimeout(t.Context(), slow(3*time.Second))
		data, err := g.ReadFile(ctx, path)
		if err == nil && strings.Contains(string(data), "the host's") {
			t.Errorf("%s: read the host's file", name)
		}
		cancel()
		ctx, cancel = context.WithTimeout(t.Context(), slow(3*time.Second))
		err = g.WriteFile(ctx, path, []byte("pwned"), engine.WriteArgs{})
		cancel()
		t.Logf("%s: write: %v", name, err)
	}
	expect(t, "the host's file", readFile(t, secret), "the host's")
	expect(t, "core_pattern", readFile(t, "/proc/sys/kernel/core_pattern"), pattern)
	out := filepath.Join(t.TempDir(), "out")
	if err := g.CopyOut(t.Context(), "/srv", out); err != nil {
		t.Errorf("copy out of hostile files: %v", err)
	}
	if info, err := os.Lstat(filepath.Join(out, "fifo")); err == nil {
		t.Errorf("the pipe came out as %s", info.Mode())
	}
	if data, err := g.ReadFile(t.Context(), "/srv/zero"); err == nil && len(data) > 64<<20 {
		t.Errorf("read %d bytes of /dev/zero", len(data))
	}
	if err := g.Remove(t.Context(), "/srv/dir"); err != nil {
		t.Error(err)
	}
	expect(t, "the host's file after remove", readFile(t, secret), "the host's")
}

// A pattern that matches much of a guest fails neither at what cannot be listed, as
// in /proc, nor at what vanishes, nor at links that lead round; what would fill the
// memory is refused.
func TestWideGlobs(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	r.simple("")
	g, ctx := r.guest("g"), t.Context()
	r.sh("g", "mkdir /srv/w /srv/m; cd /srv; ln -s loop loop; mkfifo pipe; cd m; i=0; while [ $i -lt 200 ]; do ln -s . $i; i=$((i+1)); done")
	r.sh("g", "(true & exec sleep 1003) >/dev/null 2>&1 &") // nobody waits for true: /proc has it without a network
	r.background("g", "sh", "-c", "cd /srv/w; while :; do mkdir -p a/b/c; rm -r a; done")
	for end := time.Now().Add(time.Second); time.Now().Before(end) && !t.Failed(); {
		for _, pattern := range []string{"/*/*/*", "/proc/*/*/*/*", "/proc/[0-9]*/net/*", "/srv/[lpw]*/*/*"} {
			names, err := g.Glob(ctx, pattern)
			if err != nil || len(names) == 0 && pattern[1] != 's' {
				t.Errorf("%s: %d names, %v", pattern, len(names), err)
			}
		}
	}
	if names, err := g.Glob(ctx, "/srv/m/*/*/*/*"); !errors.Is(err, spawn.ErrTooBig) {
		t.Errorf("links that multiply: %d names, %v", len(names), err)
	}
}

// A folder that turns into a link while a tree is copied out takes nothing from
// the host and puts nothing beside the target.
func TestCopyOutWhileFoldersBecomeLinks(t *testing.T) {
	r := newRoot(t)
	r.simple("")
	secret := filepath.Join(t.TempDir(), "etc")
	if err := os.MkdirAll(filepath.Join(secret, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(secret, "d", "f"), []byte("the host's"), 0o644); err != nil {
		t.Fatal(err)
	}
	r.sh("g", "mkdir -p /srv/t/x/d /srv/keep/d; echo guest > /srv/t/x/d/f; echo guest > /srv/keep/d/f")
	r.background("g", "sh", "-c", `cd /srv/t; while :; do mv x y; ln -s `+secret+` x; rm x; mv y x; done`)
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		dir := t.TempDir()
		_ = r.guest("g").CopyOut(t.Context(), "/srv/t", filepath.Join(dir, "out")) // may well fail: things vanish
		filepath.WalkDir(dir, func(p string, d os.DirEntry, _ error) error {
			if d != nil && d.Type().IsRegular() && strings.Contains(readFile(t, p), "host") {
				t.Fatalf("%s has the host's content", p)
			}
			return nil
		})
	}
}

// Whatever stands in a guest's root where vsl mounts or writes, its next boot
// works or fails cleanly, and the host is not touched. The guest itself gets at
// little of this, so the test puts it there as the guest's owner of files.
func TestHostileRootsAtBoot(t *testing.T) {
	marks := t.TempDir()
	if err := os.WriteFile(filepath.Join(marks, "hosts"), []byte("the host's"), 0o666); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct{ name, script string }{
		{"proc is a link", "ln -sfn $m proc"},
		{"proc is a link to root", "ln -sfn / proc"},
		{"sys is a link", "ln -sfn /etc sys"},
		{"dev is a link up", "ln -sfn ../../../../../../../..$m dev"},
		{"run is a file", "echo > run"},
		{"tmp is a pipe", "mkfifo tmp"},
		{"etc is a link", "ln -sfn $m etc"},
		{"etc files are links", "mkdir -p etc; for f in hostname hosts resolv.conf machine-id mtab; do ln -sfn $m/$f etc/$f; done"},
		{"etc files are folders", "rm -f etc/*; mkdir -p etc/hostname etc/hosts etc/resolv.conf etc/machine-id"},
		{"etc files are pipes", "mkdir -p etc; rm -f etc/*; mkfifo etc/hostname etc/hosts etc/resolv.conf etc/machine-id"},
		{"dev has links", "mkdir -p dev; for f in null zero console pts shm fd; do ln -sfn $m/$f dev/$f; done"},
		{"usr is a link", "ln -sfn $m usr"},
		{"all are gone", "for d in proc sys dev run tmp; do mknod $d c 0 0; done"},
		{"the mount point is a link", "mkdir -p sys/fs; ln -sfn $m sys/fs/cgroup; mkdir -p dev; ln -sfn $m dev/pts"},
	} {
		if fixture.InVM() && i%3 != 0 {
			continue // each takes seconds there
		}
		t.Run(c.name, func(t *testing.T) { bootHostile(t, marks, c.script) })
	}
}

func bootHostile(t *testing.T, marks, script string) {
	r := newRoot(t)
	r.up(`guest "g" { template = box, clone = "overlay", command = { "/agent", "serve", "x", "127.0.0.1:9" } }`)
	owner := fmt.Sprint(r.status("g").XID << 16)
	r.must("down", "g")
	upper := filepath.Join(r.dir, "guests", "g", "upper")
	cmd := exec.Command("sh", "-e", "-c", "for d in proc sys dev run tmp; do rm -rf ./$d; done\n"+script+"\nchown -hR $o:$o .")
	cmd.Dir, cmd.Env = upper, append(os.Environ(), "m="+marks, "o="+owner)
	if script == "ln -sfn $m etc" {
		os.RemoveAll(filepath.Join(upper, "etc"))
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	before, etc := hashTree(t, marks), hashTree(t, "/etc")
	res := r.vsl("up", filepath.Join(r.src, "recipe.lua"))
	if res.code == 0 {
		expect(t, "it runs, as", strings.Fields(r.out("g", agentName, "maps"))[0], "0")
	} else {
		t.Logf("refused: %s", res.err)
		expect(t, "state", r.status("g").State, engine.StateStopped)
	}
	r.must("rm", "-f", "g")
	expect(t, "the host's folder", hashTree(t, marks), before)
	expect(t, "the host's /etc", hashTree(t, "/etc"), etc)
	r.clean()
}
