package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	"vsl/engine"
)

func TestExitCodes(t *testing.T) {
	unknown := &engine.OpError{Op: "find guest", Target: "x", Err: engine.ErrUnknownGuest}
	stopped := &engine.OpError{Op: "find pid 1", Target: "x", Err: engine.ErrNotRunning}
	tests := []struct {
		name string
		err  error
		want int
	}{
		{"none", nil, 0},
		{"usage", &usageError{msg: "x"}, 2},
		{"recipe", &recipeError{errors.New("x")}, 2},
		{"recipe that is a guest's fault", &recipeError{unknown}, 2},
		{"spec", &engine.SpecError{Msg: "x"}, 2},
		{"unknown", unknown, 5},
		{"stopped", stopped, 3},
		{"stopped while a flow ran", &engine.GuestError{Guest: "x", Phase: "boot", Err: stopped}, 1},
		{"several", errors.Join(stopped, unknown), 5},
		{"several with a usage error", errors.Join(unknown, &usageError{msg: "x"}), 2},
		{"other", fs.ErrPermission, 1},
		{"interrupted", fmt.Errorf("boot: %w", context.Canceled), 1},
	}
	for _, tt := range tests {
		if got := exitCode(tt.err); got != tt.want {
			t.Errorf("%s: exitCode(%v) = %d, want %d", tt.name, tt.err, got, tt.want)
		}
	}
}

func TestFail(t *testing.T) {
	hinted := &engine.OpError{Op: "find guest", Target: "wbe", Err: engine.ErrUnknownGuest, Hint: `did you mean "web"?`}
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"plain", errors.New("no luck"), "vsl: no luck\n"},
		{"hint on its own line", hinted, "vsl: find guest wbe: no such guest\n     did you mean \"web\"?\n"},
		{"hint of a wrapped error", fmt.Errorf("down: %w", hinted), "vsl: down: find guest wbe: no such guest\n     did you mean \"web\"?\n"},
		{"joined errors one by one", errors.Join(errors.New("a"), &recipeError{errors.Join(errors.New("b"), errors.New("c"))}),
			"vsl: a\nvsl: b\nvsl: c\n"},
		{"control codes of a guest", &engine.GuestError{Guest: "g", Phase: "boot", Err: errors.New("x"), Log: []string{"a\x1b]0;title\x07b"}},
			"vsl: g: boot: x\n  last lines of its log:\n    a]0;titleb\n"},
	}
	for _, tt := range tests {
		var out, errOut bytes.Buffer
		newUI(strings.NewReader(""), &out, &errOut).fail(tt.err)
		if got := errOut.String(); got != tt.want || out.Len() > 0 {
			t.Errorf("%s: fail printed %q and %q, want %q on standard error", tt.name, out.String(), got, tt.want)
		}
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	u := newUI(strings.NewReader(""), &out, &bytes.Buffer{})
	rows := [][]string{{"+", "größe", "x"}, {"=", "a", ""}, {"", "longer name", "y\x1b[2J"}}
	want := "+  größe        x\n=  a\n   longer name  y[2J\n"
	if u.table(rows); out.String() != want {
		t.Errorf("table printed\n%swant\n%s", out.String(), want)
	}
	u.colour = true
	out.Reset()
	if u.table(rows[:1]); !strings.HasPrefix(out.String(), "\x1b[32m+\x1b[0m  größe") {
		t.Errorf("in colour: %q", out.String())
	}
}

