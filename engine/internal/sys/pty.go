package sys

import "golang.org/x/sys/unix"

// ENOTTY is the error of what is not a terminal.
const ENOTTY = unix.ENOTTY

// SetWinsize sets the size of a terminal in characters.
func SetWinsize(fd int, rows, cols uint16) error {
	return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols})
}

// IsPTYMaster tells whether fd is a pseudo terminal's master: the device 5:2
// on a devpts.
func IsPTYMaster(fd int) (bool, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return false, err
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return false, err
	}
	return st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == unix.Mkdev(5, 2) && fs.Type == unix.DEVPTS_SUPER_MAGIC, nil
}
