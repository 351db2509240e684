package guest

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"vsl/engine"
	"vsl/tests/fixture"
)

// crashRecipe has everything that a killed run could leave: addresses, limits,
// a provision flow in a context of its own, files, more than one guest.
const crashRecipe = `for i = 1, 2 do
  guest("g" .. i) {
    template = box, command = { "sleep", "infinity" }, limit = { memory = "64M", cpu = 0.5, pids = 100 },
    ip = { "198.51.100.5" .. i, "2001:db8::5" .. i },
    provision = function(g) g:mkdir("/srv/d") g:write("/srv/d/f", g.name) end,
    shutdown = function(g) g:exec { "true" } g:shutdown() end,
  }
end`

// killed runs vsl and kills it after a while, unless it was done before. It
// tells whether the command was still at work.
func (r *root) killed(after time.Duration, args ...string) bool {
	r.t.Helper()
	c := r.cmd(args...)
	if err := c.Start(); err != nil {
		r.t.Fatal(err)
	}
	time.Sleep(after)
	c.Process.Signal(syscall.SIGKILL)
	c.Wait()
	return !c.ProcessState.Exited()
}

// rounds is how often a random thing is tried.
func rounds(n int) int {
	if fixture.InVM() {
		return (n + 5) / 6
	}
	return n
}

// span is a random delay on the way of a command that takes about as long.
func span(whole time.Duration, round, of int) time.Duration {
	step := whole * 11 / 10 / time.Duration(of)
	return step*time.Duration(round) + rand.N(step+1)
}

// After vsl is killed in the middle of up, gc leaves nothing of the guests that
// were not complete.
func TestKilledUpThenGC(t *testing.T) {
	r := newRoot(t)
	recipe := r.recipe(crashRecipe)
	r.must("up", recipe)
	r.must("rm", "-f", "--all")
	whole := r.timed("up", recipe)
	r.must("rm", "-f", "--all")
	hit, n := 0, rounds(24)
	for i := range n {
		if r.killed(span(whole, i, n), "up", recipe) {
			hit++
		}
		r.must("gc")
		r.complete("g1", "g2")
		r.must("rm", "-f", "--all")
		r.clean()
		if t.Failed() {
			t.Fatalf("in round %d", i)
		}
	}
	t.Logf("%d of %d were killed at work; up takes %s", hit, n, whole)
}

func (r *root) timed(args ...string) time.Duration {
	r.t.Helper()
	begin := time.Now()
	r.must(args...)
	return time.Since(begin)
}

// complete checks that each guest either does not exist or runs with all that
// it was declared with.
func (r *root) complete(names ...string) {
	r.t.Helper()
	for _, name := range names {
		res := r.vsl("status", name)
		if res.code == 5 {
			if procs := r.procs(name); len(procs) != 0 {
				r.t.Errorf("%s does not exist and has the processes %v", name, procs)
			}
			continue
		}
		if s := r.status(name); s.State != engine.StateRunning {
			r.t.Errorf("%s exists and is %s", name, s.State)
			continue
		}
		expect(r.t, name+": its file", r.out(name, "cat", "/srv/d/f"), name)
		expect(r.t, name+": its memory", *r.status(name).Limits.Memory, 64<<20)
	}
}

// The next up alone is enough too: it finishes what was left and brings all up.
func TestKilledUpThenUp(t *testing.T) {
	r := newRoot(t)
	recipe := r.recipe(crashRecipe)
	r.must("up", recipe)
	r.must("rm", "-f", "--all")
	whole := r.timed("up", recipe)
	r.must("rm", "-f", "--all")
	n := rounds(12)
	for i := range n {
		r.killed(span(whole, i, n), "up", recipe)
		r.must("up", recipe)
		r.complete("g1", "g2")
		expect(t, "guests", strings.Count(r.must("ls", "--json"), `"name"`), 2)
		r.must("rm", "-f", "--all")
		r.clean()
		if t.Failed() {
			t.Fatalf("in round %d", i)
		}
	}
}

func TestKilledDown(t *testing.T) {
	r := newRoot(t)
	recipe := r.recipe(crashRecipe)
	r.must("up", recipe)
	whole := r.timed("down", "--all")
	n := rounds(14)
	for i := range n {
		r.must("up", recipe)
		r.killed(span(whole, i, n), "down", "--all")
		if i%2 == 0 {
			r.must("gc")
		}
		r.must("up", recipe)
		r.complete("g1", "g2")
		r.must("down", "--all")
		r.must("gc")
		r.clean()
		if t.Failed() {
			t.Fatalf("in round %d", i)
		}
	}
}

func TestKilledRemove(t *testing.T) {
	r := newRoot(t)
	recipe := r.recipe(crashRecipe)
	r.must("up", recipe)
	whole := r.timed("rm", "-f", "--all")
	n := rounds(10)
	for i := range n {
		r.must("up", recipe)
		r.killed(span(whole, i, n), "rm", "-f", "--all")
		r.must("gc")
		r.must("rm", "-f", "--all")
		r.clean()
		if t.Failed() {
			t.Fatalf("in round %d", i)
		}
	}
}

// A template build that is killed leaves nothing that gc does not clear, and
// the next build is whole.
func TestKilledTemplateBuild(t *testing.T) {
	r := newRoot(t)
	recipe := r.recipe(`template "slow" { from = host(), build = function(t)
  t:mkdir("/data")
  for i = 1, 30 do t:write("/data/" .. i, string.rep("x", 10000)) end
end }
guest "g" { template = box, command = { "sleep", "infinity" } }`)
	whole := r.timed("template", "build", recipe)
	list := func() string { return strings.Join(sorted(t, filepath.Join(r.dir, "templates")), " ") }
	built := list()
	n := rounds(10)
	for i := range n {
		r.must("template", "rm", "slow", "box")
		r.killed(span(whole, i, n), "template", "build", recipe)
		r.must("gc")
		r.clean()
		r.must("template", "build", recipe)
		expect(t, "templates", list(), built)
		if t.Failed() {
			t.Fatalf("in round %d", i)
		}
	}
}

func sorted(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Guests go on when a command that looks at them is killed.
func TestKilledExecLeavesTheGuestAlone(t *testing.T) {
	r := newRoot(t)
	r.simple("")
	pid := r.status("g").PID
	for range rounds(6) {
		r.killed(30*time.Millisecond, "exec", "g", "sleep", "2")
		r.killed(30*time.Millisecond, "logs", "-f", "g")
	}
	expect(t, "pid 1", r.status("g").PID, pid)
	eventually(t, slow(10*time.Second), "the commands ended", func() bool { return r.exec("g", "pgrep", "-c", "-f", "sleep 2").Code != 0 })
}
