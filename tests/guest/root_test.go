package guest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vsl/engine"
	"vsl/tests/fixture"
)

// root is one state root: the world of one test.
type root struct {
	t    testing.TB
	dir  string // the state root
	src  string // where its recipes are
	base baseline
}

// agentTemplate declares the template that most tests use: the host's system
// and the agent. It stands before each recipe that is given as text.
const agentTemplate = `local box = template "box" { from = host(), build = function(t) t:copy_in("agent", "/agent") end }
`

// newRoot makes a state root. When the test ends all guests are removed, and
// then nothing may be left of them.
func newRoot(t testing.TB) *root {
	t.Helper()
	return newRootAt(t, filepath.Join(t.TempDir(), "r"))
}

func newRootAt(t testing.TB, dir string) *root {
	t.Helper()
	r := &root{t: t, dir: dir, src: filepath.Join(t.TempDir(), "src"), base: takeBaseline(t)}
	if err := os.Mkdir(r.src, 0o755); err != nil {
		t.Fatal(err)
	}
	r.link("agent")
	t.Cleanup(r.finish)
	return r
}

// in is this root for a subtest: what fails, fails there.
func (r *root) in(t testing.TB) *root {
	sub := *r
	sub.t = t
	return &sub
}

// link puts the agent into the recipe's folder.
func (r *root) link(name string) {
	if err := os.Link(self, filepath.Join(r.src, name)); err != nil {
		if err := copyFile(self, filepath.Join(r.src, name)); err != nil {
			r.t.Fatal(err)
		}
	}
}

// finish removes all guests and looks for what that left.
func (r *root) finish() {
	r.t.Helper()
	if res := r.vsl("rm", "-f", "--all"); res.code != 0 {
		r.t.Errorf("rm -f --all: exit %d: %s", res.code, res.err)
	}
	r.clean()
}

// result is how a vsl command ended.
type result struct {
	out, err string
	code     int
	took     time.Duration
}

// cmd prepares a vsl command on this root.
func (r *root) cmd(args ...string) *exec.Cmd {
	c := exec.Command(bin, args...)
	c.Env = append(os.Environ(), "VSL_ROOT="+r.dir)
	c.Dir = r.src
	return c
}

// vsl runs a vsl command; one that hangs is killed after a while.
func (r *root) vsl(args ...string) result {
	return r.vslIn(nil, args...)
}

func (r *root) vslIn(stdin []byte, args ...string) result {
	r.t.Helper()
	c := r.cmd(args...)
	var out, errOut bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(stdin), &out, &errOut
	begin := time.Now()
	if err := c.Start(); err != nil {
		r.t.Fatal(err)
	}
	timer := time.AfterFunc(slow(time.Minute), func() { c.Process.Kill() })
	defer timer.Stop()
	err := c.Wait()
	var ee *exec.ExitError
	if err != nil && !errors.As(err, &ee) {
		r.t.Fatalf("vsl %s: %v", strings.Join(args, " "), err)
	}
	return result{out.String(), errOut.String(), c.ProcessState.ExitCode(), time.Since(begin)}
}

// must runs a vsl command that has to succeed and gives its output.
func (r *root) must(args ...string) string {
	r.t.Helper()
	res := r.vsl(args...)
	if res.code != 0 {
		r.t.Fatalf("vsl %s: exit %d\n%s%s", strings.Join(args, " "), res.code, res.out, res.err)
	}
	return res.out
}

// fails runs a vsl command that has to end with that code and with all of the
// words on standard error.
func (r *root) fails(code int, words []string, args ...string) result {
	r.t.Helper()
	res := r.vsl(args...)
	if res.code != code {
		r.t.Errorf("vsl %s: exit %d, want %d\n%s%s", strings.Join(args, " "), res.code, code, res.out, res.err)
	}
	for _, w := range words {
		if !strings.Contains(res.err, w) {
			r.t.Errorf("vsl %s: %q is not in its message:\n%s", strings.Join(args, " "), w, res.err)
		}
	}
	return res
}

// recipe writes a recipe and gives its path.
func (r *root) recipe(text string) string {
	r.t.Helper()
	p := filepath.Join(r.src, "recipe.lua")
	if err := os.WriteFile(p, []byte(agentTemplate+text), 0o644); err != nil {
		r.t.Fatal(err)
	}
	return p
}

// up brings up what a recipe declares.
func (r *root) up(text string) {
	r.t.Helper()
	r.must("up", r.recipe(text))
}

// simple brings up one guest, called g, whose command only waits. Extra is
// more of its declaration.
func (r *root) simple(extra string) {
	r.t.Helper()
	r.up(`guest "g" { template = box, command = { "sleep", "infinity" }, ` + extra + ` }`)
}

// guest is the engine's handle on an existing guest.
func (r *root) guest(name string) engine.Guest {
	r.t.Helper()
	e, err := engine.Open(engine.Options{Root: r.dir})
	if err != nil {
		r.t.Fatal(err)
	}
	g, err := e.Lookup(name)
	if err != nil {
		r.t.Fatal(err)
	}
	return g
}

// status asks vsl status.
func (r *root) status(name string) engine.Status {
	r.t.Helper()
	res := r.vsl("status", "--json", name)
	var s []engine.Status
	if err := json.Unmarshal([]byte(res.out), &s); err != nil || len(s) != 1 {
		r.t.Fatalf("status %s: exit %d: %v\n%s%s", name, res.code, err, res.out, res.err)
	}
	return s[0]
}

// exec runs a command in a guest by the engine.
func (r *root) exec(name string, argv ...string) engine.ExecResult {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), slow(30*time.Second))
	defer cancel()
	res, err := r.guest(name).Exec(ctx, engine.ExecArgs{Argv: argv})
	if err != nil {
		r.t.Fatalf("exec %s %v: %v", name, argv, err)
	}
	return res
}

// out runs a command in a guest that has to succeed, and gives its output
// without the last newline.
func (r *root) out(name string, argv ...string) string {
	r.t.Helper()
	res := r.exec(name, argv...)
	if res.Code != 0 {
		r.t.Fatalf("exec %s %v: exit %d\n%s%s", name, argv, res.Code, res.Stdout, res.Stderr)
	}
	return strings.TrimSuffix(string(res.Stdout), "\n")
}

// sh is out for a shell line.
func (r *root) sh(name, line string) string {
	r.t.Helper()
	return r.out(name, "/bin/sh", "-c", line)
}

// expect compares what was got with what was wanted.
func expect[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// eventually waits until a condition holds.
func eventually(t testing.TB, within time.Duration, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !f(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", within, what)
		}
	}
}

// slow stretches a bound of what hangs to the machine's speed.
func slow(d time.Duration) time.Duration { return fixture.Patience(d) }

// need skips a test when the kernel says that it lacks something.
func need(t testing.TB, ok bool, what string) {
	t.Helper()
	if ok {
		return
	}
	if os.Getenv("VSL_TEST_REQUIRE") == "1" {
		t.Fatalf("missing: %s", what)
	}
	t.Skipf("missing: %s", what)
}
