package guest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vsl/tests/fixture"
)

// Whatever kind of clone a guest has, its template stays as it is, and what it
// wrote is its own.
func TestClonesLeaveTheTemplateAlone(t *testing.T) {
	for _, kind := range []string{"overlay", "copy", "reflink"} {
		t.Run(kind, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "r")
			if kind == "reflink" {
				dir = filepath.Join(xfs(t), "r")
			}
			r := newRootAt(t, dir)
			r.up(strings.ReplaceAll(`for _, n in ipairs { "a", "b" } do
  guest(n) { template = box, clone = "KIND", command = { "sleep", "infinity" }, provision = function(g) g:write("/mine", g.name) end }
end`, "KIND", kind))
			before := hashTree(t, filepath.Join(dir, "templates"))
			expect(t, "clone", r.status("a").Clone, kind)
			r.sh("a", `echo changed >> /agent; chmod 777 /etc; rm -rf /etc/passwd /var/*; mv /etc/group /etc/gone; ln -s /agent /link; chown 5:5 /root; mkdir /new; echo x > /new/x`)
			expect(t, "a's file", r.out("a", "cat", "/mine"), "a")
			expect(t, "b's file", r.out("b", "cat", "/mine"), "b")
			expect(t, "b has /etc/passwd", r.exec("b", "test", "-f", "/etc/passwd").Code, 0)
			expect(t, "b has /new", r.exec("b", "test", "-e", "/new").Code, 1)
			expect(t, "a writes to the host's /usr", r.exec("a", "sh", "-c", "echo x > /usr/vsl-was-here").Code != 0, true)
			r.must("down", "--all")
			expect(t, "hash of the template", hashTree(t, filepath.Join(dir, "templates")), before)
			r.must("up", filepath.Join(r.src, "recipe.lua"))
			expect(t, "a keeps its changes", r.out("a", "cat", "/new/x"), "x")
			r.must("rm", "-f", "--all")
			expect(t, "hash of the template at the end", hashTree(t, filepath.Join(dir, "templates")), before)
			r.clean()
		})
	}
}

// --parallel bounds builds as well as guests, and all seven are built.
func TestParallelBoundsBuilds(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	recipe := r.recipe(`for i = 1, 7 do
  local own = template("t" .. i) { from = host(), build = function(t) t:exec { "sleep", "0.2" } end }
  guest("g" .. i) { template = own, command = { "sleep", "infinity" }, net = "none" }
end`)
	stop, most := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				most <- n
				return
			case <-time.After(2 * time.Millisecond):
				building, _ := filepath.Glob(filepath.Join(r.dir, "run", "build-t*.journal"))
				n = max(n, len(building))
			}
		}
	}()
	r.must("up", "--parallel", "2", recipe)
	close(stop)
	if n := <-most; n < 1 || n > 2 {
		t.Errorf("%d templates were built at once", n)
	}
	for i := range 7 {
		expect(t, "state", string(r.status("g"+strconv.Itoa(i+1)).State), "running")
	}
}

// Why a template cannot be built is told once, however many guests it has.
func TestAFailingTemplateIsToldOnce(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	recipe := r.recipe(`local bad = template "bad" { from = host(), build = function(t) t:sh("echo the-rea''son >&2; exit 3", { check = true }) end }
for i = 1, 5 do guest("g" .. i) { template = bad, command = { "sleep", "infinity" }, net = "none" } end
guest "fine" { template = box, command = { "sleep", "infinity" }, net = "none" }`)
	res := r.fails(1, []string{"the-reason", "not started", "template bad"}, "up", recipe)
	expect(t, "times that the reason is told", strings.Count(res.err, "the-reason"), 1)
	expect(t, "guests that failed", strings.Count(res.out, "failed"), 1)
	expect(t, "guests that were not started", strings.Count(res.out, "not started"), 4)
	expect(t, "the other guest", string(r.status("fine").State), "running")
}

