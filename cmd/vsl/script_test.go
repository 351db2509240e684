package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"vsl": main})
}

// TestScript runs the scripts that need nothing: no root, no kernel feature.
func TestScript(t *testing.T) {
	if _, err := exec.LookPath("nvim"); err != nil && os.Getenv("VSL_TEST_REQUIRE") != "" {
		t.Error("nvim is missing, with which vsl lsp is tested, and VSL_TEST_REQUIRE is set")
	}
	testscript.Run(t, params("testdata/script"))
}

// TestGuest runs the scripts that bring guests up on this kernel, each with a
// state root of its own.
func TestGuest(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("VSL_TEST_REQUIRE") != "" {
			t.Fatal("needs root, and VSL_TEST_REQUIRE is set")
		}
		t.Skip("needs root")
	}
	p := params("testdata/guest")
	setup := p.Setup
	p.Setup = func(e *testscript.Env) error {
		root := stateRoot(e)
		e.Defer(func() { // guests outlive a script that failed before its last line
			if _, err := os.Stat(root); err != nil {
				return
			}
			if out, err := exec.Command(self(t), "--root", root, "rm", "-f", "--all").CombinedOutput(); err != nil {
				t.Errorf("clean up %s: %v\n%s", root, err, out)
			}
		})
		return setup(e)
	}
	testscript.Run(t, p)
}

// stateRoot is where a script's guests live: never the host's own root.
func stateRoot(e *testscript.Env) string { return filepath.Join(e.WorkDir, "r") }

// self is the vsl that testscript put on the PATH.
func self(t *testing.T) string {
	path, err := exec.LookPath("vsl")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func params(dir string) testscript.Params {
	return testscript.Params{
		Dir:                dir,
		UpdateScripts:      os.Getenv("UPDATE") != "",
		RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("VSL_ROOT", stateRoot(e))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exitsWith},
	}
}

// exitsWith is "exits CODE COMMAND…": the command must end with just that code. Its
// output can be looked at as after exec.
func exitsWith(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG…]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var ee *exec.ExitError
		if !errors.As(err, &ee) {
			ts.Fatalf("%s: %v", args[1], err)
		}
		got = ee.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s exited with %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}