// Slow work is told in plain lines where there is no terminal, quick work never.
func TestProgress(t *testing.T) {
	var errOut bytes.Buffer
	u := newUI(strings.NewReader(""), &bytes.Buffer{}, &errOut)
	u.progress(engine.Progress{Subject: "quick", Stage: "boot"})
	u.progress(engine.Progress{Subject: "slow", Stage: "ready"})
	u.progress(engine.Progress{Subject: "template t", Stage: "unpack", Done: 1, Total: 4})
	u.progress(engine.Progress{Subject: "quick", Stage: "up"})
	u.mu.Lock()
	now := time.Now()
	u.live.tick(now)
	u.live.tick(now.Add(2 * time.Second))
	u.live.tick(now.Add(3 * time.Second))
	u.mu.Unlock()
	u.close()
	want := "vsl: slow: waiting until it is ready\nvsl: template t: building: unpack 25%\n"
	if got := errOut.String(); got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

// Where there is no terminal, many guests at the same stage are one line.
func TestProgressOfMany(t *testing.T) {
	var errOut bytes.Buffer
	u := newUI(strings.NewReader(""), &bytes.Buffer{}, &errOut)
	for i := range 100 {
		u.progress(engine.Progress{Subject: fmt.Sprintf("web%d", i+1), Stage: "boot"})
	}
	u.progress(engine.Progress{Subject: "db", Stage: "ready"})
	u.mu.Lock()
	now := time.Now()
	u.live.tick(now.Add(2 * time.Second))
	delete(u.live.jobs, "web50")
	u.live.tick(now.Add(3 * time.Second))
	u.live.tick(now.Add(8 * time.Second))
	u.mu.Unlock()
	u.close()
	want := "vsl: web1…web100: booting\nvsl: db: waiting until it is ready\nvsl: web1…web49, web51…web100: booting\nvsl: db: waiting until it is ready\n"
	if got := errOut.String(); got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

// What takes a minute is told of four times: each gap is twice the last.
func TestProgressGaps(t *testing.T) {
	var errOut bytes.Buffer
	u := newUI(strings.NewReader(""), &bytes.Buffer{}, &errOut)
	u.progress(engine.Progress{Subject: "slow", Stage: "ready"})
	u.mu.Lock()
	for now := time.Now(); now.Before(time.Now().Add(time.Minute)); now = now.Add(100 * time.Millisecond) {
		u.live.tick(now)
	}
	u.mu.Unlock()
	u.close()
	if got := strings.Count(errOut.String(), "vsl: slow: waiting until it is ready\n"); got != 4 {
		t.Errorf("told %d times, want 4", got)
	}
}

// Colours of a guest's log pass to a terminal, all other control codes do not.
func TestGuestOutput(t *testing.T) {
	var out bytes.Buffer
	u := newUI(strings.NewReader(""), &out, &bytes.Buffer{})
	in := "a\x1b[32mok\x1b[0m\x1b[2J\x1b]52;c;eA==\x07\r\n"
	u.guestOutput().Write([]byte(in))
	if out.String() != in {
		t.Errorf("a pipe got %q, want %q", out.String(), in)
	}
	out.Reset()
	u.outTerm = true
	n, err := u.guestOutput().Write([]byte(in))
	if want := "a\x1b[32mok\x1b[0m[2J]52;c;eA==\n"; out.String() != want || n != len(in) || err != nil {
		t.Errorf("a terminal got %q, %d, %v, want %q", out.String(), n, err, want)
	}
}

func TestParseLimits(t *testing.T) {
	good := map[string]string{
		"memory=256M":                            "memory=268435456",
		"memory=unlimited":                       "memory=-1",
		"cpu=50%":                                "cpu=0.5",
		"cpuset=0-1,4":                           "cpuset=0-1,4",
		"sched=fifo:10":                          `sched={"policy":"fifo","priority":10}`,
		"rlimits.nofile=1024:4096":               `rlimits={"nofile":{"soft":1024,"hard":4096}}`,
		"io=/dev/vda,read_bps=1M,write_iops=100": `io=[{"device":"/dev/vda","read_bps":1048576,"write_iops":100}]`,
	}
	for in, want := range good {
		l, err := parseLimits([]string{in})
		if err != nil || l.String() != want {
			t.Errorf("parseLimits(%q) = %s, %v, want %s", in, l, err, want)
		}
	}
	for _, in := range []string{"memory", "memory=", "mem=1", "cpu=x", "cpuset=a", "pids=-3", "nice=x", "sched=fifo:x", "io=/dev/vda", "io=/dev/vda,speed=1", "rlimits.nofile=x"} {
		var u *usageError
		if _, err := parseLimits([]string{in}); !errors.As(err, &u) {
			t.Errorf("parseLimits(%q) = %v, want a usage error", in, err)
		}
	}
}

func TestSpan(t *testing.T) {
	for sec, want := range map[int]string{0: "0s", 59: "59s", 61: "1m01s", 3600: "1h00m", 90061: "1d01h"} {
		if got := span(time.Duration(sec) * time.Second); got != want {
			t.Errorf("span(%d s) = %s, want %s", sec, got, want)
		}
	}
}

// TestLuaOutput: what a recipe prints reaches a terminal as a guest's output does, and
// a file as it is.
func TestLuaOutput(t *testing.T) {
	for terminal, want := range map[bool]string{true: "a]0;title\x1b[31mb\n", false: "a\x1b]0;title\x07\x1b[31mb\n"} {
		var out, errOut bytes.Buffer
		u := newUI(strings.NewReader(""), &out, &errOut)
		u.outTerm, u.errTerm = terminal, terminal
		for _, w := range []io.Writer{u.luaResults(), u.luaNotes()} {
			if n, err := io.WriteString(w, "a\x1b]0;title\x07\x1b[31mb\n"); err != nil || n != 18 {
				t.Errorf("terminal %v: %d, %v", terminal, n, err)
			}
		}
		if out.String() != want || errOut.String() != want {
			t.Errorf("terminal %v: %q, %q, want %q", terminal, out.String(), errOut.String(), want)
		}
	}
}
