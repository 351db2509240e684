package spawn

import (
	"os"

	"vsl/engine/internal/sys"
)

// ScopedRuleset makes the Landlock ruleset of a guest that shares the host's
// network namespace: abstract UNIX sockets of processes outside its domain are
// out of reach. It fails with a sys.NotSupported before Linux 6.12.
func ScopedRuleset() (*os.File, error) {
	f, err := sys.LandlockAbstractScope()
	return f, sys.Op("make", "landlock ruleset", err)
}

// Confinement takes powers from a process of a guest: the same for its init
// and for what joins it later.
type Confinement struct {
	DropCaps   []int  // capabilities to take out of the bounding set; nil: DroppedCaps()
	LandlockFD int    // ruleset that Landlock gives; < 0: none
	Seccomp    []byte // filter that Filter gives; nil: none
	FirstFD    int    // descriptors from here on are closed at the exec: the number of Attr.Files, at least 3
	NoNewPrivs bool   // setuid programs give nothing; a system guest needs them
}

// Confine adds the steps of a confinement. They come last before the exec: the
// filter forbids calls that earlier steps may make. The child must be root of
// its user namespace.
func (p *Program) Confine(c Confinement) {
	caps := c.DropCaps
	if caps == nil {
		caps = DroppedCaps()
	}
	p.DropBounding(caps)
	if c.NoNewPrivs {
		p.NoNewPrivs()
	}
	if c.LandlockFD >= 0 {
		p.LandlockRestrict(c.LandlockFD)
	}
	p.CloseRange(max(3, c.FirstFD))
	if c.Seccomp != nil {
		p.Seccomp(c.Seccomp, 0)
	}
}
