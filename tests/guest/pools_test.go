package guest

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"vsl/tests/fixture"
)

// poolRecipe is a pool of that size whose guests are of one word; those of the
// word slow come up, and are not ready for long.
const poolRecipe = `
local size = param.int("size", { default = 4, min = 0 })
local word = param.string("word", { default = "one" })
pool "web" {
  size = size, max_unavailable = param.int("most", { default = 1 }),
  each = function(i)
    return {
      template = box, command = { "sleep", "infinity" }, hostname = word, limit = { memory = "64M", pids = 100 },
      ready = function(g) if word == "slow" and i > 1 then g:exec { "sleep", "600" } end end,
      shutdown = function(g) log.info(g.name .. " ends") g:shutdown() end,
    }
  end,
}`

// words are what the running guests of the pool were brought up as; "-" is one
// that does not run.
func (r *root) words(n int) string {
	r.t.Helper()
	var out []string
	for i := 1; i <= n; i++ {
		res := r.vsl("exec", fmt.Sprint("web", i), "hostname")
		if res.code != 0 {
			res.out = "-"
		}
		out = append(out, strings.TrimSpace(res.out))
	}
	return strings.Join(out, " ")
}

// A roll that is killed at any moment leaves each guest as it was, as it is
// declared now, or down, and never more of them down than may be; the next up
// goes on from there.
func TestKilledRollIsFinishedByTheNextUp(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	recipe := r.recipe(poolRecipe)
	r.must("up", recipe)
	begin := time.Now()
	r.must("up", recipe, "-p", "word=w")
	whole := time.Since(begin)
	was, middle := "w", 0
	n := rounds(12)
	for i := range n {
		now := fmt.Sprint("w", i)
		r.killed(span(whole, i, n), "up", recipe, "-p", "word="+now, "-p", "most=2")
		got := r.words(4)
		if strings.Count(got, "-") > 2 {
			t.Errorf("round %d: more than two are down: %s", i, got)
		}
		words := strings.Fields(got)
		if slices.Contains(words, was) && slices.Contains(words, now) {
			middle++
		}
		for _, w := range words {
			if w != "-" && w != was && w != now {
				t.Errorf("round %d: %s, neither %s nor %s", i, got, was, now)
			}
		}
		r.must("up", recipe, "-p", "word="+now, "-p", "most=2")
		expect(t, fmt.Sprintf("round %d, after another up", i), r.words(4), strings.Join([]string{now, now, now, now}, " "))
		was = now
	}
	t.Logf("%d of %d rounds ended in the middle", middle, n)
	r.must("down", "web")
	r.clean()
}

// Ctrl-C in a roll undoes the guest that is under way; the ones before it are
// new, the ones behind it run as they did.
func TestInterruptedRoll(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	recipe := r.recipe(poolRecipe)
	r.must("up", recipe)
	c := r.cmd("up", recipe, "-p", "word=slow")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	eventually(t, slow(20*time.Second), "the second is under way", func() bool {
		res := r.vsl("status", "--json", "web2")
		return r.words(2) == "slow slow" && strings.Contains(strings.ReplaceAll(res.out, " ", ""), `"ready":false`)
	})
	c.Process.Signal(syscall.SIGINT)
	c.Wait()
	expect(t, "exit", c.ProcessState.ExitCode(), 1)
	expect(t, "the pool", r.words(4), "slow - one one")
	r.must("up", recipe, "-p", "word=three")
	expect(t, "the pool after another up", r.words(4), "three three three three")
}

// Killing vsl while a pool shrinks leaves the rest to the next up.
func TestKilledShrink(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	recipe := r.recipe(poolRecipe)
	n := rounds(6)
	for i := range n {
		r.must("up", recipe)
		r.killed(span(fixture.Scaled(100*time.Millisecond), i, n), "up", recipe, "-p", "size=1")
		r.must("up", recipe, "-p", "size=1")
		expect(t, "the pool", r.words(4), "one - - -")
	}
	r.must("rm", "-f", "web")
	r.clean()
}

// Another recipe's guests, and those that are of no pool, are not a pool's to
// take down, whatever their names are.
func TestShrinkLeavesOthersAlone(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	r.up(`guest "web3" { template = box, command = { "sleep", "infinity" } }
pool "webs" { size = 1, each = function(i) return { template = box, command = { "sleep", "infinity" } } end }`)
	other := t.TempDir() + "/other.lua"
	writeFile(t, other, strings.ReplaceAll(poolRecipe, "template = box", "template = host()"))
	r.must("up", other, "-p", "size=2")
	r.must("up", other, "-p", "size=0")
	expect(t, "the other pool's guest", r.vsl("status", "webs1").code, 0)
	expect(t, "a guest of its own", r.vsl("status", "web3").code, 0)
	expect(t, "the pool", r.words(2), "- -")
	r.must("up", r.recipe(poolRecipe), "-p", "size=0") // the same names from another file
	expect(t, "a guest of its own", r.vsl("status", "web3").code, 0)
}
