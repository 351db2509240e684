package guest

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// probe is one thing by which root of a guest could reach the host or a neighbour.
// Each is harmless should it work, and each is bounded.
type probe struct {
	name string
	try  func(t target) error
	want string // the results that are right, separated by spaces
	why  string

	own   string // what is right besides where the guest has a network of its own
	tree  string // where it has programs of its own and not the host's
	below string // as root of a user namespace within the guest's
}

// target is what of the host a guest is told to go for.
type target struct {
	pid      int    // a process of the host
	abstract string // a UNIX socket of the host's in the abstract namespace
	addr     string // an address of the host that is not the guest's
}

// errInside says that something worked and reached nothing but the guest itself.
var errInside = errors.New("INSIDE")

// errMasked says that there is nothing to be read.
var errMasked = errors.New("EMPTY")

// probeBound ends a probe that waits for something.
const probeBound = 5 * time.Second

// probes is the hostile list, by what it goes for.
func probes() []probe {
	var all []probe
	for _, part := range [][]probe{mountProbes, fileProbes, deviceProbes, callProbes, processProbes, netProbes} {
		all = append(all, part...)
	}
	return all
}

// agentProbe tries all, or the ones named after the target, and prints what each gave.
func agentProbe(args []string) error {
	pid, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	t := target{pid: pid, abstract: args[1], addr: args[2]}
	for _, p := range probes() {
		if len(args) > 3 && !strings.Contains(p.name, args[3]) {
			continue
		}
		fmt.Printf("%s\t%s\n", p.name, errname(alone(func() error { return p.try(t) })))
	}
	return nil
}

// alone runs f on a thread of its own that ends with it: what f does to its
// capabilities, root or namespaces is gone with the thread.
func alone(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocks
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			done <- fmt.Errorf("unshare: %w", err)
			return
		}
		done <- f()
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(probeBound):
		return errors.New("HANGS")
	}
}

// call is a system call as a probe.
func call(nr uintptr, args ...uintptr) func(target) error {
	return func(target) error { return sysno(nr, args...) }
}

// ofHost is a system call on the host's process, whose number is the argument at a place.
func ofHost(at int, nr uintptr, args ...uintptr) func(target) error {
	return func(t target) error {
		a := append([]uintptr{}, args...)
		a[at] = uintptr(t.pid)
		return sysno(nr, a...)
	}
}

func reads(path string) func(target) error { return func(target) error { return tryRead(path) } }

func writes(path string) func(target) error { return func(target) error { return tryWrite(path) } }

// uncovers takes off what is mounted at a path, if it can, and goes on with what is
// below. Masks are no walls: they keep programs from what they would get wrong.
func uncovers(path string, then func(target) error) func(target) error {
	return func(t target) error {
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return err
		}
		_ = unix.Unmount(path, unix.MNT_DETACH)
		return then(t)
	}
}

// mounts tries a new mount of a type, and then, where that is allowed, what could be
// done with it: with nothing to do the mount itself is the hole.
func mounts(fstype, data string, then func(dir string) error) func(target) error {
	return func(target) error {
		dir, err := os.MkdirTemp("", "probe")
		if err != nil {
			return err
		}
		defer os.Remove(dir)
		if err := unix.Mount("none", dir, fstype, 0, data); err != nil {
			return err
		}
		defer func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }()
		if then == nil {
			return nil
		}
		return then(dir)
	}
}
