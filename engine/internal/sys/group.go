package sys

import (
	"os/exec"
	"syscall"
)

// OwnGroup makes cmd, which comes from exec.CommandContext, the leader of a
// process group of its own, so that the end of its context kills its children
// too.
func OwnGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
