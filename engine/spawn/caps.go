package spawn

import (
	"fmt"
	"slices"

	"github.com/moby/sys/capability"
)

// Dropped are the capabilities that no process of a guest gets, not even over
// its own user namespace, and why. Most mean nothing there, as the kernel checks
// them against the host's; but what is not there cannot be used through a
// mistake, and systemd starts no unit that asks for one (ConditionCapability=).
//
// Kept although they sound dangerous: SYS_ADMIN (systemd mounts and makes
// namespaces), SYS_BOOT (reboot(2) is how a guest says that it halts),
// SYS_PTRACE, SYS_CHROOT, SYS_NICE, SYS_RESOURCE, IPC_LOCK and the identity and
// file ones. All end at the user namespace.
//
// NET_RAW is kept because a program whose file has a capability outside the
// bounding set cannot be executed at all (capabilities(7)), and ping and its kin
// have that one. It opens no raw or packet socket on the host's stack, as the
// kernel asks for it in the user namespace that owns the network namespace.
var Dropped = []struct {
	Cap capability.Cap
	Why string
}{
	{capability.CAP_AUDIT_CONTROL, "auditing is the host's"},
	{capability.CAP_AUDIT_READ, "auditing is the host's"},
	{capability.CAP_BLOCK_SUSPEND, "the machine's sleep is the host's"},
	{capability.CAP_BPF, "the system call is refused"},
	{capability.CAP_CHECKPOINT_RESTORE, "nobody in a guest freezes others"},
	{capability.CAP_LINUX_IMMUTABLE, "files that the host could not remove"},
	{capability.CAP_MAC_ADMIN, "security modules are the host's"},
	{capability.CAP_MAC_OVERRIDE, "security modules are the host's"},
	{capability.CAP_MKNOD, "devices are the host's; systemd makes none where it is missing"},
	{capability.CAP_NET_ADMIN, "netfilter and device drivers; networkd starts where it is there, to configure the host's devices"},
	{capability.CAP_PERFMON, "the system call is refused"},
	{capability.CAP_SYS_MODULE, "the kernel is the host's"},
	{capability.CAP_SYS_PACCT, "accounting is the host's"},
	{capability.CAP_SYS_RAWIO, "devices are the host's"},
	{capability.CAP_SYS_TIME, "the clock is the host's"},
	{capability.CAP_SYSLOG, "the kernel's log is the host's"},
	{capability.CAP_WAKE_ALARM, "the machine's sleep is the host's"},
}

// DroppedCaps lists the capabilities taken from every guest, by number.
func DroppedCaps() []int {
	out := make([]int, len(Dropped))
	for i, c := range Dropped {
		out[i] = int(c.Cap)
	}
	slices.Sort(out)
	return out
}

// CapName is a capability's name, as "cap_sys_time".
func CapName(n int) string {
	c := capability.Cap(n)
	if slices.Contains(capability.ListKnown(), c) {
		return "cap_" + c.String()
	}
	return fmt.Sprintf("cap_%d", n)
}
