package ipbind

import (
	"slices"

	"vsl/engine/internal/sys"
)

// Kinds of guard for abstract AF_UNIX sockets. They belong to the network
// namespace, so without a guard a guest on the host's stack could reach the
// host's and other guests'.
const (
	GuardLandlock = "landlock" // the child restricts itself: Landlock scope, in package spawn
	GuardLSM      = "bpf-lsm"  // Attach sees to it: BPF programs for all contexts, pinned
)

// landlockScoped is the first Landlock ABI with LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
// (landlock(7)), Linux 6.12.
const landlockScoped = 6

// LandlockGuards tells whether this kernel offers the guard that each process puts
// on by itself. Unlike AbstractGuard it loads nothing.
func LandlockGuards() bool { return sys.LandlockABI() >= landlockScoped }

// AbstractGuard says which guard this kernel offers. The error is a
// *sys.NotSupported that names the reason.
func AbstractGuard() (kind string, err error) {
	if LandlockGuards() {
		return GuardLandlock, nil
	}
	if contexts, ok := running(); ok {
		contexts.Close()
		return GuardLSM, nil
	}
	if modules, err := sys.LSMs(); err == nil && !slices.Contains(modules, "bpf") {
		return "", &sys.NotSupported{Feature: "a guard for abstract sockets", Since: "6.12",
			Remedy: "Landlock is older, and bpf is not among the security modules: add it to lsm= on the kernel's command line"}
	}
	if err := lsmLoads(); err != nil {
		return "", &sys.NotSupported{Feature: "a guard for abstract sockets", Since: "6.12",
			Remedy: "Landlock is older, and the kernel refuses BPF security programs: " + err.Error()}
	}
	return GuardLSM, nil
}

// Supported says whether a context can be confined to addresses on this kernel:
// whether the programs load (which takes some 20 ms) and abstract sockets can be guarded. The error is a
// *sys.NotSupported that names the reason, or what the kernel said.
func Supported() error {
	set, err := load()
	if err != nil {
		return sys.Op("load bpf programs", "", err)
	}
	set.close()
	_, err = AbstractGuard()
	return err
}
