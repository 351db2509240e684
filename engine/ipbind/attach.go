package ipbind

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"vsl/engine/internal/sys"
)

// allowMulti lets other programs stay beside ours (BPF_F_ALLOW_MULTI). It also
// means that whoever detaches must hold a descriptor of the program.
const allowMulti = 1 << 1

// common is the set that this process uses for all contexts; never closed.
var common struct {
	sync.Mutex
	*set
}

// obtain gives the set for a new context: what this process has, else what a
// running context beside this one has, else it is loaded. Nothing is pinned:
// the programs live while any cgroup has them.
func obtain(cgroup int) (*set, error) {
	common.Lock()
	defer common.Unlock()
	if common.set != nil {
		return common.set, nil
	}
	s := fromSiblings(cgroup)
	if s == nil {
		var err error
		if s, err = load(); err != nil {
			return nil, err
		}
	}
	common.set = s
	return s, nil
}

// siblings is how many of the cgroups beside a new one are looked at.
const siblings = 8

func fromSiblings(cgroup int) *set {
	parent, err := os.Open(fmt.Sprintf("/proc/self/fd/%d/..", cgroup))
	if err != nil {
		return nil
	}
	defer parent.Close()
	entries, _ := parent.ReadDir(0)
	looked := 0
	for _, e := range entries {
		if !e.IsDir() || looked == siblings {
			continue
		}
		looked++
		f, err := os.Open(filepath.Join(fmt.Sprintf("/proc/self/fd/%d", parent.Fd()), e.Name()))
		if err != nil {
			continue
		}
		s := borrow(int(f.Fd()))
		f.Close()
		if s != nil {
			return s
		}
	}
	return nil
}

// borrow takes a cgroup's programs when they are all there and of this version.
func borrow(cgroup int) *set {
	s := &set{}
	for _, at := range hooks() {
		mine, err := attached(cgroup, at)
		if err != nil {
			s.close()
			return nil
		}
		var found *ebpf.Program
		for _, p := range mine {
			if found == nil && s.takes(p) {
				found = p
				continue
			}
			p.Close()
		}
		if found == nil {
			s.close()
			return nil
		}
		s.programs = append(s.programs, program{found, at})
	}
	if slices.Contains(s.maps[:], nil) {
		s.close()
		return nil
	}
	return s
}

// takes says whether a program is of this version and has the set's maps; the
// first one that uses a map decides which map that is.
func (s *set) takes(p *ebpf.Program) bool {
	info, err := p.Info()
	if err != nil {
		return false
	}
	ids, ok := info.MapIDs()
	return ok && len(ids) > 0 && !slices.ContainsFunc(ids, func(id ebpf.MapID) bool { return !s.has(id) })
}

func (s *set) has(id ebpf.MapID) bool {
	m, err := ebpf.NewMapFromID(id)
	if err != nil {
		return false
	}
	info, err := m.Info()
	i := slices.IndexFunc(mapTable[:], func(t mapKind) bool { return err == nil && mapName(t) == info.Name })
	if i >= 0 && s.maps[i] == nil {
		s.maps[i] = m
		return true
	}
	defer m.Close()
	if i < 0 {
		return false
	}
	have, err := s.maps[i].Info()
	if err != nil {
		return false
	}
	known, _ := have.ID()
	return known == id
}

// attached gives vsl's own programs at one hook of the cgroup itself.
func attached(cgroup int, at ebpf.AttachType) ([]*ebpf.Program, error) {
	q, err := link.QueryPrograms(link.QueryOptions{Target: cgroup, Attach: at})
	if err != nil {
		return nil, err
	}
	var mine []*ebpf.Program
	for _, a := range q.Programs {
		p, err := ebpf.NewProgramFromID(a.ID)
		if err != nil {
			continue // gone meanwhile
		}
		if info, err := p.Info(); err == nil && strings.HasPrefix(info.Name, prefix) {
			mine = append(mine, p)
		} else {
			p.Close()
		}
	}
	return mine, nil
}

// configure gives the context its addresses, at once for all programs.
func (s *set) configure(cgroup int, a *addresses) error {
	id, level, err := sys.CgroupID(cgroup)
	if err != nil {
		return err
	}
	a.Group, a.Level = id, uint32(level)
	if a.Low, a.High, err = ephemeral(); err != nil {
		return err
	}
	if err := s.startCounting(cgroup, id); err != nil {
		return fmt.Errorf("count sockets: %w", err)
	}
	return s.maps[configMap].Update(id, a, ebpf.UpdateExist)
}

// attach puts programs on the cgroup, or none. A context without addresses yet
// can reach nothing.
func attach(cgroup int, programs []program) error {
	for i, p := range programs {
		err := link.RawAttachProgram(link.RawAttachProgramOptions{
			Target: cgroup, Program: p.Program, Attach: p.at, Flags: allowMulti})
		if err != nil {
			return errors.Join(fmt.Errorf("%v: %w", p.at, err), detach(cgroup, programs[:i]))
		}
	}
	return nil
}

// without gives the programs that are not among others.
func without(programs, others []program) []program {
	known := map[ebpf.ProgramID]bool{}
	for _, p := range others {
		known[p.id()] = true
	}
	return slices.DeleteFunc(slices.Clone(programs), func(p program) bool { return known[p.id()] })
}

func detach(cgroup int, programs []program) error {
	var errs []error
	for _, p := range programs {
		errs = append(errs, link.RawDetachProgram(link.RawDetachProgramOptions{
			Target: cgroup, Program: p.Program, Attach: p.at}))
	}
	return errors.Join(errs...)
}

// all gives whatever of vsl's programs is on the cgroup, of any version.
func all(cgroup int) ([]program, error) {
	var list []program
	for _, at := range hooks() {
		mine, err := attached(cgroup, at)
		if err != nil {
			closeAll(list)
			return nil, err
		}
		for _, p := range mine {
			list = append(list, program{p, at})
		}
	}
	return list, nil
}

func closeAll(list []program) {
	for _, p := range list {
		p.Close()
	}
}
