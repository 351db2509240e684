package sys

import "golang.org/x/sys/unix"

// FlockTry takes an exclusive flock(2) on an open file or folder, or says
// EAGAIN when somebody else holds it.
func FlockTry(fd int) error {
	return Retry(func() error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
}
