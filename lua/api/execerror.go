package api

import (
	"bytes"
	"fmt"
	"strings"
)

// ExecError is a command that failed although check = true.
type ExecError struct {
	Guest  string
	Argv   []string
	Code   int
	Stderr string // its end
}

// Error is one line that ends with the last thing the command said; what it said
// before stands below.
func (e *ExecError) Error() string {
	s := fmt.Sprintf("%s: %s: exit status %d", e.Guest, shownCommand(e.Argv), e.Code)
	if e.Stderr == "" {
		return s
	}
	lines := strings.Split(e.Stderr, "\n")
	s += ": " + lines[len(lines)-1]
	if len(lines) > 1 {
		s += "\n  it said before:\n    " + strings.Join(lines[:len(lines)-1], "\n    ")
	}
	return s
}

// maxShown is how much of a command stands in a sentence about it.
const maxShown = 72

// shownCommand is a command in one line. Of a shell's script it is the script that
// was meant, its lines in a row.
func shownCommand(argv []string) string {
	text, shell := strings.Join(argv, " "), ""
	if len(argv) > 2 && argv[0] == "/bin/sh" && argv[1] == "-c" {
		text, shell = argv[2], "sh: "
	}
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines = append(lines, line)
		}
	}
	text = shell + strings.Join(lines, "; ")
	if shown := []rune(text); len(shown) > maxShown {
		text = string(shown[:maxShown-1]) + "…"
	}
	return text
}

// tail is the end of what a command said, ten lines of it: of stderr, else of stdout.
func tail(stderr, stdout []byte) string {
	text := bytes.TrimSpace(stderr)
	if len(text) == 0 {
		text = bytes.TrimSpace(stdout)
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) > 10 {
		lines = append([]string{"…"}, lines[len(lines)-10:]...)
	}
	out := strings.Join(lines, "\n")
	if len(out) > 2000 {
		out = "…" + out[len(out)-2000:]
	}
	return strings.ToValidUTF8(out, "?")
}
