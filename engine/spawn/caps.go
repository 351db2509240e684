package spawn

import (
	"fmt"
	"slices"

	"github.com/moby/sys/capability"
)

// dropped are the capabilities that no process of a guest gets, not even over
// its own user namespace. Most mean nothing there, as the kernel checks them
// against the host's; but what is not there cannot be used through a mistake.
//
// Kept although they sound dangerous: SYS_ADMIN (systemd mounts and makes
// namespaces), SYS_BOOT (reboot(2) is how a guest says that it halts),
// SYS_PTRACE, SYS_CHROOT, SYS_NICE, SYS_RESOURCE, IPC_LOCK and the identity and
// file ones. All end at the user namespace.
var dropped = []capability.Cap{
	capability.CAP_AUDIT_CONTROL, capability.CAP_AUDIT_READ,
	capability.CAP_BLOCK_SUSPEND, capability.CAP_BPF, capability.CAP_CHECKPOINT_RESTORE,
	capability.CAP_LINUX_IMMUTABLE, capability.CAP_MAC_ADMIN, capability.CAP_MAC_OVERRIDE,
	capability.CAP_MKNOD, capability.CAP_NET_ADMIN, capability.CAP_NET_RAW,
	capability.CAP_PERFMON, capability.CAP_SYS_MODULE, capability.CAP_SYS_PACCT,
	capability.CAP_SYS_RAWIO, capability.CAP_SYS_TIME, capability.CAP_SYSLOG,
	capability.CAP_WAKE_ALARM,
}

// DroppedCaps lists the capabilities taken from every guest, by number.
func DroppedCaps() []int {
	out := make([]int, len(dropped))
	for i, c := range dropped {
		out[i] = int(c)
	}
	slices.Sort(out)
	return out
}

// DroppedCapsPrivateNet is DroppedCaps for a guest with a network namespace of
// its own, which its root may configure.
func DroppedCapsPrivateNet() []int {
	return slices.DeleteFunc(DroppedCaps(), func(c int) bool {
		return c == int(capability.CAP_NET_ADMIN) || c == int(capability.CAP_NET_RAW)
	})
}

// CapName is a capability's name, as "cap_sys_time".
func CapName(n int) string {
	c := capability.Cap(n)
	if slices.Contains(capability.ListKnown(), c) {
		return "cap_" + c.String()
	}
	return fmt.Sprintf("cap_%d", n)
}
