package rootfs

import (
	"os"
	"path"

	"vsl/engine/internal/sys"
)

// MaskKind says what a masked path looks like to a guest's programs.
type MaskKind int

const (
	Empty   MaskKind = iota // a folder with nothing in it: everything below is not there
	Refused                 // a file that nobody may open: EACCES, root included
	Text                    // a file with a text of vsl's own, which says that there is nothing
)

func (k MaskKind) String() string {
	return [...]string{"empty folder", "EACCES", "text of its own"}[k]
}

// Mask covers one path of /proc or /sys.
type Mask struct {
	Path  string
	As    MaskKind
	Text  string
	Why   string // what it would tell or do
	Peers string // which of the peers hide it as well, or make it read-only
}

// Masks are what a guest does not see of /proc and /sys, each for a reason. What
// is not on this host is not covered: it would cost a mount, and hide nothing.
//
// They are no boundary for what can be done: behind each stand files of the
// host's root and the checks of the kernel, which a user namespace does not pass.
// They are one for what can be read, so guest root must not take them off: all
// are made in a mount namespace of the host's, of which the guest gets a copy, in
// which the kernel has locked each (mount_namespaces(7), MNT_LOCKED).
//
// A mask looks like "not permitted", "not there" or "there are none", never like
// a stream that has ended: who follows the kernel's log takes an end of file for
// nothing yet, and asks again at once. So what the kernel refuses by itself has no
// mask; see Unmasked.
var Masks = []Mask{
	{"/proc/acpi", Empty, "", "the machine's power devices", "moby, runc; nspawn r/o"},
	{"/proc/asound", Empty, "", "the machine's sound devices", "moby, runc; nspawn r/o"},
	{"/proc/bus", Empty, "", "PCI and input devices, with their addresses", "moby, runc, nspawn r/o"},
	{"/proc/cmdline", Text, "\n", "the host's boot parameters: disks, paths, now and then a secret", ""},
	{"/proc/config.gz", Refused, "", "how the kernel was built: what to attack", ""},
	{"/proc/diskstats", Text, "", "what the host's disks are called and do", "LXC with lxcfs"},
	{"/proc/fs", Empty, "", "the host's file systems and NFS exports, with paths", "moby, runc, nspawn r/o"},
	{"/proc/interrupts", Refused, "", "when and where the host is interrupted, key by key", "moby"},
	{"/proc/irq", Empty, "", "which device interrupts which cpu", "moby, runc, nspawn r/o"},
	{"/proc/latency_stats", Refused, "", "what all processes of the host wait for", "moby, runc"},
	{"/proc/mdstat", Text, "Personalities : \nunused devices: <none>\n", "the host's disk arrays", ""},
	{"/proc/partitions", Text, "major minor  #blocks  name\n\n", "the host's disks and their sizes", ""},
	{"/proc/scsi", Empty, "", "the machine's SCSI devices", "moby, runc; nspawn r/o"},
	{"/proc/swaps", Text, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n", "paths of the host's swap files", "LXC with lxcfs"},

	{"/sys/block", Empty, "", "the host's disks", ""},
	{"/sys/class/block", Empty, "", "the same disks, by class", ""},
	{"/sys/dev/block", Empty, "", "the same disks, by number", ""},
	{"/sys/devices/virtual/block", Empty, "", "paths of what is behind loop devices, names of volumes", ""},
	{"/sys/devices/virtual/powercap", Empty, "", "power meters, by which others' keys have been read", "moby"},
	{"/sys/firmware", Empty, "", "the memory map, ACPI tables, EFI variables", "moby, runc"},
	{"/sys/fs/bpf", Empty, "", "pinned BPF objects; systemd would mount one", ""},
	{"/sys/fs/fuse/connections", Empty, "", "FUSE mounts; systemd would mount one", ""},
	{"/sys/fs/pstore", Empty, "", "what the last crash of the host left", ""},
	{"/sys/kernel/config", Empty, "", "kernel objects; an init would mount configfs, and fail", ""},
	{"/sys/kernel/debug", Empty, "", "the kernel's insides; an init would mount debugfs, and fail", ""},
	{"/sys/kernel/irq", Empty, "", "the counts of /proc/interrupts once more", ""},
	{"/sys/kernel/security", Empty, "", "policies of the host; an init would mount securityfs, and fail", ""},
	{"/sys/kernel/tracing", Empty, "", "the kernel's trace; an init would mount tracefs, and fail", ""},
	{"/sys/power", Empty, "", "putting the machine to sleep", ""},
}

// Unmasked are what peers hide, or somebody might expect to be hidden, and why it
// has no mask here. Refused ones give EACCES or EPERM: the kernel's own answer.
var Unmasked = []struct {
	Path    string
	Refused bool
	Why     string
	Peers   string
}{
	{"/proc/kcore", true, "only the host's root may open it", "moby, runc, nspawn"},
	{"/proc/kmsg", true, "only the host's root may open it; as an empty file it makes rsyslog spin", ""},
	{"/proc/kpagecount", true, "only the host's root may open it; kpageflags and kpagecgroup too", ""},
	{"/proc/mtrr", true, "opening it takes CAP_SYS_ADMIN on the host", ""},
	{"/proc/pagetypeinfo", true, "only the host's root may open it", ""},
	{"/proc/slabinfo", true, "only the host's root may open it", "LXC with lxcfs"},
	{"/proc/timer_list", true, "only the host's root may open it", "moby, runc, nspawn"},
	{"/proc/vmallocinfo", true, "only the host's root may open it", ""},
	{"/proc/sysrq-trigger", true, "only the host's root may write it, and nobody read", "nspawn; moby, runc, LXC r/o"},
	{"/proc/keys", false, "shows keys of the guest's own ids only", "moby, runc, nspawn"},
	{"/proc/key-users", false, "shows the guest's own ids only", ""},
	{"/proc/kallsyms", false, "its addresses are zero without CAP_SYSLOG on the host", "nspawn"},
	{"/proc/iomem", false, "its addresses are zero without CAP_SYS_ADMIN on the host", ""},
	{"/proc/sched_debug", false, "not there since Linux 5.13", "moby, runc"},
	{"/proc/timer_stats", false, "not there since Linux 4.11", "moby, runc"},
	{"/proc/sys", false, "read-only, and locked so; the kernel asks for the host's root besides", "moby, runc, nspawn, LXC r/o"},
	{"/sys/devices/system/cpu/cpu0/thermal_throttle", false, "one mount for each cpu; counts of overheating", "moby"},
	{"/sys/devices/virtual/dmi", false, "serial numbers are for the host's root only; what the machine is called is no secret", ""},
}

// What stands in for what is masked is in a folder of the guest's /dev that
// belongs to the host's root: the guest can read it, and nothing else.
const (
	standIns     = ".vsl"
	emptyStandIn = "empty"
	noStandIn    = "refused"
	bootStandIn  = "boot_id"

	nested     = standIns + "/nested"
	nestedProc = nested + "/proc"
	nestedSys  = nested + "/sys"
)

// bootID is where programs read which boot this is: a number of the kernel's, so
// of all guests', and the same after a guest's reboot. It gets one of its own.
const bootID = "/proc/sys/kernel/random/boot_id"

// makeStandIns makes what masks are made from.
func makeStandIns(dev int) error {
	if err := sys.MkdirAt(dev, standIns, 0o755); err != nil {
		return sys.Op("make folder", "/dev/"+standIns, err)
	}
	dir, err := sys.OpenAt(dev, standIns, sys.OPath|sys.ODir, 0)
	if err != nil {
		return sys.Op("open", "/dev/"+standIns, err)
	}
	defer sys.Close(dir)
	if err := sys.ChmodAt(dev, standIns, 0o755); err != nil { // whatever our umask
		return sys.Op("make folder", "/dev/"+standIns, err)
	}
	if err := sys.MkdirAt(dir, emptyStandIn, 0o555); err != nil {
		return sys.Op("make folder", emptyStandIn, err)
	}
	if err := sys.ChmodAt(dir, emptyStandIn, 0o555); err != nil {
		return sys.Op("make folder", emptyStandIn, err)
	}
	return sys.Op("make file", noStandIn, sys.MknodAt(dir, noStandIn, sys.SIfreg, 0, 0))
}

// Mask covers what the guest is not to see, below the root at mp, once /proc and
// /sys are mounted there: on the thread of Attach, after it.
func (o *OpenRoot) Mask(mp string) error {
	from := path.Join(mp, "dev", standIns)
	for _, m := range Masks {
		source := path.Join(from, emptyStandIn)
		switch m.As {
		case Refused:
			source = path.Join(from, noStandIn)
		case Text:
			if _, err := os.Lstat(mp + m.Path); err != nil {
				continue
			}
			source = path.Join(from, path.Base(m.Path))
			if err := writeStandIn(source, m.Text); err != nil {
				return err
			}
		}
		err := sys.Mount(source, mp+m.Path, "", sys.MsBind, "")
		if err != nil && err != sys.ENOENT { // not on this host
			return sys.Op("mask", m.Path, err)
		}
	}
	return o.ownBootID(mp, path.Join(from, bootStandIn))
}

// ownBootID gives the guest a boot_id for this boot.
func (o *OpenRoot) ownBootID(mp, source string) error {
	id, err := os.ReadFile("/proc/sys/kernel/random/uuid") // a new one at each read, random(4)
	if err != nil {
		return sys.Op("read", "a random number", unwrapPath(err))
	}
	if err := writeStandIn(source, string(id)); err != nil {
		return err
	}
	return sys.Op("mask", bootID, sys.Mount(source, mp+bootID, "", sys.MsBind, ""))
}

// writeStandIn writes a file that anybody may read. The file system is new, and
// the guest does not run yet.
func writeStandIn(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o444); err != nil {
		return sys.Op("write", path, unwrapPath(err))
	}
	return sys.Op("write", path, os.Chmod(path, 0o444)) // whatever our umask
}
