// Package guest is the tier of tests on the real kernel: each promise of vsl is
// one test. They drive the vsl binary as a user does, and the engine's Go API
// where that shows more. The whole package runs in a mount and a network
// namespace of its own, each test has a state root of its own and with it its
// own cgroups, and after each a leak check looks for anything left behind.
package guest

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"

	"vsl/tests/fixture"
)

// Set in the second of the two processes, the one with its own namespaces.
const innerEnv = "VSL_TEST_INNER"

// bin is the vsl under test, self this test's binary, from which the agent in
// guests is made. Nobody else runs anything from either path.
var bin, self string

// device has the addresses of the test's network: a pair whose both ends are
// in the test's own network namespace.
const device = "vslt0"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[0] == agentName {
		os.Exit(agent(os.Args[1:]))
	}
	if os.Getenv("VSL_TEST_ROOT") != "1" || os.Geteuid() != 0 {
		fmt.Println("tests/guest needs root and VSL_TEST_ROOT=1: make test-guest sets it")
		if os.Getenv("VSL_TEST_REQUIRE") == "1" {
			os.Exit(1)
		}
		os.Exit(0)
	}
	if os.Getenv(innerEnv) == "" {
		os.Exit(outer())
	}
	os.Exit(inner(m))
}

// outer runs this binary again in new namespaces.
func outer() int {
	// Trees are downloaded here: inside there is no network but our own.
	trees := []fixture.Debian{fixture.Systemd}
	if os.Getenv("VSL_TEST_INITS") == "1" {
		trees = slices.AppendSeq(trees, maps.Values(fixture.Inits))
	}
	for _, d := range trees {
		if _, err := d.Path(context.Background(), log.Printf); err != nil {
			fmt.Println("tests/guest:", err)
			return 1
		}
	}
	runtime.LockOSThread() // PDEATHSIG is about the thread
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), innerEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET, // Go makes / private with the first
		Pdeathsig:    syscall.SIGKILL,
	}
	err := cmd.Run()
	var ee *exec.ExitError
	if errors.As(err, &ee) && ee.ExitCode() > 0 {
		return ee.ExitCode()
	}
	if err != nil {
		fmt.Println("tests/guest:", err)
		return 1
	}
	return 0
}

func inner(m *testing.M) int {
	dir, err := os.MkdirTemp("", "vsl-guest-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = prepare(dir)
	}
	if err != nil {
		fmt.Println("tests/guest:", err)
		return 1
	}
	code := m.Run()
	if err := shared.close(); err != nil {
		fmt.Println("tests/guest:", err)
		code = 1
	}
	return code
}

// prepare brings up the test's network and gets the binaries.
func prepare(dir string) error {
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"link", "add", device, "type", "veth", "peer", "name", "vslt1"},
		{"link", "set", device, "up"},
		{"link", "set", "vslt1", "up"},
		{"address", "add", "198.51.100.1/24", "dev", device},
		{"address", "add", "2001:db8::1/64", "dev", device, "nodad"},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %v: %w: %s", args, err, out)
		}
	}
	self, bin = filepath.Join(dir, "agent"), filepath.Join(dir, "vsl")
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	if err := copyFile(exe, self); err != nil {
		return err
	}
	if err := static(self); err != nil {
		return err
	}
	if given := os.Getenv("VSL_BIN"); given != "" {
		return copyFile(given, bin)
	}
	top, err := fixture.RepoRoot()
	if err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-o", bin, "./cmd/vsl")
	cmd.Dir, cmd.Env = top, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// static makes sure that the agent runs in every guest.
func static(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("the test binary is also what runs inside guests and must be static: set CGO_ENABLED=0")
		}
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
