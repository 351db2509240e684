package guest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"vsl/engine"
	"vsl/tests/fixture"
)

// started is a vsl command that runs, with what it printed.
type started struct {
	*exec.Cmd
	t        *testing.T
	out, err bytes.Buffer
}

// start starts a vsl command and waits for the guest's file that says that it is
// at work.
func (r *root) start(t *testing.T, file string, args ...string) *started {
	t.Helper()
	s := &started{Cmd: r.cmd(args...), t: t}
	s.Stdout, s.Stderr = &s.out, &s.err
	s.WaitDelay = fixture.Scaled(5 * time.Second)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Process.Kill(); s.Wait() })
	eventually(t, fixture.Scaled(10*time.Second), "the command runs", func() bool {
		return r.exec("g", "test", "-e", file).Code == 0
	})
	return s
}

// ends waits for the end and gives the exit code, 128+n for the signal n.
func (s *started) ends(within time.Duration) int {
	s.t.Helper()
	timer := time.AfterFunc(within, func() { s.t.Errorf("%v still runs after %s", s.Args, within); s.Process.Kill() })
	defer timer.Stop()
	s.Wait()
	if ws := s.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return s.ProcessState.ExitCode()
}

// The command gets what vsl exec gets, and its status is ours.
func TestExecPassesSignalsOn(t *testing.T) {
	r := newRoot(t)
	r.simple("")
	for _, c := range []struct {
		sig  syscall.Signal
		trap bool
		want int
	}{
		{syscall.SIGTERM, true, 40}, {syscall.SIGINT, true, 40}, {syscall.SIGHUP, true, 40}, {syscall.SIGQUIT, true, 40},
		{syscall.SIGUSR1, true, 40}, {syscall.SIGUSR2, true, 40}, {syscall.SIGWINCH, true, 40},
		{syscall.SIGTERM, false, 128 + 15}, {syscall.SIGINT, false, 128 + 2}, {syscall.SIGHUP, false, 128 + 1},
		{syscall.SIGQUIT, false, 128 + 3}, {syscall.SIGUSR1, false, 128 + 10},
	} {
		t.Run(fmt.Sprintf("%d trapped %v", int(c.sig), c.trap), func(t *testing.T) {
			r.sh("g", "rm -f /ready /told")
			line := ": > /ready; exec sleep 30"
			if c.trap {
				line = fmt.Sprintf("trap 'echo told > /told; exit 40' %d; : > /ready; sleep 30 & while :; do wait; done", int(c.sig))
			}
			s := r.start(t, "/ready", "exec", "g", "sh", "-c", line)
			s.Process.Signal(c.sig)
			expect(t, "exit code", s.ends(fixture.Scaled(10*time.Second)), c.want)
			if c.trap {
				expect(t, "the command was told", r.sh("g", "cat /told"), "told")
			}
			if strings.Contains(s.err.String(), "goroutine") {
				t.Errorf("stacks:\n%s", s.err.String())
			}
		})
	}
}

// Whoever does not listen is killed at the second signal, with all that it started,
// also what left its session.
func TestExecKillsAtTheSecondSignal(t *testing.T) {
	r := newRoot(t)
	r.simple("")
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		r.sh("g", "rm -f /ready")
		s := r.start(t, "/ready", "exec", "g", "sh", "-c",
			"trap '' TERM INT HUP; setsid sh -c 'trap \"\" TERM INT HUP; sleep 71 & sleep 72' & : > /ready; while :; do sleep 73; done")
		s.Process.Signal(sig)
		time.Sleep(200 * time.Millisecond)
		if err := s.Process.Signal(syscall.Signal(0)); err != nil {
			t.Fatalf("it ended by the first signal: %s", s.err.String())
		}
		s.Process.Signal(sig)
		expect(t, "exit code", s.ends(fixture.Scaled(10*time.Second)), 128+9)
		expect(t, "what is left", string(r.exec("g", "pgrep", "-f", "sleep 7[123]").Stdout), "")
	}
}

