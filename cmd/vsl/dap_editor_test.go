package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"vsl/tests/dapclient"
)

// editor is a session with the built vsl, on a state root of its own.
type editor struct {
	*dapclient.Client
	dir, root string
	cmd       *exec.Cmd
	stderr    strings.Builder
	hangUp    func() // closes what the adapter reads
	vanish    func() // closes what it writes to as well, as an editor that was killed
}

// needGuests skips where no guest can be brought up.
func needGuests(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 || os.Getenv("VSL_TEST_ROOT") != "1" {
		if os.Getenv("VSL_TEST_REQUIRE") != "" {
			t.Fatal("needs root and VSL_TEST_ROOT=1: make test-guest sets it")
		}
		t.Skip("needs root and VSL_TEST_ROOT=1")
	}
	if os.Getenv("VSL_BIN") == "" {
		t.Fatal("VSL_BIN names the vsl to test: make test-guest sets it")
	}
}

// newEditor starts vsl dap in a folder with files.
func newEditor(t *testing.T, files map[string]string) *editor {
	t.Helper()
	needGuests(t)
	bin := os.Getenv("VSL_BIN")
	e := &editor{dir: t.TempDir()}
	e.root = filepath.Join(e.dir, "r")
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(e.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e.cmd = exec.Command(bin, "--root", e.root, "dap")
	e.cmd.Dir, e.cmd.Stderr = e.dir, &e.stderr
	in, err := e.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e.hangUp = func() { in.Close() }
	e.vanish = func() { out.Close(); in.Close() }
	e.Client = dapclient.New(t, out, in)
	t.Cleanup(func() {
		in.Close()
		if e.cmd.ProcessState == nil {
			_ = e.cmd.Wait() // its input has ended: it undoes what it did, and goes
		}
		if out, err := exec.Command(bin, "--root", e.root, "rm", "-f", "--all").CombinedOutput(); err != nil {
			t.Errorf("clean up: %v\n%s", err, out)
		}
	})
	return e
}

// ends waits for the process, which has nothing to say outside of the protocol.
func (e *editor) ends(t *testing.T) {
	t.Helper()
	if err := e.cmd.Wait(); err != nil || e.stderr.Len() > 0 {
		t.Errorf("vsl dap ended with %v and said %q", err, e.stderr.String())
	}
}

// vsl runs another command on the same root.
func (e *editor) vsl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(os.Getenv("VSL_BIN"), append([]string{"--root", e.root}, args...)...).CombinedOutput()
	if err != nil {
		return err.Error() + ": " + string(out)
	}
	return string(out)
}

func (e *editor) path(name string) string { return filepath.Join(e.dir, name) }
