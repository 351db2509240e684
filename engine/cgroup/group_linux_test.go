//go:build linux

package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"vsl/engine/internal/sys"
	"vsl/tests/fixture"
)

func timeout(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), fixture.Patience(10*time.Second))
	t.Cleanup(cancel)
	return ctx
}

func TestCreateTwiceAndRemoveTwice(t *testing.T) {
	g := group(t)
	if err := g.Create(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second Create: %v, want EEXIST", err)
	}
	names, err := g.layout.Groups(testBase)
	if err != nil || !slices.Contains(names, g.name) {
		t.Errorf("Groups = %v, %v; want %s in it", names, err, g.name)
	}
	for range 2 {
		if err := g.Remove(); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Kill(); err != nil {
		t.Errorf("Kill of nothing: %v", err)
	}
	if pids, err := g.Procs(); err != nil || len(pids) != 0 {
		t.Errorf("Procs of nothing: %v, %v", pids, err)
	}
}

func TestCreateRefusesNames(t *testing.T) {
	for _, name := range []string{"", "..", ".x", "a\nb"} {
		if err := (&Layout{Unified: t.TempDir()}).Group("b", name).Create(); err == nil {
			t.Errorf("name %q was accepted", name)
		}
	}
}

// Contexts that come and go beside each other remove and make the base under
// each other's feet.
func TestCreateRemoveRace(t *testing.T) {
	requireRoot(t)
	l, err := Detect()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	for _, name := range []string{"race-a", "race-b", "race-c"} {
		go func() {
			g := l.Group(testBase, name)
			for range 50 {
				if err := errors.Join(g.Create(), g.Remove()); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestBounds(t *testing.T) {
	g := group(t)
	dir := g.Path()
	var err error
	for range maxDepth + 1 {
		dir = filepath.Join(dir, "d")
		if err = os.Mkdir(dir, 0o755); err != nil {
			break
		}
	}
	if !errors.Is(err, sys.EAGAIN) {
		t.Errorf("a tree deeper than %d: %v, want EAGAIN", maxDepth, err)
	}
}

func TestMembersAndKill(t *testing.T) {
	g := group(t)
	sub := filepath.Join(g.Path(), "a", "b")
	if err := os.MkdirAll(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	one, two := sleeper(t, g.Path()), sleeper(t, sub)
	want := []int{one.Process.Pid, two.Process.Pid}
	slices.Sort(want)
	if got, err := g.Procs(); err != nil || !slices.Equal(got, want) {
		t.Errorf("Procs = %v, %v; want %v", got, err, want)
	}
	if p, err := g.Populated(); err != nil || !p {
		t.Errorf("Populated = %v, %v", p, err)
	}
	if err := g.Remove(); !errors.Is(err, sys.EBUSY) {
		t.Errorf("Remove with processes: %v, want EBUSY", err)
	}
	short, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := g.WaitEmpty(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("WaitEmpty of a living context: %v", err)
	}
	if err := g.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := g.WaitEmpty(timeout(t)); err != nil {
		t.Fatal(err)
	}
}

func TestKillEach(t *testing.T) {
	g := group(t)
	sleeper(t, g.Path())
	sleeper(t, g.Path())
	if err := g.killEach(); err != nil {
		t.Fatal(err)
	}
	if p, err := g.Populated(); err != nil || p {
		t.Errorf("Populated after killEach = %v, %v", p, err)
	}
}

// WaitEmpty must be woken by the kernel, not by its own recheck.
func TestWaitEmptyIsPrompt(t *testing.T) {
	g := group(t)
	c := sleeper(t, g.Path())
	done := make(chan time.Time)
	go func() {
		if err := g.WaitEmpty(timeout(t)); err != nil {
			t.Error(err)
		}
		done <- time.Now()
	}()
	time.Sleep(fixture.Scaled(20 * time.Millisecond))
	begin := time.Now()
	c.Process.Kill()
	if d := (<-done).Sub(begin); d > recheck/2 {
		t.Errorf("WaitEmpty returned %v after the last process died", d)
	}
}

func TestFreeze(t *testing.T) {
	g := group(t)
	sleeper(t, g.Path())
	if err := g.Freeze(timeout(t)); err != nil {
		t.Fatal(err)
	}
	if f, err := g.Frozen(); err != nil || !f {
		t.Errorf("Frozen = %v, %v", f, err)
	}
	if err := g.Thaw(timeout(t)); err != nil {
		t.Fatal(err)
	}
	if f, err := g.Frozen(); err != nil || f {
		t.Errorf("Frozen after Thaw = %v, %v", f, err)
	}
	// Frozen processes die too.
	if err := g.Freeze(timeout(t)); err != nil {
		t.Fatal(err)
	}
	if err := g.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := g.WaitEmpty(timeout(t)); err != nil {
		t.Fatal(err)
	}
}

func TestDelegate(t *testing.T) {
	g := group(t)
	const uid = 4096 << 16
	if err := g.Delegate(uid, uid); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]int{
		"": uid, "cgroup.procs": uid, "cgroup.threads": uid, "cgroup.subtree_control": uid,
		"cgroup.max.depth": 0, "cgroup.max.descendants": 0, "cgroup.freeze": 0, "cgroup.type": 0,
	} {
		f, err := os.Open(filepath.Join(g.Path(), file))
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err := sys.Owner(f); err != nil || got != want {
			t.Errorf("owner of %q = %d, %v; want %d", file, got, err, want)
		}
		f.Close()
	}
}

// available gives a controller that groups of the context could enable.
func available(t *testing.T, g *Group) string {
	t.Helper()
	// The tests' base gets whatever the v2 hierarchy has, where that is none
	// of those that limits use (hybrid).
	on, err := read(filepath.Join(g.layout.Unified, "cgroup.subtree_control"))
	if err != nil {
		t.Fatal(err)
	}
	data, err := read(filepath.Join(g.Path(), "cgroup.controllers"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{"memory", "io", "hugetlb"} {
		if slices.Contains(fields(data), c) {
			return c
		}
	}
	if !slices.Contains(g.layout.V2, "hugetlb") || slices.Contains(fields(on), "hugetlb") {
		t.Skip("no domain controller on v2")
	}
	if err := write(filepath.Join(g.layout.Unified, "cgroup.subtree_control"), "+hugetlb"); err != nil {
		t.Fatal(err)
	}
	base := filepath.Dir(g.Path())
	t.Cleanup(func() {
		write(filepath.Join(base, "cgroup.subtree_control"), "-hugetlb")
		write(filepath.Join(g.layout.Unified, "cgroup.subtree_control"), "-hugetlb")
	})
	if err := write(filepath.Join(base, "cgroup.subtree_control"), "+hugetlb"); err != nil {
		t.Fatal(err)
	}
	return "hugetlb"
}

func TestExecFD(t *testing.T) {
	g := group(t)
	const uid = 4097 << 16
	if err := g.Delegate(uid, uid); err != nil {
		t.Fatal(err)
	}
	at := func() string {
		f, err := g.ExecFD()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if got, _, err := sys.Owner(f); err != nil || got != uid {
			t.Errorf("owner of %s = %d, %v", f.Name(), got, err)
		}
		return f.Name()
	}
	if got := at(); got != g.Path() {
		t.Errorf("without controllers: %s", got)
	}
	c := available(t, g)
	if err := write(filepath.Join(g.Path(), "cgroup.subtree_control"), "+"+c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { write(filepath.Join(g.Path(), "cgroup.subtree_control"), "-"+c) })
	for range 2 {
		if got := at(); got != filepath.Join(g.Path(), execName) {
			t.Errorf("with %s enabled below: %s", c, got)
		}
	}
	sleeper(t, filepath.Join(g.Path(), execName))
}

// A command has a group of its own, or shares one where the guest left no room;
// groups that killed commands left make room.
func TestCommand(t *testing.T) {
	g := group(t)
	c, err := g.NewCommand()
	if err != nil || c.Group() == nil {
		t.Fatalf("%v, %v", c, err)
	}
	dir := c.Group().Path()
	p := sleeper(t, dir)
	c.Release()
	if !c.Group().Exists() {
		t.Error("the group of what still runs is gone")
	}
	if err := errors.Join(c.Group().Kill(), p.Process.Kill()); err != nil {
		t.Error(err)
	}
	p.Wait()
	if err := c.Group().WaitEmpty(timeout(t)); err != nil {
		t.Error(err)
	}
	c.Release()
	if c.Group().Exists() {
		t.Error("the empty group is still there")
	}

	const dead = 1 << 22 // PID_MAX_LIMIT: no process has it
	for i := range maxDescendants {
		if err := os.Mkdir(filepath.Join(g.Path(), fmt.Sprintf("%s%d.%d", commandPrefix, dead, i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if c, err = g.NewCommand(); err != nil || c.Group() == nil {
		t.Fatalf("after killed commands: %v", err)
	}
	c.Release()
	for i := range maxDescendants {
		if err := os.Mkdir(filepath.Join(g.Path(), fmt.Sprint("guest", i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if c, err = g.NewCommand(); err != nil || c.Group() != nil || c.FD.Name() != g.Path() {
		t.Errorf("without room: %v, %v", c, err)
	}
	c.Release()
}

// A guest can make its groups threaded: their lists of processes cannot be
// read, and the context still knows and removes them.
func TestThreadedSubtree(t *testing.T) {
	g := group(t)
	sub := filepath.Join(g.Path(), "threads")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := write(filepath.Join(sub, "cgroup.type"), "threaded"); err != nil {
		t.Fatal(err)
	}
	c := sleeper(t, g.Path())
	if err := write(filepath.Join(sub, "cgroup.threads"), strconvPid(c)); err != nil {
		t.Fatal(err)
	}
	if got, err := g.Procs(); err != nil || !slices.Equal(got, []int{c.Process.Pid}) {
		t.Errorf("Procs = %v, %v", got, err)
	}
}