// What stops vsl stops the command.
func TestExecStopsAndGoesOn(t *testing.T) {
	r := newRoot(t)
	r.simple("")
	s := r.start(t, "/ready", "exec", "g", "sh", "-c", ": > /ready; exec sleep 41")
	state := func() string {
		return r.sh("g", "awk '/^State/ {print $2}' /proc/$(pgrep -x sleep -n)/status")
	}
	expect(t, "state", state(), "S")
	s.Process.Signal(syscall.SIGTSTP)
	eventually(t, fixture.Scaled(5*time.Second), "the command stops", func() bool { return state() == "T" })
	eventually(t, fixture.Scaled(5*time.Second), "so does vsl", func() bool {
		b, _ := os.ReadFile("/proc/" + strconv.Itoa(s.Process.Pid) + "/stat")
		_, rest, _ := strings.Cut(string(b), ") ")
		return strings.HasPrefix(rest, "T")
	})
	s.Process.Signal(syscall.SIGCONT)
	eventually(t, fixture.Scaled(5*time.Second), "both go on", func() bool { return state() == "S" })
	s.Process.Signal(syscall.SIGTERM)
	expect(t, "exit code", s.ends(fixture.Scaled(10*time.Second)), 128+15)
}

// A timeout ends all that the command started, in a bounded time, also while it
// forks as fast as it may and leaves its session.
func TestTimeoutEndsAllThatForks(t *testing.T) {
	r := newRoot(t)
	r.up(`guest "g" { template = box, command = { "sleep", "infinity" }, limit = { pids = 255 } }`)
	// Each of them lives for half a second and makes three more, for fifteen seconds: a
	// storm that the guest's limit bounds and that ends by itself.
	r.sh("g", `printf '%s\n' '#!/bin/sh' '[ $(date +%s) -lt $1 ] || exit 0' 'for i in 1 2 3; do setsid /storm $1 2>/dev/null & done' 'sleep 0.5' > /storm; chmod 755 /storm`)
	storm := `/storm $(($(date +%s) + 15)) & exec sleep 30`
	begin := time.Now()
	r.fails(124, []string{"killed"}, "exec", "--timeout", "2s", "g", "sh", "-c", storm)
	if d := time.Since(begin); d > fixture.Scaled(12*time.Second) {
		t.Errorf("took %s", d)
	}
	left := func() int { return r.status("g").Processes }
	if n := left(); n > 2 {
		t.Errorf("%d processes are left", n)
	}
	ctx, cancel := context.WithTimeout(context.Background(), fixture.Scaled(30*time.Second))
	defer cancel()
	res, err := r.guest("g").Exec(ctx, engine.ExecArgs{Argv: []string{"sh", "-c", storm}, Timeout: 2 * time.Second})
	if err == nil || res.Code != 124 {
		t.Errorf("%v, exit %d", err, res.Code)
	}
	if n := left(); n > 2 {
		t.Errorf("%d processes are left", n)
	}
}

