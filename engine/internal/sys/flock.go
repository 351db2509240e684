package sys

import "golang.org/x/sys/unix"

// FlockTry takes an exclusive flock(2) on an open file or folder, or says
// EAGAIN when somebody else holds it.
func FlockTry(fd int) error {
	return Retry(func() error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
}

// Inode is the number of an open file in its file system.
func Inode(fd int) (uint64, error) {
	var st unix.Stat_t
	err := Retry(func() error { return unix.Fstat(fd, &st) })
	return st.Ino, err
}
