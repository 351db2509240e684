package guest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"vsl/tests/fixture"
)

// The whole life of a guest at the prompt, on a real terminal: typed line by line,
// edited, completed, stopped in a flow, and brought down.
func TestReplOnATerminal(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	home := t.TempDir()
	s := newScreen(t, r)
	s.line("export HOME=" + home + " TERM=screen; clear; " + bin + " repl")
	s.shows(".help says more")
	types := func(text, key string) { // the editor reads keys as they come when somebody types them
		t.Helper()
		s.tmux("send-keys", "-l", text)
		s.shows(text)
		time.Sleep(fixture.Scaled(30 * time.Millisecond))
		s.keys(key)
		time.Sleep(fixture.Scaled(30 * time.Millisecond))
	}
	gaveUp := func() { // what is typed before the new prompt is there would be one key with C-c
		t.Helper()
		s.keys("C-c")
		s.shows("\nvsl>\n")
	}
	typed := func(line string) {
		t.Helper()
		types(line, "Enter")
	}
	step := func(line, shows string) {
		t.Helper()
		typed(line)
		s.shows(shows)
	}

	// a chunk of several lines
	for _, line := range []string{`guest "term" {`, `  command = { "sleep", "infinity" }, limit = { memory = "32M" },`, `  run = function(g)`,
		`    local n = 41`, `    breakpoint()`, `    g:write("/n", tostring(n))`, `  end,`} {
		typed(line)
	}
	step(`}`, "guest term (declared)")

	// Tab completes fields, methods and guests
	types("guests.te", "Tab")
	s.shows("guests.term")
	types(":shutd", "Tab")
	s.shows("guests.term:shutdown")
	gaveUp()

	// up stops in the flow, where a local is read and set
	step(`up "term"`, "stopped in term: run: breakpoint()")
	s.shows("dbg>")
	step(`.locals`, "n = 41")
	step(`n = n + 1`, "dbg>")
	step(`.cont`, "guest term (running)")
	step(`guests.term:exec({ "cat", "/n" }).stdout`, `"42"`)

	// a limit is changed, and taken back
	step(`limit { guests.term, memory = "64M" }`, "guest term")
	step(`guests.term:status().limits.memory`, "67108864")
	step(`.undo`, "taken back: limit term")

	// Ctrl-C ends a chunk and not the session; the arrow brings back what was typed
	typed(`while true do end`)
	s.keys("C-c")
	s.shows("interrupted")
	s.shows("\nvsl>\n")
	step(`"a" .. "b"`, `"ab"`)
	s.keys("Up")
	s.shows("vsl> \"a\" .. \"b\"\n\n")
	s.keys("C-e")
	time.Sleep(fixture.Scaled(30 * time.Millisecond))
	typed(` .. "c"`)
	s.shows(`"abc"`)

	// leaving tells what is up, and the guest goes on
	typed(`.quit`)
	s.shows("still running: term")
	s.line("clear; " + bin + " repl")
	s.shows(".help says more")
	s.keys("Up") // history is kept
	s.shows(`.quit`)
	gaveUp()
	step(`down "term"`, "vsl>")
	step(`.ls`, "stopped")
	typed(`.quit`)
	s.shows("host>")
	if info, err := os.Stat(filepath.Join(home, ".local/state/vsl/history")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("history: %v %v", info, err)
	}
}
