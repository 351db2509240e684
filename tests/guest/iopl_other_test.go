//go:build !amd64

package guest

import "syscall"

func tryIopl() error { return syscall.ENOSYS }

func tryIoperm() error { return syscall.ENOSYS }
