package ipbind

import (
	"errors"
	"fmt"
	"math"
	"os"

	"github.com/cilium/ebpf"

	"vsl/engine/internal/sys"
)

// Bounds are how many sockets a context may have, those of accept(2) not among
// them, and how many of them may hold a port of the host's: bound to one, or
// connected. Unbounded is no bound.
//
// One context must leave the host and its neighbours ephemeral ports (28,232 of
// them, if nobody changed that), whatever it does. Some calls bind a socket without
// asking any program (listen and sendto on an unbound one): Sockets bounds those.
type Bounds struct {
	Sockets uint32 `json:"sockets"`
	Ports   uint32 `json:"ports"`
}

// Unbounded takes a bound away.
const Unbounded = math.MaxUint32

// Held is what a context has of what Bounds bound. Lingering are ports that the
// kernel still keeps, or may keep, after a socket that was bound to one: they count
// as ports.
type Held struct {
	Sockets   uint32 `json:"sockets"`
	Ports     uint32 `json:"ports"`
	Lingering uint32 `json:"lingering"`
}

// Use is what a context has, what it may have, and how often it was refused more.
type Use struct {
	Held
	Bounds  Bounds `json:"bounds"`
	Refused Bounds `json:"refused"`
}

// counts is struct counts of bpf/count.h.
type counts struct {
	Sockets, Ports    uint32
	Window            uint64
	Lingering, Before uint32
	NoSocket, NoPort  uint32
}

// Bound changes the bounds of a context that Attach confined. What it has already
// it keeps.
func Bound(cgroupFD int, b Bounds) error {
	err := withSet(cgroupFD, func(s *set, id uint64) error {
		var a addresses
		if err := s.maps[configMap].Lookup(id, &a); err != nil {
			return err
		}
		a.Sockets, a.Ports = b.Sockets, b.Ports
		return s.maps[configMap].Update(id, &a, ebpf.UpdateExist)
	})
	return sys.Op("bound sockets", "", err)
}

// Usage tells what a context has, and its bounds.
func Usage(cgroupFD int) (u Use, err error) {
	err = withSet(cgroupFD, func(s *set, id uint64) error {
		var a addresses
		var n counts
		if err := errors.Join(s.maps[configMap].Lookup(id, &a), s.maps[countsMap].Lookup(id, &n)); err != nil {
			return err
		}
		u.Held = Held{n.Sockets, n.Ports, n.Lingering + n.Before}
		u.Bounds, u.Refused = Bounds{a.Sockets, a.Ports}, Bounds{n.NoSocket, n.NoPort}
		return nil
	})
	return u, sys.Op("count sockets", "", err)
}

// ErrNotConfined is returned for a context without vsl's programs.
var ErrNotConfined = errors.New("the context is not confined to addresses by this version of vsl")

func withSet(cgroupFD int, f func(s *set, id uint64) error) error {
	id, _, err := sys.CgroupID(cgroupFD)
	if err != nil {
		return err
	}
	s := borrow(cgroupFD)
	if s == nil {
		return ErrNotConfined
	}
	defer s.close()
	return f(s, id)
}

// startCounting makes the context's counts, unless it has some: they outlast a
// change of its addresses. The kernel does not remove a context's counts with its
// cgroup, so those of others that are gone go when there is no more room.
func (s *set) startCounting(cgroup int, id uint64) error {
	m := s.maps[countsMap]
	err := m.Update(id, &counts{}, ebpf.UpdateNoExist)
	if err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
		forget(m, cgroup)
		err = m.Update(id, &counts{}, ebpf.UpdateNoExist)
	}
	if errors.Is(err, ebpf.ErrKeyExist) {
		return nil
	}
	return err
}

// ephemeral is the range from which the kernel takes ports by itself.
func ephemeral() (low, high uint32, err error) {
	const file = "/proc/sys/net/ipv4/ip_local_port_range"
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, 0, err
	}
	if n, err := fmt.Sscan(string(data), &low, &high); n != 2 {
		return 0, 0, fmt.Errorf("%s says %q: %w", file, data, err)
	}
	return low, high, nil
}
