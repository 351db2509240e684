package spawn

import (
	"context"
	"fmt"

	"vsl/engine/internal/sys"
)

// In runs a program without an exec as a process of the host's root that is born
// in some namespaces of a child: those of flags, of the pid and network ones. It
// is for a hook, and its mounts are made in the hook's mount namespace. What it
// mounts of proc and sysfs is then about the child's namespaces, but it is the
// host that has mounted it.
func In(ctx context.Context, name string, pidfd int, flags int, p *Program) error {
	mounts := fmt.Sprintf("/proc/self/task/%d/ns/mnt", sys.Gettid())
	proc, err := Start(&Attr{Name: name, Program: p, CgroupFD: -1, Context: ctx, Thread: func() error {
		if err := sys.JoinMounts(mounts); err != nil {
			return sys.Op("join", "mount namespace", err)
		}
		return sys.Op("join", "namespaces", sys.Setns(pidfd, flags))
	}})
	if err != nil {
		return err
	}
	defer proc.Close()
	_, err = sys.ReapPidfd(proc.raw) // its calls are made: it is at its end
	return sys.Op("wait for", name, err)
}
