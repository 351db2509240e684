//go:build linux

package cgroup

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"vsl/engine/internal/sys"
)

// testBase is a base of this test run's own, so that no other group is touched.
var testBase = fmt.Sprintf("vsl-test-%d", os.Getpid())

func TestMain(m *testing.M) {
	if what := os.Getenv("VSL_TEST_CHILD"); what != "" {
		child(what)
		return
	}
	code := m.Run()
	if left := leftovers(); len(left) > 0 {
		fmt.Fprintln(os.Stderr, "left behind:", left)
		code = 1
	}
	os.Exit(code)
}

func leftovers() []string {
	l, err := Detect()
	if err != nil {
		return nil
	}
	var out []string
	for _, root := range l.roots() {
		if _, err := os.Lstat(filepath.Join(root, l.Base, testBase)); err == nil {
			out = append(out, filepath.Join(root, l.Base, testBase))
		}
	}
	return out
}

// child is what the helper processes do. They begin when their standard input
// ends: by then they are in the group they are meant for.
func child(what string) {
	os.Stdin.Read(make([]byte, 1))
	switch what {
	case "alloc": // 256 MiB, touched
		b := make([]byte, 256<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		fmt.Println("allocated")
	case "fork": // at most 40 children, none for longer than this process
		var failed int
		var kids []*exec.Cmd
		for range 40 {
			c := exec.Command("sleep", "30")
			if err := c.Start(); err != nil {
				failed++
			} else {
				kids = append(kids, c)
			}
		}
		fmt.Println("failed", failed > 0)
		for _, c := range kids {
			c.Process.Kill()
			c.Wait()
		}
	case "spin":
		for end := time.Now().Add(400 * time.Millisecond); time.Now().Before(end); {
		}
	}
}

func requireRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("VSL_TEST_REQUIRE") == "1" {
		t.Fatal("needs root")
	}
	t.Skip("needs root")
}

// need skips when the kernel says that a feature is absent.
func need(t testing.TB, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if errors.Is(err, sys.ErrNotSupported) && os.Getenv("VSL_TEST_REQUIRE") != "1" {
		t.Skip(err)
	}
	t.Fatal(err)
}

// group makes a context of the test's own and removes it at the end.
func group(t testing.TB) *Group {
	t.Helper()
	requireRoot(t)
	l, err := Detect()
	if err != nil {
		t.Fatal(err)
	}
	g := l.Group(testBase, strings.NewReplacer("/", "-", " ", "-").Replace(t.Name()))
	if err := g.Create(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(g.Kill(), g.WaitEmpty(timeout(t)), g.Remove()); err != nil {
			t.Error(err)
		}
		if g.Exists() {
			t.Error("context exists after Remove")
		}
	})
	return g
}

// sleeper starts a process that only sleeps, inside dir.
func sleeper(t testing.TB, dir string) *exec.Cmd {
	t.Helper()
	c := exec.Command("sleep", "60")
	start(t, c)
	enter(t, dir, c.Process.Pid)
	return c
}

// start starts a command that does not outlive the test.
func start(t testing.TB, c *exec.Cmd) {
	t.Helper()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
}

func enter(t testing.TB, dir string, pid int) {
	t.Helper()
	if err := write(filepath.Join(dir, "cgroup.procs"), strconv.Itoa(pid)); err != nil {
		t.Fatal(err)
	}
}

// helper starts this test program as one of child's, in the context. The
// function it returns lets it begin, and gives its output.
func helper(t testing.TB, g *Group, what string) (run func() (string, error)) {
	t.Helper()
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), "VSL_TEST_CHILD="+what)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	start(t, c)
	enter(t, g.Path(), c.Process.Pid)
	if err := g.Join(c.Process.Pid); err != nil {
		t.Fatal(err)
	}
	return func() (string, error) {
		in.Close()
		err := c.Wait()
		return out.String(), err
	}
}

func ptr[T any](v T) *T { return &v }
