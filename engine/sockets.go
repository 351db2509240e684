package engine

import (
	"errors"

	"vsl/engine/cgroup"
	"vsl/engine/ipbind"
)

// What a guest on the host's network has that sets no limits of its own: the
// ephemeral ports, 28,232 if nobody changed that, are one lot for host and guests,
// and one guest must leave enough of them. A guest has at most as many ports as
// sockets: of some calls only the latter are asked for.
const (
	DefaultSockets = 8192
	DefaultPorts   = 4096
)

// bounds are l's as far as they are ipbind's to keep.
func (l Limits) bounds() ipbind.Bounds {
	n := func(p *int64, otherwise uint32) uint32 {
		switch {
		case p == nil:
			return otherwise
		case *p == cgroup.Unlimited || *p > ipbind.Unbounded:
			return ipbind.Unbounded
		}
		return uint32(*p)
	}
	return ipbind.Bounds{Sockets: n(l.Sockets, DefaultSockets), Ports: n(l.Ports, DefaultPorts)}
}

// boundSockets gives a context that is confined already the bounds of l. One that
// is not (yet) gets them when it is; one with a network of its own has none.
func boundSockets(grp *cgroup.Group, name string, l Limits, confined bool) error {
	dir, err := grp.FD()
	if err != nil {
		return err
	}
	defer dir.Close()
	err = ipbind.Bound(int(dir.Fd()), l.bounds())
	if errors.Is(err, ipbind.ErrNotConfined) && !confined {
		return nil
	}
	if err != nil {
		return &OpError{Op: "bound the sockets of guest", Target: name, Err: err, Hint: "vsl restart has it confined by this version"}
	}
	return nil
}

// socketUsage is nil for a guest that is not confined to addresses.
func socketUsage(grp *cgroup.Group) (*ipbind.Use, error) {
	dir, err := grp.FD()
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	u, err := ipbind.Usage(int(dir.Fd()))
	if errors.Is(err, ipbind.ErrNotConfined) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &u, nil
}

// SocketUse is what a guest on the host's network has of sockets and ports.
type SocketUse = ipbind.Use

// NoSocketBound is a bound of SocketUse that is none.
const NoSocketBound = ipbind.Unbounded