// Neither commands nor the killing of their vsl leave groups without end.
func TestCommandGroupsAreRemoved(t *testing.T) {
	r := newRoot(t)
	r.simple("")
	groups := func() int {
		found, err := filepath.Glob(filepath.Join(r.status("g").CGroup, "vsl.command.*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	for range 3 {
		r.must("exec", "g", "true")
	}
	expect(t, "groups after commands", groups(), 0)
	for range 3 {
		r.must("exec", "g", "sh", "-c", "sleep 3 >/dev/null 2>&1 </dev/null &")
	}
	if n := groups(); n == 0 {
		t.Error("what commands left behind is in none of their groups")
	}
	eventually(t, fixture.Scaled(10*time.Second), "they have ended", func() bool { return r.exec("g", "pgrep", "-f", "^sleep 3$").Code == 1 })
	r.must("exec", "g", "sh", "-c", "sleep 60 >/dev/null 2>&1 </dev/null &") // finds the others empty
	expect(t, "groups at last", groups(), 1)
	s := r.start(t, "/killed", "exec", "g", "sh", "-c", ": > /killed; exec sleep 61")
	s.Process.Kill()
	s.Wait()
	expect(t, "it goes on", r.out("g", "pgrep", "-c", "-f", "sleep 61"), "1")
	expect(t, "groups", groups(), 2)
}

// A terminal that goes away ends what ran on it.
func TestTerminalThatGoesAwayEndsTheCommand(t *testing.T) {
	r := newRoot(t)
	r.simple("")
	s := newScreen(t, r)
	s.line(bin + " exec -t g sh -c 'trap \"\" HUP; echo r\"\"eady; sleep 81; sleep 82'")
	s.shows("ready")
	s.tmux("new-window", "sleep", "60")
	s.tmux("kill-window", "-t", ":0")
	eventually(t, fixture.Scaled(10*time.Second), "nothing of it is left", func() bool {
		return r.exec("g", "pgrep", "-f", "sleep 8[12]").Code == 1
	})
}

// SIGQUIT ends any verb without stacks.
func TestQuitPrintsNoStacks(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	r.simple("")
	c := r.cmd("logs", "-f", "g")
	var errOut bytes.Buffer
	c.Stderr = &errOut
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(fixture.Scaled(200 * time.Millisecond))
	c.Process.Signal(syscall.SIGQUIT)
	c.Wait()
	if strings.Contains(errOut.String(), "goroutine") {
		t.Errorf("stacks:\n%s", errOut.String())
	}
}

// The first signal ends the waiting for a guest that shuts down, and leaves it to that.
func TestInterruptedDownLeavesTheGuestShuttingDown(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	recipe := r.recipe(`guest "g" { template = box, command = { "sh", "-c", "trap ': > /asked; sleep 3; : > /done; exit 0' TERM; while :; do sleep 0.1; done" } }`)
	for _, verb := range [][]string{{"down", "g"}, {"down", "--all"}, {"rm", "-f", "g"}, {"restart", "g"}} {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			t.Run(fmt.Sprint(verb, int(sig)), func(t *testing.T) {
				r.must("up", recipe)
				r.sh("g", "rm -f /asked /done")
				before := r.status("g")
				s := r.start(t, "/asked", verb...)
				s.Process.Signal(sig)
				expect(t, "exit code", s.ends(fixture.Scaled(2500*time.Millisecond)), 4)
				if !strings.Contains(s.err.String(), "goes on shutting down") {
					t.Errorf("it says:\n%s%s", s.out.String(), s.err.String())
				}
				expect(t, "pid 1", r.status("g").PID, before.PID)
				eventually(t, fixture.Scaled(15*time.Second), "it has shut down", func() bool { return r.vsl("status", "g").code == 3 })
				r.must("up", recipe)
				r.sh("g", "test -e /done")
				r.must("kill", "g")
			})
		}
	}
}

// A second signal that comes before vsl has left kills the guest.
func TestSecondSignalKillsWhatDownWaitsFor(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	recipe := r.recipe(`guest "g" { template = box, command = { "sh", "-c", "trap ': > /asked' TERM; while :; do sleep 0.1; done" } }`)
	for range 10 { // vsl may be faster
		r.must("up", recipe)
		r.sh("g", "rm -f /asked")
		s := r.start(t, "/asked", "down", "g")
		s.Process.Signal(syscall.SIGINT)
		s.Process.Signal(syscall.SIGTERM)
		code := s.ends(fixture.Scaled(10 * time.Second))
		if code == 4 {
			continue
		}
		expect(t, "exit code", code, 128+15)
		eventually(t, fixture.Scaled(5*time.Second), "it is gone", func() bool { return r.vsl("status", "g").code == 3 })
		return
	}
	t.Error("no second signal was ever in time")
}
