//go:build linux

package spawn

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"vsl/engine/internal/sys"
)

// A new user namespace belongs to Owner, with memory shared or not, and hooks
// run as root with all that root had.
func TestUserNamespaceHasItsOwner(t *testing.T) {
	requireRoot(t)
	const owner = 20000 << 16
	for _, shared := range []bool{true, false} {
		t.Run(fmt.Sprintf("shared=%v", shared), func(t *testing.T) {
			before := effective(t)
			p := &Program{}
			p.Sync("look")
			a := &Attr{Name: "owned", Program: shell(p, "exit 0"), CgroupFD: -1, CloneFlags: sys.CLONE_NEWUSER,
				Owner: owner, IDMap: &IDMap{HostID: owner, Size: 65536}, noShare: !shared}
			a.Hooks = map[string]func(int, int) error{"look": func(pid, _ int) error {
				if got := ownerOf(t, pid); got != owner {
					t.Errorf("the owner is %d; want %d", got, owner)
				}
				if got := effective(t); got != before {
					t.Errorf("the hook runs with %s; want %s", got, before)
				}
				return nil
			}}
			proc, err := Start(a)
			if err != nil {
				t.Fatal(err)
			}
			defer proc.Close()
			if st, err := proc.Wait(context.Background()); err != nil || st.Code != 0 {
				t.Errorf("it ended with %v, %v", st, err)
			}
		})
	}
}

// effective is the effective uid and capabilities of the calling thread.
func effective(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Fatal(err)
	}
	var uid, caps string
	for line := range strings.Lines(string(data)) {
		fmt.Sscanf(line, "Uid: 0 %s", &uid)
		fmt.Sscanf(line, "CapEff: %s", &caps)
	}
	return uid + " " + caps
}

func ownerOf(t *testing.T, pid int) int {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", pid))
	if err != nil {
		t.Error(err)
		return -1
	}
	defer f.Close()
	const nsGetOwnerUID = 0xb704 // ioctl_ns(2)
	var uid uint32
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), nsGetOwnerUID, uintptr(unsafe.Pointer(&uid))); e != 0 {
		t.Error(e)
	}
	return int(uid)
}
