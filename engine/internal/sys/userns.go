package sys

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// UserNS makes a user namespace in which the ids 0 to 65535 are those from base
// on the host, and gives it open: for probing id-mapped mounts. The namespace
// needs a process to be made by, which is gone on return.
func UserNS(base int) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = w.Close() }()
	m := []syscall.SysProcIDMap{{ContainerID: 0, HostID: base, Size: 65536}}
	c := exec.Command("/bin/cat") // waits until its input ends
	c.Stdin = r
	c.Env = []string{}
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER, UidMappings: m, GidMappings: m, Pdeathsig: syscall.SIGKILL,
	}
	err = c.Start()
	_ = r.Close()
	if err != nil {
		return nil, Op("make a user namespace", "", err)
	}
	f, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", c.Process.Pid))
	_ = w.Close()
	_ = c.Wait()
	return f, err
}
