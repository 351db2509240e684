// Package sys is the only door to the kernel: no other package of vsl imports
// golang.org/x/sys/unix or syscall. It gives the calls that vsl needs in terms
// of open descriptors and typed errors; it holds no policy and no state.
package sys

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// OpError says which operation failed, on what, and why. It wraps the cause,
// so errors.Is(err, sys.ENOENT) works through it.
type OpError struct {
	Op     string // what was attempted: "create cgroup"
	Target string // on what: a path, an address, a guest
	Err    error  // why: usually an Errno
	Hint   string // what the user can do; may be empty
}

func (e *OpError) Error() string {
	s := e.Op
	if e.Target != "" {
		s += " " + e.Target
	}
	s += ": " + e.Err.Error()
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

func (e *OpError) Unwrap() error { return e.Err }

// Op wraps err in an OpError; nil stays nil.
func Op(op, target string, err error) error {
	if err == nil {
		return nil
	}
	return &OpError{Op: op, Target: target, Err: err}
}

// Errno is the kernel's error number.
type Errno = unix.Errno

// The error numbers that vsl tells apart.
const (
	EACCES        = unix.EACCES
	ECONNREFUSED  = unix.ECONNREFUSED
	EADDRNOTAVAIL = unix.EADDRNOTAVAIL
	EAGAIN        = unix.EAGAIN
	EBUSY         = unix.EBUSY
	EEXIST        = unix.EEXIST
	EINTR         = unix.EINTR
	EINVAL        = unix.EINVAL
	EIO           = unix.EIO
	EISDIR        = unix.EISDIR
	ELOOP         = unix.ELOOP
	ENAMETOOLONG  = unix.ENAMETOOLONG
	ENODEV        = unix.ENODEV
	ENOENT        = unix.ENOENT
	ENOSPC        = unix.ENOSPC
	ENOSYS        = unix.ENOSYS
	ENOTDIR       = unix.ENOTDIR
	ENOTEMPTY     = unix.ENOTEMPTY
	EOPNOTSUPP    = unix.EOPNOTSUPP
	EPERM         = unix.EPERM
	EPIPE         = unix.EPIPE
	EROFS         = unix.EROFS
	ESRCH         = unix.ESRCH
	EXDEV         = unix.EXDEV
)

// NotSupported says that this kernel lacks a feature.
type NotSupported struct {
	Feature string // "landlock scope"
	Since   string // first kernel that has it: "6.12"; may be empty
	Remedy  string // what the user can do; may be empty
}

func (e *NotSupported) Error() string {
	s := e.Feature + " is not available on this kernel"
	if e.Since != "" {
		s += fmt.Sprintf(" (needs %s)", e.Since)
	}
	if e.Remedy != "" {
		s += ": " + e.Remedy
	}
	return s
}

// Is makes errors.Is(err, ErrNotSupported) true.
func (e *NotSupported) Is(target error) bool { return target == ErrNotSupported }

// ErrNotSupported is what every NotSupported is.
var ErrNotSupported = errors.New("not supported by this kernel")

// Retry calls f until it returns something other than EINTR.
func Retry(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}
