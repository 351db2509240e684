//go:build linux

package cgroup

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"vsl/tests/fixture"
)

// A process that writes for itself lands in every v1 group, without Join.
func TestJoinFiles(t *testing.T) {
	g := group(t)
	version(t, g, "pids")
	apply(t, g, Limits{Pids: ptr[int64](50), Memory: ptr[int64](64 << 20), CPUSet: ptr("0")})
	files, err := g.JoinFiles()
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(g.hasV1()) {
		t.Errorf("%d files for %d groups", len(files), len(g.hasV1()))
	}
	script := ""
	for i := range files {
		script += "echo 0 >&" + string(rune('3'+i)) + "; "
	}
	c := exec.Command("sh", "-c", script+"exec sleep 60")
	c.ExtraFiles = files
	start(t, c)
	for _, f := range files {
		f.Close()
	}
	for _, root := range g.hasV1() {
		deadline := time.Now().Add(fixture.Patience(5 * time.Second))
		for {
			data, err := read(filepath.Join(g.in(root), "cgroup.procs"))
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(parsePids(data), c.Process.Pid) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("not in %s: %q", g.in(root), data)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func TestAllowRealtime(t *testing.T) {
	g := group(t)
	v := version(t, g, "cpu")
	if err := g.AllowRealtime(10 * time.Millisecond); err != nil {
		t.Errorf("without a group: %v", err)
	}
	apply(t, g, Limits{CPUWeight: ptr(100)})
	tg, _ := g.target("cpu")
	if v != 1 || lacks(tg.dir, "cpu.rt_runtime_us") {
		return
	}
	for _, d := range []time.Duration{20 * time.Millisecond, 5 * time.Millisecond, 0} {
		if err := g.AllowRealtime(d); err != nil {
			t.Fatal(err)
		}
		if got := readInt(filepath.Join(tg.dir, "cpu.rt_runtime_us")); got != d.Microseconds() {
			t.Errorf("runtime = %d µs, want %v", got, d)
		}
	}
	if err := g.AllowRealtime(2 * time.Second); err == nil {
		t.Error("two seconds of each second were allowed")
	}
}

func BenchmarkCreateRemove(b *testing.B) {
	requireRoot(b)
	l, err := Detect()
	if err != nil {
		b.Fatal(err)
	}
	g := l.Group(testBase, "bench")
	for b.Loop() {
		if err := g.Create(); err != nil {
			b.Fatal(err)
		}
		if err := g.Remove(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDetect(b *testing.B) {
	for b.Loop() {
		if _, err := Detect(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkJoin moves one process of one thread in and out of one v1 group.
func BenchmarkJoin(b *testing.B) {
	g := group(b)
	if g.layout.Has("pids") != 1 {
		b.Skip("pids is not on v1")
	}
	if err := g.Apply(Limits{Pids: ptr[int64](50)}); err != nil {
		b.Fatal(err)
	}
	c := sleeper(b, g.Path())
	out := g.layout.V1["pids"]
	for b.Loop() {
		if err := g.Join(c.Process.Pid); err != nil {
			b.Fatal(err)
		}
		enter(b, out, c.Process.Pid)
	}
}

// BenchmarkJoinSelf does the same for a thread that moves itself.
func BenchmarkJoinSelf(b *testing.B) {
	g := group(b)
	if g.layout.Has("pids") != 1 {
		b.Skip("pids is not on v1")
	}
	if err := g.Apply(Limits{Pids: ptr[int64](50)}); err != nil {
		b.Fatal(err)
	}
	files, err := g.JoinFiles()
	if err != nil {
		b.Fatal(err)
	}
	defer files[0].Close()
	out, err := os.OpenFile(filepath.Join(g.layout.V1["pids"], "tasks"), os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer out.Close()
	done := make(chan error)
	go func() {
		done <- moveSelf(b, files[0], out)
	}()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

// moveSelf runs on a thread of its own, which ends with it.
func moveSelf(b *testing.B, in, out *os.File) error {
	runtime.LockOSThread()
	for b.Loop() {
		if _, err := in.WriteString("0"); err != nil {
			return err
		}
		if _, err := out.WriteString("0"); err != nil {
			return err
		}
	}
	return nil
}
