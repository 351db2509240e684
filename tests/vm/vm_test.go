//go:build vm

package vm

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vsl/tests/fixture"
)

// Bounds of the tier. TCG is some ten times slower than the host.
const (
	machineBound = 25 * time.Minute
	packageBound = 10 * time.Minute
)

// TestVM runs the tests of the real kernel inside Debian 12's kernel and
// relays each of them as a subtest. VSL_VM_PKGS (patterns separated by spaces)
// and VSL_VM_RUN (a test filter) choose fewer.
func TestVM(t *testing.T) {
	ctx := t.Context()
	top, err := fixture.RepoRoot()
	if err != nil {
		t.Fatal(err)
	}
	img, err := BuildImage(ctx, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	pkgs := buildable(t, top)
	dir := t.TempDir()
	payload := filepath.Join(dir, "payload")
	if err := fillPayload(ctx, top, payload, pkgs); err != nil {
		t.Fatal(err)
	}
	packages := make(chan Package, len(pkgs)+1)
	p := &parser{done: func(pkg Package) { packages <- pkg }}
	var res Result
	go func() {
		defer close(packages)
		res, err = Run(ctx, Config{Image: img, Payload: payload, Dir: dir, Within: machineBound, Output: p})
		p.Close()
	}()
	seen := map[string]bool{}
	for pkg := range packages {
		seen[pkg.Name] = true
		fmt.Printf("vm: %s\n", summary(pkg))
		t.Run(pkg.Name, func(t *testing.T) { relay(t, pkg) })
	}
	fmt.Printf("vm: Linux %s under %s: ready after %.1fs, %.1fs in all\n", res.Kernel, res.Accel, res.Ready.Seconds(), res.Total.Seconds())
	for _, pkg := range pkgs {
		if !seen[pkg] {
			t.Errorf("%s: did not run", pkg)
		}
	}
	if err != nil || res.Code < 0 {
		t.Fatalf("the machine did not end well: %v; its console's last lines:\n%s", err, Console(dir, 60))
	}
}

// buildable lists the packages to run. What does not compile fails the test by
// name and does not hide the rest.
func buildable(t *testing.T, top string) []string {
	t.Helper()
	patterns := strings.Fields(os.Getenv("VSL_VM_PKGS"))
	if len(patterns) == 0 {
		patterns = []string{"./engine/...", "./tests/guest/..."}
	}
	pkgs, err := TestPackages(t.Context(), top, patterns...)
	if err != nil {
		t.Fatal(err)
	}
	var good []string
	for _, pkg := range pkgs {
		cmd := exec.CommandContext(t.Context(), "go", "vet", "./"+pkg)
		cmd.Dir = top
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", pkg, err, out)
			continue
		}
		good = append(good, pkg)
	}
	return good
}

// fillPayload makes the second disk's tree: the test binaries in a skeleton of
// the checkout, bin/vsl, and the script that runs them.
func fillPayload(ctx context.Context, top, payload string, pkgs []string) error {
	repo := filepath.Join(payload, "repo")
	if err := os.MkdirAll(filepath.Join(repo, "bin"), 0o755); err != nil {
		return err
	}
	if err := AddTests(ctx, top, payload, pkgs); err != nil {
		return err
	}
	if err := GoBuild(ctx, top, "build", "-o", filepath.Join(repo, "bin", "vsl"), "./cmd/vsl"); err != nil {
		return err
	}
	if err := run(ctx, top, "cp", "-a", "go.mod", "recipes", "stdlib", repo+"/"); err != nil {
		return err
	}
	env := []string{
		"VSL_TEST_VM=1", "VSL_TEST_ROOT=1", "VSL_BIN=/srv/payload/repo/bin/vsl",
		"VSL_TEST_REQUIRE=" + os.Getenv("VSL_TEST_REQUIRE"),
	}
	script := RunScript(pkgs, env, os.Getenv("VSL_VM_RUN"), packageBound)
	return os.WriteFile(filepath.Join(payload, "run"), []byte(script), 0o644)
}

// summary is one line about a package, and one for each test it skipped.
func summary(pkg Package) string {
	count := map[string]int{}
	skips := ""
	for _, inner := range pkg.Tests {
		count[inner.Status]++
		if inner.Status == "SKIP" {
			skips += "\nvm:   skipped " + inner.Name + ":" + strings.Join(strings.Fields(skipReason(inner.Output)), " ")
		}
	}
	return fmt.Sprintf("%-24s %3d passed, %d failed, %d skipped%s", pkg.Name,
		count["PASS"], count["FAIL"]+count[""], count["SKIP"], skips)
}

// skipReason is what the test itself said last.
func skipReason(output string) string {
	reason := ""
	for line := range strings.Lines(output) {
		if strings.HasPrefix(line, "    ") {
			_, reason, _ = strings.Cut(line, ".go:")
		}
	}
	return reason
}

// relay turns what happened inside into results of this test.
func relay(t *testing.T, pkg Package) {
	failed := false
	for _, inner := range pkg.Tests {
		failed = failed || inner.Status != "PASS" && inner.Status != "SKIP"
		t.Run(inner.Name, func(t *testing.T) {
			switch inner.Status {
			case "PASS":
				t.Log("\n" + inner.Output)
			case "SKIP":
				t.Skip("\n" + inner.Output)
			case "FAIL":
				t.Error("\n" + inner.Output)
			default:
				t.Errorf("did not end\n%s", inner.Output)
			}
		})
	}
	if pkg.Code != 0 && !failed {
		t.Errorf("exit status %d\n%s", pkg.Code, lastLines(pkg.Rest, 60))
	}
}
