//go:build linux

package spawn

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"vsl/engine/internal/sys"
)

// memoryGroup makes a control group whose memory is limited, in whichever
// version of the hierarchy has that controller.
func memoryGroup(t *testing.T, limit int) string {
	t.Helper()
	for _, h := range []struct{ top, file string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, {"/sys/fs/cgroup", "memory.max"},
	} {
		dir := filepath.Join(h.top, fmt.Sprintf("vsl-test-%d", os.Getpid()))
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() {
			if err := os.Remove(dir); err != nil {
				t.Error(err)
			}
		})
		if os.WriteFile(filepath.Join(dir, h.file), []byte(fmt.Sprint(limit)), 0) == nil {
			return dir
		}
	}
	if os.Getenv("VSL_TEST_REQUIRE") != "" {
		t.Fatal("no group below the root has a memory controller, and VSL_TEST_REQUIRE is set")
	}
	t.Skip("no group below the root has a memory controller")
	return ""
}

// A child in want of memory fails; the process whose memory it shares lives on.
func TestChildLacksMemory(t *testing.T) {
	requireRoot(t)
	dir := memoryGroup(t, 512<<10)
	procs, err := os.OpenFile(filepath.Join(dir, "cgroup.procs"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer procs.Close()
	for _, shared := range []bool{true, false} {
		p := &Program{}
		p.Add("join", sys.NrWrite, FD(int(procs.Fd())), Str("0"), Int(1))
		p.Unshare(sys.CLONE_NEWNS)
		p.Mount("none", "/", "", sys.MsRec|sys.MsPrivate, "")
		for range 400 { // each some kilobytes of the kernel's
			p.Mount("tmpfs", "/mnt", "tmpfs", 0, "")
		}
		a := &Attr{Name: "hungry", Program: shell(p, "exit 0"), CgroupFD: -1, noShare: !shared}
		proc, err := Start(a)
		if err == nil {
			proc.Wait(t.Context())
			proc.Close()
			t.Errorf("shared %v: 400 file systems fit into 512 KiB", shared)
			continue
		}
		var failed *ChildError
		if a.shares() && !errors.As(err, &failed) {
			t.Errorf("no call of the child was refused: %v", err)
		}
	}
}