// A kind that the file system cannot do is refused by name; the default is the
// best that it can do.
func TestCloneKindIsProbed(t *testing.T) {
	r := newRoot(t)
	r.up(`guest "g" { template = box, command = { "sleep", "infinity" } }`)
	expect(t, "default", r.status("g").Clone, "overlay")
	r.must("rm", "-f", "g")
	if exec.Command("cp", "--reflink=always", self, filepath.Join(r.dir, "probe")).Run() != nil {
		os.Remove(filepath.Join(r.dir, "probe"))
		r.fails(1, []string{"reflink", "overlay"}, "up", r.recipe(`guest "g" { template = box, clone = "reflink", command = { "sleep", "infinity" } }`))
		r.fails(5, nil, "status", "g")
	}
	os.Remove(filepath.Join(r.dir, "probe"))
}

// Guests of one template share one page cache, and all have the host's pages of
// what they see of its /usr.
func TestGuestsShareThePageCache(t *testing.T) {
	r := newRoot(t)
	r.up(`for i = 1, 2 do guest("g" .. i) { template = box, clone = "overlay", command = { "sleep", "infinity" } } end
guest "copy" { template = box, clone = "copy", command = { "sleep", "infinity" } }`)
	frame := func(name, file string) (f uint64) {
		pid := r.background(name, agentName, "mmap", file)
		eventually(t, slow(5*1e9), name+" has mapped the file", func() bool {
			f = frameOf(t, pid, file)
			return f != 0
		})
		return f
	}
	expect(t, "g2's page", frame("g2", agentName), frame("g1", agentName))
	page := frame("g1", "/usr/bin/tac")
	expect(t, "g2's page of the host's program", frame("g2", "/usr/bin/tac"), page)
	expect(t, "a copy's page of the host's program", frame("copy", "/usr/bin/tac"), page)
	f, err := os.Open("/usr/bin/tac")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "the host's page", frameOf(t, os.Getpid(), "/usr/bin/tac"), page)
	if err := unix.Munmap(b); err != nil {
		t.Fatal(err)
	}
}

// xfs mounts a new file system that can share blocks, in this mount namespace.
func xfs(t *testing.T) string {
	t.Helper()
	return loop(t, "320M", "mkfs.xfs", "-q")
}

// loop makes a file system in a file and mounts it in this mount namespace.
func loop(t *testing.T, size string, mkfs ...string) string {
	t.Helper()
	dir := t.TempDir()
	img := filepath.Join(dir, "img")
	runHost(t, "truncate", "-s", size, img)
	runHost(t, append(mkfs, img)...)
	at := filepath.Join(dir, "mnt")
	if err := os.Mkdir(at, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("mount", "-o", "loop", img, at).CombinedOutput()
	need(t, err == nil, "a loop device: "+string(out))
	t.Cleanup(func() { runHost(t, "umount", at) })
	return at
}

// A disk that is full makes a clean error; what was begun is gone.
func TestFullDisk(t *testing.T) {
	at := loop(t, "60M", "mkfs.ext4", "-q", "-m", "0")
	r := newRootAt(t, filepath.Join(at, "r"))
	fill := filepath.Join(at, "fill")
	filled := func(leave string) {
		os.Remove(fill)
		runHost(t, "sh", "-c", "free=$(df --output=avail -k "+at+" | tail -1); head -c $((free * 1024 - "+leave+")) /dev/zero > "+fill+" || true")
	}
	filled("4000000")
	recipe := r.recipe(`guest "g" { template = box, command = { "sleep", "infinity" }, provision = function(g) g:write("/big", string.rep("x", 3000000)) end }`)
	r.fails(1, []string{"no space left", "box"}, "up", recipe)
	r.clean()
	os.Remove(fill)
	r.must("template", "build", recipe)
	for _, leave := range []string{"0", "8192", "20000", "1000000"} {
		filled(leave)
		t.Log(leave, r.fails(1, []string{"no space left"}, "up", recipe).err)
		r.clean()
	}
	os.Remove(fill)
	r.fails(5, nil, "status", "g")
	r.must("up", recipe)
	// What a guest that runs is told, and that it can be stopped and removed.
	filled("0")
	expect(t, "a write inside", r.exec("g", "sh", "-c", "head -c 2000000 /dev/zero > /more").Code, 1)
	r.must("down", "g")
	r.must("rm", "g")
	r.clean()
}
