package guest

import (
	"os"
	"path/filepath"
	"testing"
)

// The whole life of a guest at the prompt, on a real terminal: typed line by line,
// edited, completed, stopped in a flow, and brought down.
func TestReplOnATerminal(t *testing.T) {
	r := newRoot(t)
	home := t.TempDir()
	s := newScreen(t, r)
	s.line("export HOME=" + home + " TERM=screen; clear; " + vslPath(t) + " repl")
	s.shows(".help says more")
	step := func(line, shows string) {
		t.Helper()
		s.line(line)
		s.shows(shows)
	}

	// a chunk of several lines
	step(`guest "term" {`, ">>")
	step(`  command = { "sleep", "infinity" }, limit = { memory = "32M" },`, "memory")
	step(`  run = function(g)`, "run")
	step(`    local n = 41`, "41")
	step(`    breakpoint()`, "breakpoint()")
	step(`    g:write("/n", tostring(n))`, "tostring")
	step(`  end,`, "end,")
	step(`}`, "guest term (declared)")

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
	s.line(`while true do end`)
	s.keys("C-c")
	s.shows("interrupted")
	step(`"a" .. "b"`, `"ab"`)
	s.keys("Up")
	s.keys("C-e")
	s.line(` .. "c"`)
	s.shows(`"abc"`)

	// leaving tells what is up, and the guest goes on
	s.line(`.quit`)
	s.shows("still running: term")
	s.line("clear; " + vslPath(t) + " repl")
	s.shows(".help says more")
	s.keys("Up") // history is kept
	s.shows(`.quit`)
	s.keys("C-c")
	step(`down "term"`, "vsl>")
	step(`.ls`, "stopped")
	s.line(`.quit`)
	s.shows("host>")
	if info, err := os.Stat(filepath.Join(home, ".local/state/vsl/history")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("history: %v %v", info, err)
	}
}
