package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"vsl/engine/internal/sys"
)

// Probe says which kinds of clone the file system of dir can do, the best
// first. It tries each for real in a folder of its own below dir; copy always
// works.
func Probe(dir string) []CloneKind {
	var kinds []CloneKind
	if ProbeOverlay(dir) == nil {
		kinds = append(kinds, Overlay)
	}
	if ProbeReflink(dir) == nil {
		kinds = append(kinds, Reflink)
	}
	return append(kinds, Copy)
}

// ProbeDir makes the folder in which something is tried. Its name ends in our
// pid: when that process is gone, the folder is one that it left behind.
func ProbeDir(dir string) (string, error) {
	return os.MkdirTemp(dir, fmt.Sprintf("%sprobe-*-%d", tmpPrefix, os.Getpid()))
}

// ProbeReflink says why files in dir cannot share their blocks; nil if they can.
func ProbeReflink(dir string) error {
	tmp, err := ProbeDir(dir)
	if err != nil {
		return sys.Op("probe", dir, unwrapPath(err))
	}
	defer func() { _ = RemoveTree(tmp) }()
	src, err := os.Create(filepath.Join(tmp, "a"))
	if err != nil {
		return sys.Op("probe", dir, unwrapPath(err))
	}
	defer func() { _ = src.Close() }()
	if _, err := src.Write(make([]byte, 4096)); err != nil {
		return sys.Op("probe", dir, unwrapPath(err))
	}
	dst, err := os.Create(filepath.Join(tmp, "b"))
	if err != nil {
		return sys.Op("probe", dir, unwrapPath(err))
	}
	defer func() { _ = dst.Close() }()
	return sys.Op("clone a file in", dir, sys.CloneFile(int(dst.Fd()), int(src.Fd())))
}

// ProbeOverlay says why guests cannot have overlays in dir; nil if they can. It
// mounts one, id-mapped, in a mount namespace that ends with it.
func ProbeOverlay(dir string) error {
	tmp, err := ProbeDir(dir)
	if err != nil {
		return sys.Op("probe", dir, unwrapPath(err))
	}
	defer func() { _ = RemoveTree(tmp) }()
	for _, d := range []string{"rootfs", "rootfs/usr"} {
		if err := makeDir(filepath.Join(tmp, d), 0o755); err != nil {
			return err
		}
	}
	const uid = 1 << 28
	if err := cloneOverlay(&Template{dir: tmp}, tmp, uid); err != nil {
		return err
	}
	userns, err := sys.UserNS(uid)
	if err != nil {
		return err
	}
	defer func() { _ = userns.Close() }()
	return OnMountThread(func() error {
		o, err := (&Root{Template: filepath.Join(tmp, "rootfs"), GuestDir: tmp, UID: uid, OwnNetNS: true}).Open()
		if err != nil {
			return err
		}
		defer o.Close()
		o.ns = "" // opened on this thread
		mp, err := o.Attach(int(userns.Fd()))
		if err != nil {
			return err
		}
		st, err := sys.StatAt(sys.Cwd, filepath.Join(mp, "usr"))
		if err == nil && st.UID != uid {
			err = errors.New("the template's ids are not mapped")
		}
		return sys.Op("probe", dir, err)
	})
}

// OnMountThread runs f on a thread that has a private mount namespace and ends
// with f, and everything mounted there with it.
func OnMountThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread is not fit for anything else
		if sys.Gettid() == sys.Getpid() {
			// The main thread never ends: hold it while another does the work.
			defer runtime.UnlockOSThread()
			done <- OnMountThread(f)
			return
		}
		if err := sys.UnshareMounts(); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}
