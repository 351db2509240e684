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
	_     uint32
	Lo6   [16]byte
	IP4   [MaxAddrs][4]byte
	IP6   [MaxAddrs][16]byte
}

func (c *Config) addresses() *addresses {
	a := &addresses{Lo4: c.Loopback.As4()}
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

// set is the programs, which are the same for all contexts, and the map that
// finds each context's addresses.
type set struct {
	config   *ebpf.Map
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
	if s.config != nil {
		s.config.Close()
	}
	for _, p := range s.programs {
		p.Close()
	}
}

// Every program's name begins so; with mapName it tells vsl's programs from
// others, and those of this version from those of another.
const prefix = "vsl_"

// maxName is the longest name of a program or map that the kernel keeps.
const maxName = 15

// mapName names the configuration after the object that it belongs to.
var mapName = func() string {
	sum := sha256.Sum256(guestObject)
	return prefix + hex.EncodeToString(sum[:5])
}()

// configSpec describes the cgroup storage. Its key is the cgroup's id alone, so
// that all programs on a cgroup have one value (Linux 5.9).
func configSpec() *ebpf.MapSpec {
	return &ebpf.MapSpec{
		Name:      mapName,
		Type:      ebpf.CGroupStorage,
		KeySize:   8,
		ValueSize: uint32(binary.Size(addresses{})),
	}
}

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
	if s.config, err = ebpf.NewMap(configSpec()); err != nil {
		return nil, fmt.Errorf("cgroup storage: %w", err)
	}
	for name, ps := range spec.Programs {
		patch(ps.Instructions, s.config)
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

// configMap is CONFIG_MAP of bpf/vsl.h: it stands in the object for the map.
const configMap = 0x76736c51

// patch puts the map where the object names it.
func patch(ins asm.Instructions, m *ebpf.Map) {
	for i, x := range ins {
		if x.OpCode.IsDWordLoad() && x.Src == 0 && x.Constant == configMap {
			ins[i] = asm.LoadMapPtr(x.Dst, m.FD())
			ins[i].Metadata = x.Metadata
		}
	}
}
