package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"vsl/tests/fixture"
)

// A flow that fails undoes its guest and leaves the others as they are.
func TestFailingFlowsUndoTheirGuestOnly(t *testing.T) {
	fixture.HostTierOnly(t)
	for _, c := range []struct {
		phase, decl string
		words       []string
	}{
		{"provision", `provision = function(g) g:write("/x", "x") error("no luck") end`, []string{"recipe.lua:", "no luck", "bad", "provision"}},
		{"provision, a command", `provision = function(g) g:exec { "sh", "-c", "echo reason >&2; exit 9", check = true } end`, []string{"reason", "9"}},
		{"boot", `boot = function(g) require("vsl.flows").boot(g) error("after boot") end`, []string{"after boot", "boot"}},
		{"ready", `ready = function(g) error("never") end`, []string{"never", "ready"}},
		{"ready in time", `ready = probe.file { "/never", within = "300ms" }`, []string{"not ready in time", "300ms", "said this", "/never"}},
		{"no command", `command = { "/no/such" }, ready = probe.file { "/never", within = "10m" }`, []string{"/no/such: there is no such file"}},
	} {
		t.Run(c.phase, func(t *testing.T) {
			r := newRoot(t)
			decl := c.decl
			if !strings.Contains(decl, "command =") {
				decl = `command = { "sh", "-c", "echo said this; exec sleep infinity" }, ` + decl
			}
			res := r.vsl("up", r.recipe(`guest "good" { template = box, command = { "sleep", "infinity" } }
guest "bad" { template = box, ip = "198.51.100.61", `+decl+` }
guest "late" { template = box, command = { "sleep", "infinity" }, after = { bad = "ready" } }`))
			expect(t, "exit", res.code, 1)
			for _, w := range c.words {
				if !strings.Contains(res.err, w) {
					t.Errorf("no %q in\n%s", w, res.err)
				}
			}
			r.fails(5, nil, "status", "bad")
			r.fails(5, nil, "status", "late")
			expect(t, "status of good", r.vsl("status", "good").code, 0)
			expect(t, "processes of bad", len(r.procs("bad")), 0)
			r.must("rm", "-f", "--all")
			r.clean()
		})
	}
}

// A recipe's mistakes change nothing and say where they are.
func TestMistakesChangeNothing(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	r.simple("")
	pid := r.status("g").PID
	for _, c := range []struct {
		text  string
		words []string
	}{
		{`guest "h" { comand = { "x" } }`, []string{"recipe.lua:2", "comand", "command"}},
		{`guest "h" { limit = { memory = "12Q" } }`, []string{"recipe.lua:2", "12Q"}},
		{`guest "h" { after = { nobody = "ready" } }`, []string{"recipe.lua:2", "nobody"}},
		{"guest 'h' { after = { i = 'ready' } }\nguest 'i' { after = { h = 'ready' } }", []string{"recipe.lua:", "h", "i"}},
		{"guest 'h' {}\nguest 'h' {}", []string{"recipe.lua:3", "h"}},
		{`guest "h" { ip = "198.51.100.300" }`, []string{"recipe.lua:2", "198.51.100.300"}},
		{`guest "h" { template = tar "gone.tar" }`, []string{"gone.tar"}},
		{`guest "h" {`, []string{"recipe.lua"}},
		{`gest "h" {}`, []string{"recipe.lua:2", "gest", "guest"}},
	} {
		res := r.vsl("up", r.recipe(c.text))
		want := 2
		if strings.Contains(c.text, "gone.tar") {
			want = 1 // seen while acting
		}
		expect(t, c.text+": exit", res.code, want)
		for _, w := range c.words {
			if !strings.Contains(res.err, w) {
				t.Errorf("%s: no %q in %s", c.text, w, res.err)
			}
		}
		r.fails(5, nil, "status", "h")
	}
	expect(t, "pid 1 of the guest that runs", r.status("g").PID, pid)
}

// Ctrl-C in the middle leaves guests that are complete, and no others.
func TestInterruptLeavesOnlyCompleteGuests(t *testing.T) {
	r := newRoot(t)
	recipe := r.recipe(`for i = 1, 6 do
  guest("g" .. i) { template = box, command = { "sleep", "infinity" }, limit = { memory = "64M" },
    provision = function(g) g:mkdir("/srv/d") g:write("/srv/d/f", g.name) end,
    ready = function(g) if i > 3 then g:exec { "sleep", "600" } end end }
end`)
	c := r.cmd("up", recipe)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, slow(20*time.Second), "three guests are ready", func() bool {
		all := strings.ReplaceAll(r.must("ls", "--json"), " ", "")
		return strings.Count(all, `"running"`) == 6 && strings.Count(all, `"ready":true`) == 3
	})
	time.Sleep(fixture.Scaled(500 * time.Millisecond)) // ready is said just before a run is complete
	c.Process.Signal(syscall.SIGINT)
	c.Wait()
	expect(t, "exit", c.ProcessState.ExitCode(), 1)
	for i := 1; i <= 6; i++ {
		res := r.vsl("status", fmt.Sprintf("g%d", i))
		expect(t, fmt.Sprintf("status of g%d", i), res.code, map[bool]int{true: 0, false: 5}[i <= 3])
	}
	r.complete("g1", "g2", "g3")
	r.must("rm", "-f", "--all")
	r.clean()
}

