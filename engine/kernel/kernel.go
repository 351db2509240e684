// Package kernel answers what the running kernel offers. Each fact is found by
// asking the kernel itself where it can be asked, and by its release only
// where it cannot. Nothing is probed before somebody asks, each fact only
// once, and no probe leaves a trace.
//
// It decides nothing: whether a missing feature is an error is for those who
// need it to say.
package kernel

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"

	"vsl/engine/internal/sys"
)

// Release is the kernel's release, such as "6.1.0-37-amd64".
var Release = sync.OnceValue(func() string {
	r, err := sys.Release()
	if err != nil {
		return ""
	}
	return r
})

// AtLeast compares the release. Distributors carry features back and forth:
// use it only for what cannot be probed.
func AtLeast(major, minor int) bool {
	haveMajor, haveMinor, ok := parseRelease(Release())
	return ok && (haveMajor > major || haveMajor == major && haveMinor >= minor)
}

// parseRelease reads the first two numbers of a release.
func parseRelease(r string) (major, minor int, ok bool) {
	first, rest, ok := strings.Cut(r, ".")
	if !ok {
		return 0, 0, false
	}
	end := strings.IndexFunc(rest, func(c rune) bool { return c < '0' || c > '9' })
	if end < 0 {
		end = len(rest)
	}
	major, err1 := strconv.Atoi(first)
	minor, err2 := strconv.Atoi(rest[:end])
	if errors.Join(err1, err2) != nil || major < 0 {
		return 0, 0, false
	}
	return major, minor, true
}

// LandlockABI is the version of the Landlock interface, 0 for none. 6 is the
// first that confines abstract UNIX sockets and signals ("scoped", Linux 6.12).
var LandlockABI = sync.OnceValue(sys.LandlockABI)

// LandlockScope says whether Landlock can confine abstract UNIX sockets.
func LandlockScope() error {
	if LandlockABI() >= 6 {
		return nil
	}
	return &sys.NotSupported{Feature: "Landlock's scope for abstract UNIX sockets", Since: "6.12",
		Remedy: "use a newer kernel with landlock in its list of security modules (lsm= on its command line)"}
}

// BPFLSM says whether security hooks can be BPF programs: the kernel loads
// such a program, and "bpf" is among the active security modules, without
// which it would load and never run.
func BPFLSM() bool { return bpfLSM() == nil }

var bpfLSM = sync.OnceValue(func() error {
	err := features.HaveProgramType(ebpf.LSM)
	if errors.Is(err, sys.EPERM) {
		return &sys.NotSupported{Feature: "BPF LSM (this process may not load such programs)",
			Remedy: "run as root, on a kernel that is not locked down and was built with CONFIG_BPF_LSM and BTF"}
	}
	if err != nil {
		return &sys.NotSupported{Feature: "BPF LSM (" + err.Error() + ")", Since: "5.7", Remedy: "use a kernel with CONFIG_BPF_LSM and BTF"}
	}
	mods, err := sys.LSMs()
	if err != nil {
		return err
	}
	if !slices.Contains(mods, "bpf") {
		return &sys.NotSupported{Feature: "BPF LSM (the active modules are " + strings.Join(mods, ",") + ")",
			Remedy: "boot with bpf in the lsm= list of the kernel's command line"}
	}
	return nil
})

// CgroupBPF says whether programs for addresses of sockets can be loaded.
var CgroupBPF = sync.OnceValue(func() error { return features.HaveProgramType(ebpf.CGroupSockAddr) })

// BPFSetRetval says whether such a program can choose the error that its
// caller gets (bpf_set_retval).
var BPFSetRetval = sync.OnceValue(func() error {
	return features.HaveProgramHelper(ebpf.CGroupSockAddr, asm.FnSetRetval)
})

// SkLookup says whether a program can choose the socket that an incoming
// connection goes to.
var SkLookup = sync.OnceValue(func() error { return features.HaveProgramType(ebpf.SkLookup) })

// PidfdExit says whether a pidfd gives the exit status of a process that is no
// child of ours.
var PidfdExit = sync.OnceValue(func() error {
	if err := sys.ProbePidfdInfo(); err != nil || !AtLeast(6, 15) {
		return &sys.NotSupported{Feature: "exit status from a pidfd (PIDFD_GET_INFO)", Since: "6.15"}
	}
	return nil
})
