package engine

import (
	"testing"

	"vsl/engine/internal/sys"
)

// An audit says that a wall stands only where the error shows it.
func TestAuditVerdict(t *testing.T) {
	lease := attempt{proves: denied}
	connect := attempt{proves: unreachable}
	for _, c := range []struct {
		attempt
		err  sys.Errno
		want string
	}{
		{lease, sys.EACCES, AuditIsolated},
		{lease, sys.ENOENT, AuditUnknown}, // no such file in the guest
		{lease, sys.EINVAL, AuditOpen},
		{connect, sys.ECONNREFUSED, AuditIsolated},
		{connect, sys.ENOBUFS, AuditUnknown}, // limit.sockets is reached
		{connect, sys.EINVAL, AuditOpen},
	} {
		if got := c.verdict(c.err); got != c.want {
			t.Errorf("%s: %s, want %s", sys.ErrnoName(c.err), got, c.want)
		}
	}
	for _, a := range attemptsAnywhere {
		if len(a.proves) == 0 {
			t.Errorf("%s: nothing would show that the wall stands", a.what)
		}
	}
}
