//go:build !amd64

package sys

// CanShareMemory tells whether StartShared works on this architecture.
const CanShareMemory = false

// StartShared is not made for this architecture.
func (f *Fork) StartShared() error { return ENOSYS }

// Child is of use after StartShared only.
func (f *Fork) Child() (pid, pidfd int) { return 0, -1 }
