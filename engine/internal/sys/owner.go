package sys

import (
	"golang.org/x/sys/unix"
)

// OwnAs makes uid the effective uid of the calling thread, which must be locked,
// and keeps its capabilities: a user namespace that it makes then belongs to that
// user (user_namespaces(7)). What the kernel counts per user (inotify instances,
// message queues, queued signals, namespaces: namespaces(7), getrlimit(2)) is
// counted for each namespace's owner as well, and with a common owner one guest
// could use up what all others and the host's root have. The returned function
// makes the thread what it was.
//
// The kernel takes the process's dumpable flag away with the change.
func OwnAs(uid uint32) (restore func() error, err error) {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return nil, Op("read capabilities", "", err)
	}
	was := uintptr(unix.Geteuid())
	if err := setEUID(uintptr(uid)); err != nil {
		return nil, Op("become owner", "", err)
	}
	back := func() error {
		if err := setEUID(was); err != nil {
			return Op("become root again", "", err)
		}
		return Op("keep capabilities", "", unix.Capset(&hdr, &data[0]))
	}
	// A change from root to another user clears the effective set only
	// (capabilities(7)): the real uid is still root's.
	if err := unix.Capset(&hdr, &data[0]); err != nil {
		_ = back()
		return nil, Op("keep capabilities", "", err)
	}
	return back, nil
}

// setEUID changes this thread only, unlike package syscall's.
func setEUID(uid uintptr) error {
	_, _, e := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uid, ^uintptr(0))
	if e != 0 {
		return e
	}
	return nil
}
