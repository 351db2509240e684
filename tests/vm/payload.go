package vm

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Tests are the tests of one package, whose folder is relative to the checkout.
type Tests struct {
	Package string
	Names   []string
}

// FindTests lists the packages below the given patterns that have tests. Ones that
// do not build are among them.
func FindTests(ctx context.Context, top string, patterns ...string) ([]Tests, error) {
	format := `{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{range .TestGoFiles}} {{.}}{{end}}{{range .XTestGoFiles}} {{.}}{{end}}{{end}}`
	cmd := exec.CommandContext(ctx, "go", append([]string{"list", "-e", "-f", format}, patterns...)...)
	cmd.Dir = top
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var all []Tests
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		rel, err := filepath.Rel(top, f[0])
		if err != nil {
			return nil, err
		}
		found := Tests{Package: rel}
		for _, name := range f[1:] {
			data, err := os.ReadFile(filepath.Join(f[0], name))
			if err != nil {
				return nil, err
			}
			for _, m := range testFunc.FindAllSubmatch(data, -1) {
				found.Names = append(found.Names, string(m[1]))
			}
		}
		all = append(all, found)
	}
	return all, nil
}

// testFunc finds what go test runs without being told to: tests and, with their
// seeds, fuzz targets.
var testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w*)\(\w+ \*testing\.[TF]\)`)

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
// runs in any Linux of this architecture. Packages are compiled as by the other
// tiers, which have them in the cache by then.
func GoBuild(ctx context.Context, top, verb string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{verb, "-ldflags=-s -w"}, args...)...)
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

// Job is what one start of a test binary runs.
type Job struct {
	Package string
	Names   []string
}

// Shards cuts each package's tests into jobs of at most size tests. The packages
// with the most come first, so that little is left to wait for at the end.
func Shards(all []Tests, filter *regexp.Regexp, size int) []Job {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b Tests) int { return len(b.Names) - len(a.Names) })
	var jobs []Job
	for _, p := range all {
		names := slices.DeleteFunc(slices.Clone(p.Names), func(n string) bool { return !filter.MatchString(n) })
		for part := range slices.Chunk(names, size) {
			jobs = append(jobs, Job{p.Package, part})
		}
	}
	return jobs
}

// WriteJobs puts into the payload a script for each job, and the one that asks for
// their numbers on the terminal until it gets none. Every binary is bounded twice: by
// the testing package, which says where it hangs, and from outside.
func WriteJobs(payload string, jobs []Job, env []string, each time.Duration) error {
	var run strings.Builder
	for _, kv := range env {
		fmt.Fprintf(&run, "export %s\n", shellQuote(kv))
	}
	run.WriteString(`while printf '\026@vm next\n' && read -r job && [ -n "$job" ]; do
	. ./job-$job
	cd /srv/payload
done
`)
	if err := os.WriteFile(filepath.Join(payload, "run"), []byte(run.String()), 0o644); err != nil {
		return err
	}
	for i, job := range jobs {
		script := fmt.Sprintf(`printf '\026@vm begin %s\n'
cd /srv/payload/repo/%s
timeout -k 10 %d ./pkg.test -test.v=test2json -test.timeout=%s -test.run=%s </dev/null
printf '\026@vm end %s %%s\n' $?
`, job.Package, job.Package, int(each.Seconds())+20, each, shellQuote("^("+strings.Join(job.Names, "|")+")$"), job.Package)
		if err := os.WriteFile(filepath.Join(payload, fmt.Sprintf("job-%d", i)), []byte(script), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
