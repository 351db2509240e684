package vm

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// TestPackages lists the packages below the given patterns that have tests, as
// folders relative to the checkout at top. Ones that do not build are among them.
func TestPackages(ctx context.Context, top string, patterns ...string) ([]string, error) {
	args := append([]string{"list", "-e", "-f", "{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}"}, patterns...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = top
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var dirs []string
	for _, dir := range strings.Fields(string(out)) {
		rel, err := filepath.Rel(top, dir)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, rel)
	}
	return dirs, nil
}

// AddTests puts the static test binary of each package into the payload, in a
// copy of its folder without Go files, so that testdata is where tests look.
func AddTests(ctx context.Context, top, payload string, pkgs []string) error {
	for _, pkg := range pkgs {
		dir := filepath.Join(payload, "repo", pkg)
		if err := copyData(ctx, top, dir, pkg); err != nil {
			return err
		}
		if err := GoBuild(ctx, top, "test", "-c", "-o", filepath.Join(dir, "pkg.test"), "./"+pkg); err != nil {
			return err
		}
	}
	return nil
}

// GoBuild runs go build or go test -c without cgo, stripped, so that the result
// runs in any Linux of this architecture.
func GoBuild(ctx context.Context, top, verb string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{verb, "-trimpath", "-ldflags=-s -w"}, args...)...)
	cmd.Dir = top
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s %s: %w\n%s", verb, args[len(args)-1], err, out)
	}
	return nil
}

func copyData(ctx context.Context, top, dir, pkg string) error {
	script := `mkdir -p "$2" && cd "$1" && find . -mindepth 1 -maxdepth 1 \( -name testdata -o -type f ! -name '*.go' \) -exec cp -a {} "$2/" \;`
	return run(ctx, "", "sh", "-c", script, "sh", filepath.Join(top, pkg), dir)
}

// RunScript is the shell script that runs the packages' tests one after the
// other. Every binary is bounded twice: by the testing package, which says
// where it hangs, and from outside.
func RunScript(pkgs []string, env []string, filter string, each time.Duration) string {
	var b strings.Builder
	for _, kv := range env {
		fmt.Fprintf(&b, "export %s\n", shellQuote(kv))
	}
	b.WriteString("failed=0\n")
	for _, pkg := range pkgs {
		fmt.Fprintf(&b, `printf '\026@vm begin %s\n'
cd /srv/payload/repo/%s
timeout -k 10 %d ./pkg.test -test.v=test2json -test.timeout=%s -test.run=%s </dev/null
code=$?
[ $code = 0 ] || failed=1
printf '\026@vm end %s %%s\n' $code
`, pkg, pkg, int(each.Seconds())+20, each, shellQuote(filter), pkg)
	}
	b.WriteString("exit $failed\n")
	return b.String()
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