// Guests come up as their dependencies say, in parallel where these allow, and
// go down in reverse. What a host path is for here: the order is written there.
func TestOrderFollowsDependencies(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	log, apart := filepath.Join(r.src, "order"), fixture.Scaled(200*time.Millisecond)
	recipe := r.recipe(`local function note(g, what) g:exec { "sleep", "` + fmt.Sprint(apart.Seconds()) + `" } g:copy_out("/etc/hostname", "` + log + `." .. g.name .. "." .. what) end
local function g(name, after)
  guest(name) { template = box, command = { "sleep", "infinity" }, after = after,
    ready = function(g) note(g, "up") end, shutdown = function(g) note(g, "down") g:shutdown() end }
end
g("db") g("a", { db = "ready" }) g("b", { db = "ready" }) g("c", { a = "ready", b = "ready" })`)
	if res := r.vsl("up", "--allow-host", recipe); res.code != 0 {
		t.Fatalf("up: %s", res.err)
	}
	when := func(name, what string) time.Time {
		info, err := os.Stat(log + "." + name + "." + what)
		if err != nil {
			t.Fatal(err)
		}
		return info.ModTime()
	}
	order := func(what string, before, after string) {
		if !when(before, what).Before(when(after, what)) {
			t.Errorf("%s: %s did not come before %s", what, before, after)
		}
	}
	order("up", "db", "a")
	order("up", "db", "b")
	order("up", "a", "c")
	order("up", "b", "c")
	if d := when("a", "up").Sub(when("b", "up")).Abs(); d > apart*9/10 {
		t.Errorf("a and b, which do not depend on each other, came up %s apart", d)
	}
	r.must("down", "--all")
	order("down", "c", "a")
	order("down", "c", "b")
	order("down", "a", "db")
	order("down", "b", "db")
}

// The shutdown flow is that of the recipe a guest was booted with.
func TestDownRunsTheFlowOfTheBoot(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	decl := `guest "g" { template = box, command = { "sleep", "infinity" }, shutdown = function(g) g:write("/flow", "%s") g:shutdown() end }`
	r.up(fmt.Sprintf(decl, "first"))
	r.recipe(fmt.Sprintf(decl, "second"))
	r.must("down", "g")
	r.must("up", filepath.Join(r.src, "recipe.lua"))
	expect(t, "the flow that ran", r.out("g", "cat", "/flow"), "first")
	if err := os.WriteFile(filepath.Join(r.src, "recipe.lua"), []byte("this is no Lua"), 0o644); err != nil {
		t.Fatal(err)
	}
	r.must("down", "g")
	r.recipe(fmt.Sprintf(decl, "third"))
	r.must("up", filepath.Join(r.src, "recipe.lua"))
	expect(t, "the flow that ran with a broken recipe beside it", r.out("g", "cat", "/flow"), "second")
	if err := os.Remove(filepath.Join(r.src, "recipe.lua")); err != nil {
		t.Fatal(err)
	}
	r.must("down", "g")
}

// A shutdown flow that fails or hangs does not keep its guest up.
func TestFailingShutdownStillEndsTheGuest(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	r.up(`guest "g" { template = box, command = { "sleep", "infinity" }, shutdown = function(g) error("no") end }`)
	r.fails(1, []string{"recipe.lua:2", "no"}, "down", "g")
	r.fails(3, nil, "status", "g")
	r.clean()
}

// Changing the recipe of a running guest: what can be done live is done, what
// needs a restart is said.
func TestUpAfterAnEditSaysWhatNeedsARestart(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	r.simple(`limit = { pids = 50 }`)
	pid := r.status("g").PID
	res := r.vsl("up", r.recipe(`guest "g" { template = box, command = { "sleep", "1000" }, limit = { pids = 60 }, hostname = "other" }`))
	expect(t, "exit", res.code, 0)
	for _, w := range []string{"hostname", "command"} {
		if !strings.Contains(res.out+res.err, w) {
			t.Errorf("no %q in %s%s", w, res.out, res.err)
		}
	}
	expect(t, "pid 1", r.status("g").PID, pid)
	r.must("restart", "g")
	expect(t, "hostname after a restart", r.out("g", "hostname"), "other")
	expect(t, "freeze", r.vsl("freeze", "g").code, 0)
	expect(t, "state", string(r.status("g").State), "frozen")
	expect(t, "thaw", r.vsl("thaw", "g").code, 0)
	expect(t, "state", string(r.status("g").State), "running")
	r.must("freeze", "g")
	r.must("down", "g")
	r.clean()
}
