package guest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// agentPeek prints, as some user, what opening and reading each path gives: an
// errno's name, "folder of N", or the text. Of a file it reads a little, twice.
func agentPeek(args []string) error {
	uid, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(uid), syscall.Setuid(uid)); err != nil {
		return err
	}
	for _, path := range args[1:] {
		fmt.Printf("%s\t%s\n", path, peek(path))
	}
	return nil
}

func peek(path string) string {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return errname(err)
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		names, err := f.Readdirnames(-1)
		if err != nil {
			return errname(err)
		}
		return fmt.Sprintf("folder of %d", len(names))
	}
	b, err := io.ReadAll(io.LimitReader(f, 128))
	if err != nil {
		return errname(err)
	}
	return strconv.Quote(string(b))
}

// agentUnmask tries to get behind masks, and prints what each way gives: taking
// it off, moving it, binding what it lies on without it, and a new proc or sysfs.
// It leaves nothing behind.
func agentUnmask(args []string) error {
	for _, path := range args {
		fmt.Printf("umount %s\t%s\n", path, errname(unix.Unmount(path, unix.MNT_DETACH)))
	}
	const at = "/run/unmask"
	if err := os.Mkdir(at, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	try := func(what string, err error) {
		fmt.Printf("%s\t%s\n", what, errname(err))
		if err == nil {
			unix.Unmount(at, unix.MNT_DETACH)
		}
	}
	for _, fs := range []string{"proc", "sysfs"} {
		try("mount "+fs, unix.Mount(fs, at, fs, 0, ""))
	}
	for _, top := range []string{"/proc", "/sys"} {
		try("bind "+top, unix.Mount(top, at, "", unix.MS_BIND, ""))
		try("move "+top, unix.Mount(top, at, "", unix.MS_MOVE, ""))
		try("umount "+top, unix.Unmount(top, unix.MNT_DETACH))
	}
	try("remount /proc/sys", unix.Mount("", "/proc/sys", "", unix.MS_REMOUNT|unix.MS_BIND, ""))
	return nil
}
