package ipbind

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

//go:generate bpf/build.sh guest lsm

//go:embed bpf/guest.o
var guestObject []byte

// addresses is struct config of bpf/vsl.h: what the programs know of a guest.
type addresses struct {
	Lo4   [4]byte
	Steer uint32
	Group uint64
	Level uint32

	Sockets, Ports uint32
	Low, High      uint32
	_              uint32

	Lo6 [16]byte
	IP4 [MaxAddrs][4]byte
	IP6 [MaxAddrs][16]byte
}

func (c *Config) addresses() *addresses {
	a := &addresses{Lo4: c.Loopback.As4(), Sockets: c.Bounds.Sockets, Ports: c.Bounds.Ports}
	if c.Loopback6.IsValid() {
		a.Lo6 = c.Loopback6.As16()
	}
	for i, ip := range c.IP4 {
		a.IP4[i] = ip.As4()
	}
	for i, ip := range c.IP6 {
		a.IP6[i] = ip.As16()
	}
	return a
}

// set is the programs, which are the same for all contexts, and the maps of them.
type set struct {
	maps     [len(mapTable)]*ebpf.Map
	programs []program
}

type program struct {
	*ebpf.Program
	at ebpf.AttachType
}

// id is the kernel's number of the program; 0 when it cannot be asked.
func (p program) id() ebpf.ProgramID {
	info, err := p.Info()
	if err != nil {
		return 0
	}
	id, _ := info.ID()
	return id
}

func (s *set) close() {
	for _, m := range s.maps {
		if m != nil {
			m.Close()
		}
	}
	for _, p := range s.programs {
		p.Close()
	}
}

// Every program's name begins so; with the maps' names it tells vsl's programs from
// others, and those of this version from those of another.
const prefix = "vsl_"

// maxName is the longest name of a program or map that the kernel keeps.
const maxName = 15

// version names the object in the names of its maps.
var version = sync.OnceValue(func() string {
	sum := sha256.Sum256(guestObject)
	return hex.EncodeToString(sum[:5])
})

// The maps, as indexes of set.maps. In the object a 64-bit load of CONFIG_MAP of
// bpf/vsl.h plus the index stands for each.
const (
	configMap  = iota // a context's addresses, found by its cgroup
	socketsMap        // what is remembered of a socket, found by the socket
	countsMap         // what a context has, found by its cgroup
)

const firstMap = 0x76736c51

// noPrealloc is BPF_F_NO_PREALLOC of linux/bpf.h.
const noPrealloc = 1

type mapKind struct {
	letter string // in its name
	spec   ebpf.MapSpec
}

var mapTable = [...]mapKind{
	// The key is the cgroup's id alone, so that all programs on a cgroup have one
	// value (Linux 5.9).
	configMap: {"c", ebpf.MapSpec{Type: ebpf.CGroupStorage, KeySize: 8, ValueSize: uint32(binary.Size(addresses{}))}},
	// The kernel wants to know the types of what it keeps with a socket.
	socketsMap: {"s", ebpf.MapSpec{Type: ebpf.SkStorage, KeySize: 4, ValueSize: 8, Flags: noPrealloc,
		Key: &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}, Value: &btf.Int{Name: "known", Size: 8}}},
	// Not in the cgroup's storage, which is replaced whole at each change.
	countsMap: {"n", ebpf.MapSpec{Type: ebpf.Hash, KeySize: 8, ValueSize: uint32(binary.Size(counts{})), Flags: noPrealloc, MaxEntries: maxContexts}},
}

// maxContexts is how many there can be on a host, by their xids.
const maxContexts = 32768

func mapName(k mapKind) string { return "vsl" + k.letter + "_" + version() }

// guestSpec reads the object. It has no maps, no CO-RE and no BTF, so loading
// needs nothing but BPF_PROG_LOAD.
func guestSpec() (*ebpf.CollectionSpec, error) {
	return ebpf.LoadCollectionSpecFromReader(bytes.NewReader(guestObject))
}

// hooks is where the programs go.
var hooks = sync.OnceValue(func() (at []ebpf.AttachType) {
	spec, err := guestSpec()
	if err != nil {
		panic(err) // the object is part of this binary
	}
	for _, p := range spec.Programs {
		at = append(at, p.AttachType)
	}
	return at
})

// load has the kernel verify and compile the programs, which takes it some
// milliseconds.
func load() (*set, error) {
	spec, err := guestSpec()
	if err != nil {
		return nil, err
	}
	s := &set{}
	for i := range s.maps {
		m := mapTable[i].spec
		m.Name = mapName(mapTable[i])
		if s.maps[i], err = ebpf.NewMap(&m); err != nil {
			s.close()
			return nil, fmt.Errorf("map %s: %w", m.Name, err)
		}
	}
	for name, ps := range spec.Programs {
		patch(ps.Instructions, s.maps[:])
		ps.Name = name[:min(len(name), maxName)]
		p, err := ebpf.NewProgramWithOptions(ps, ebpf.ProgramOptions{LogDisabled: true})
		if err != nil {
			s.close()
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		s.programs = append(s.programs, program{p, ps.AttachType})
	}
	return s, nil
}

// patch puts the maps where the object names them.
func patch(ins asm.Instructions, maps []*ebpf.Map) {
	for i, x := range ins {
		n := x.Constant - firstMap
		if x.OpCode.IsDWordLoad() && x.Src == 0 && n >= 0 && n < int64(len(maps)) {
			ins[i] = asm.LoadMapPtr(x.Dst, maps[n].FD())
			ins[i].Metadata = x.Metadata
		}
	}
}
