package repl

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"vsl/engine/enginetest"
	"vsl/lua"
)

// session types text into a REPL and gives what it printed, both streams.
func session(t *testing.T, e *enginetest.Engine, text string) (out, errOut string, err error) {
	t.Helper()
	var o, eo bytes.Buffer
	err = Run(context.Background(), strings.NewReader(text), &o, &eo, Options{Options: lua.Options{Engine: e}})
	return o.String(), eo.String(), err
}

func TestSession(t *testing.T) {
	for _, c := range []struct{ name, in, out, err string }{
		{"expression", "1 + 2\n", "3\n", ""},
		{"equals sign", "=1, 'x'\n", "1\n\"x\"\n", ""},
		{"no newline at the end", "40 + 2", "42\n", ""},
		{"statement", "x = 3\nx\n", "3\n", ""},
		{"several lines", "for i = 1, 2 do\nprint(i)\nend\n", "1\n2\n", ""},
		{"table", "{ 1, a = { b = true } }\n", "{ 1, a = { b = true } }\n", ""},
		{"cycle", "t = { }\nt.t = t\nt\n", "{ t = { …itself… } }\n", ""},
		{"undefined", "gest\n1\n", "1\n", "error: repl[1]:1: undefined global \"gest\" (did you mean \"guest\"?)\n"},
		{"syntax", "x = = 1\n2\n", "2\n", "error: repl[1]:1: syntax error: an expression expected before \"=\"\n"},
		{"unterminated string", "x = \"a\n2\n", "2\n", "error: repl[1]:1: syntax error: unterminated string\n"},
		{"incomplete at the end", "for i = 1, 2 do\n", "", "error: repl[1]:1: syntax error: \"end\" expected before the end of the file, to close what \"for\" begins in line 1\n"},
		{"function", "function twice(n) return 2 * n end\ntwice(4)\n", "8\n", ""},
		{"failing tostring", "setmetatable({}, { __tostring = function() error 'no' end })\n1\n", "1\n", "error: repl[1]:1: no\n"},
		{"quit", ".quit\n1\n", "", ""},
		{"unknown command", ".quti\n", "", "error: unknown command .quti (did you mean \".quit\"?)\n"},
		{"declare", "guest \"a\" { }\n.guests\n", "guest a (declared)\na  declared\n", ""},
		{"wrong key", "guest \"a\" { limt = 1 }\n", "", "error: repl[1]:1: guest \"a\": unknown key \"limt\" (did you mean \"limit\"?)\n"},
		{"a local is lost, said once", "local y = 3\nlocal z = 4\nlocal a = 1; print(a)\n", "1\n", "note: a local ends with its line; leave out local to keep it\n"},
		{"fields of _err", "limit { memroy = 1 }\n_err.hint, _err.where\n", "\"did you mean \\\"memory\\\"?\"\n\"repl[1]:1\"\n",
			"error: repl[1]:1: limit: unknown key \"memroy\" (did you mean \"memory\"?)\n"},
		{"_err of a text that is no Lua", "x = = 1\n_err.where\n", "\"repl[1]:1\"\n", "error: repl[1]:1: syntax error: an expression expected before \"=\"\n"},
		{"no host", ".logs web\n", "", "error: there is no host with guests\n"},
		{"undeclared", "up \"b\"\n", "", "error: repl[1]:1: guest \"b\" is not declared in this session\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, errOut, _ := session(t, enginetest.NewEngine(), c.in)
			if out != c.out || errOut != c.err {
				t.Errorf("out %q, want %q; err %q, want %q", out, c.out, errOut, c.err)
			}
		})
	}
}

func TestPrimitivesAct(t *testing.T) {
	e := enginetest.NewEngine()
	out, errOut, err := session(t, e, `
g = context { name = "x" }
limit { g, memory = "1G" }
cow_clone { g }
bind_ip { g, ip = "127.77.0.9" }
boot { g, command = { "sleep", "infinity" } }
g
g.state
kill { g, signal = "TERM" }
`)
	if err != nil {
		t.Fatal(err, errOut)
	}
	want := `context x
limit x memory=1073741824
cow_clone x template=host
bind_ip x ip=127.77.0.9
boot x command="sleep infinity"
kill x signal=TERM`
	if got := strings.Join(e.Calls(), "\n"); got != want {
		t.Errorf("calls:\n%s", got)
	}
	if !strings.Contains(out, "guest x (running)\n\"running\"\n") || !strings.Contains(errOut, "still running: x\n") {
		t.Errorf("out %q err %q", out, errOut)
	}
}

func TestUpDown(t *testing.T) {
	e := enginetest.NewEngine()
	_, errOut, err := session(t, e, "web = guest \"web\" { command = { \"true\" } }\nup(web)\ndown \"web\"\n")
	if err != nil {
		t.Fatal(err)
	}
	want := "context web\ncow_clone web template=host\nlimit web\nbind_ip web\nboot web command=true\nwait_ready web kind=started\nkill web graceful"
	if got := strings.Join(e.Calls(), "\n"); got != want || errOut != "" {
		t.Errorf("calls:\n%s\n%s", got, errOut)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	var out, errOut bytes.Buffer
	err := Run(ctx, strings.NewReader("while true do end\n"), &out, &errOut, Options{})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v (%s)", err, errOut.String())
	}
}

// TestWords completes what stands after the last chunk, by the text and by the
// session's values.
func TestWords(t *testing.T) {
	s, err := lua.NewSession(t.Context(), lua.Options{Engine: enginetest.NewEngine()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var out bytes.Buffer
	r := &repl{s: s, out: &out, errOut: &out}
	for _, chunk := range []string{"g = guest \"web\" {}\n", "made = setmetatable({}, {})\nmade.inside = 1\n", "local gone = 1\n", "1 + 1\n"} {
		if err := r.run(t.Context(), chunk); err != nil {
			t.Fatal(err, out.String())
		}
	}
	for _, c := range []struct {
		text string
		from int
		has  string
		not  string
	}{
		{"guest \"a\" { limit = { mem", 22, "memory = ", "math"},
		{"g:ex", 2, "exec", "execute"},
		{"g.na", 2, "name", "exec"},
		{"made.ins", 5, "inside", "made"},
		{"prin", 0, "print", "gone"},
		{"go", 0, "goto", "gone"},
		{"ma", 0, "made", "print"},
		{"print('gu", 7, "", "guest"},
		{"for i = 1, 2 do\n  prob", 18, "probe", ""},
		{"up \"w", 4, "web", "g"},
		{".do", 0, ".doc", ""},
	} {
		items, from := r.complete(c.text)
		var got []string
		for _, i := range items {
			got = append(got, i.Text)
		}
		if from != c.from || c.has != "" && !slices.Contains(got, c.has) || slices.Contains(got, c.not) {
			t.Errorf("%q: %q from %d", c.text, got, from)
		}
	}
	items, _ := r.complete("guest \"a\" { limit = { memory_h")
	if len(items) != 1 || items[0].Doc != `a size, such as "256M"` {
		t.Error(items)
	}
}
