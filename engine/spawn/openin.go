package spawn

import (
	"fmt"
	"os"

	"vsl/engine/internal/sys"
)

// OpenFile opens a regular file or a directory and hands it over, for what
// needs a descriptor on the host: watching a growing log, say. It refuses all
// else, and file systems that are not there for data (proc, sysfs, cgroup,
// devpts, FUSE...): what is read from those may depend on who reads, or never
// come. Prefer ReadFile and WriteFile.
func (in *Inside) OpenFile(name string, flags int, mode os.FileMode) (*os.File, error) {
	remote, err := in.open(name, flags, unixMode(mode))
	if err != nil {
		return nil, opIn("open", name, err)
	}
	defer in.close(remote)
	fd, err := sys.PidfdGetFD(in.proc.PidFD(), int(remote))
	if err != nil {
		return nil, opIn("open", name, err)
	}
	if err := sys.CheckDataFile(fd); err != nil {
		sys.CloseFD(fd)
		return nil, opIn("open", name, err)
	}
	return os.NewFile(uintptr(fd), fmt.Sprintf("guest:%s", name)), nil
}
