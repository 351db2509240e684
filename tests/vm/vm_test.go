//go:build vm

package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"vsl/tests/fixture"
)

// jobSize is how many tests one start of a test binary runs: few enough to share
// the work out evenly and to tell how it goes, many enough for what each start costs.
const jobSize = 8

// jobBound ends what hangs. The longest job takes two minutes of it.
var jobBound = fixture.Patience(10 * time.Minute)

// TestVM runs the tests of the real kernel inside Debian 12's kernel, on a machine
// for each processor of the host, and relays each of them as a subtest. VSL_VM_PKGS
// (patterns separated by spaces) and VSL_VM_RUN (a filter of names) choose fewer.
func TestVM(t *testing.T) {
	begin := time.Now()
	img, err := BuildImage(t.Context(), t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	f := newFarm(jobs(t))
	disk := payloadDisk(t, f.jobs, dir)
	fmt.Printf("vm: %d jobs, prepared in %.1fs\n", len(f.jobs), time.Since(begin).Seconds())
	ctx := t.Context()
	if end, ok := t.Deadline(); ok { // so that what ran is told before go test ends all
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-time.Minute))
		defer cancel()
	}
	accel := Accelerator(ctx, img)
	for n := range min(runtime.NumCPU(), maxMachines, len(f.jobs)) {
		own := filepath.Join(dir, fmt.Sprintf("machine-%d", n))
		if err := os.Mkdir(own, 0o755); err != nil {
			t.Fatal(err)
		}
		f.start(ctx, Config{Image: img, Disk: disk, Dir: own, Accel: accel})
	}
	ran := 0
	for o := range f.outcomes() {
		ran++
		fmt.Printf("vm: %s %2d/%d %s %s\n", clock(time.Since(begin)), ran, len(f.jobs), clock(o.took), summary(o.pkg))
		relay(t, f.jobs[o.job], o.pkg)
	}
	for _, m := range f.machines {
		fmt.Printf("vm: Linux %s under %s: ready after %.1fs, %.1fs in all\n", m.res.Kernel, m.res.Accel, m.res.Ready.Seconds(), m.res.Total.Seconds())
		if m.err != nil || m.res.Code != 0 {
			t.Errorf("a machine did not end well: %v; its console's last lines:\n%s", m.err, Console(m.dir, 60))
		}
	}
	for _, job := range f.left() {
		t.Errorf("%s: did not run: %s", job.Package, strings.Join(job.Names, " "))
	}
}

func clock(d time.Duration) string {
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

// jobs lists what to run.
func jobs(t *testing.T) []Job {
	t.Helper()
	patterns := strings.Fields(os.Getenv("VSL_VM_PKGS"))
	if len(patterns) == 0 {
		patterns = []string{"./engine/...", "./tests/guest/..."}
	}
	filter, err := regexp.Compile(os.Getenv("VSL_VM_RUN"))
	if err != nil {
		t.Fatal(err)
	}
	top, err := fixture.RepoRoot()
	if err != nil {
		t.Fatal(err)
	}
	all, err := FindTests(t.Context(), top, patterns...)
	if err != nil {
		t.Fatal(err)
	}
	jobs := Shards(all, filter, jobSize)
	if len(jobs) == 0 {
		t.Fatal("no test to run")
	}
	return jobs
}

// payloadDisk makes the second disk: the test binaries in a skeleton of the
// checkout, bin/vsl, and the scripts that run them.
func payloadDisk(t *testing.T, jobs []Job, dir string) string {
	t.Helper()
	top, err := fixture.RepoRoot()
	if err != nil {
		t.Fatal(err)
	}
	var pkgs []string
	for _, job := range jobs {
		pkgs = append(pkgs, job.Package)
	}
	slices.Sort(pkgs)
	payload, disk := filepath.Join(dir, "payload"), filepath.Join(dir, "payload.ext4")
	repo := filepath.Join(payload, "repo")
	err = os.MkdirAll(filepath.Join(repo, "bin"), 0o755)
	if err == nil {
		err = AddTests(t.Context(), top, payload, slices.Compact(pkgs))
	}
	if err == nil {
		err = GoBuild(t.Context(), top, "build", "-trimpath", "-o", filepath.Join(repo, "bin", "vsl"), "./cmd/vsl")
	}
	if err == nil {
		err = run(t.Context(), top, "cp", "-a", "go.mod", "recipes", "stdlib", repo+"/")
	}
	env := []string{
		"VSL_TEST_VM=1", "VSL_TEST_ROOT=1", "VSL_BIN=/srv/payload/repo/bin/vsl",
		"VSL_TEST_REQUIRE=" + os.Getenv("VSL_TEST_REQUIRE"),
	}
	if err == nil {
		err = WriteJobs(payload, jobs, env, jobBound)
	}
	if err == nil {
		err = PayloadDisk(t.Context(), payload, disk)
	}
	if err = errors.Join(err, os.RemoveAll(payload)); err != nil {
		t.Fatal(err)
	}
	return disk
}

// summary is one line about a job, and one for each test that failed or that its
// kernel could not run. What the guest tier shows is counted only.
func summary(pkg Package) string {
	count := map[string]int{}
	left, notes := 0, ""
	for _, inner := range pkg.Tests {
		count[inner.Status]++
		if inner.Status == "FAIL" || inner.Status == "" {
			notes += "\nvm:   failed " + inner.Name
		}
		if inner.Status != "SKIP" {
			continue
		}
		reason := strings.Join(strings.Fields(skipReason(inner.Output)), " ")
		if strings.HasSuffix(reason, fixture.HostTierNote) {
			left++
			continue
		}
		notes += "\nvm:   skipped " + inner.Name + ":" + reason
	}
	return fmt.Sprintf("%-16s %2d passed, %d failed, %d skipped, %d left to the guest tier%s", pkg.Name,
		count["PASS"], count["FAIL"]+count[""], count["SKIP"]-left, left, notes)
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
func relay(t *testing.T, job Job, pkg Package) {
	failed := false
	missing := slices.Clone(job.Names)
	for _, inner := range pkg.Tests {
		failed = failed || inner.Status != "PASS" && inner.Status != "SKIP"
		missing = slices.DeleteFunc(missing, func(n string) bool { return n == inner.Name })
		t.Run(pkg.Name+"/"+inner.Name, func(t *testing.T) {
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
	if pkg.Code != 0 && !failed || len(missing) > 0 {
		t.Errorf("%s: exit status %d, did not run: %v\n%s", pkg.Name, pkg.Code, missing, lastLines(pkg.Rest, 60))
	}
}
