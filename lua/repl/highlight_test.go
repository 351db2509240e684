package repl

import (
	"regexp"
	"testing"
)

var codes = regexp.MustCompile("\x1b\\[[0-9]*m")

func TestHighlight(t *testing.T) {
	for _, c := range []struct{ in, out string }{
		{`local x = 1`, "\x1b[1mlocal\x1b[0m x = \x1b[36m1\x1b[0m"},
		{`up "web" -- now`, "up \x1b[32m\"web\"\x1b[0m \x1b[90m-- now\x1b[0m"},
		{`.up web`, `.up web`},
		{"", ""},
	} {
		if got := highlight([]rune(c.in)); got != c.out {
			t.Errorf("%q: %q, want %q", c.in, got, c.out)
		}
	}
}

// Whatever is typed, what is shown is that.
func FuzzHighlight(f *testing.F) {
	for _, s := range []string{`"abc`, "[[x\ny", "--[[", "x = 'a\\\nb'", "ü = 1", "5.5.5", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = string([]rune(codes.ReplaceAllString(s, "")))
		if got := codes.ReplaceAllString(highlight([]rune(s)), ""); got != s && codes.ReplaceAllString(s, "") == s {
			t.Errorf("%q became %q", s, got)
		}
	})
}
