package ipbind

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"vsl/engine/internal/sys"
)

//go:embed bpf/lsm.o
var lsmObject []byte

// pinDir is where the guard of the whole host is kept. Its programs hang on no
// cgroup that they could die with, so they stay until the host goes down, also
// without guests: they let pass whoever is in no context.
const pinDir = "/run/vsl/bpf"

// lsmDir is the guard of this version.
func lsmDir() string {
	sum := sha256.Sum256(lsmObject)
	return filepath.Join(pinDir, "lsm-"+hex.EncodeToString(sum[:4]))
}

// contextsMap is the map's name in bpf/lsm.bpf.c.
const contextsMap = "vsl_contexts"

func lsmSpec() (*ebpf.CollectionSpec, error) {
	return ebpf.LoadCollectionSpecFromReader(bytes.NewReader(lsmObject))
}

// lsmLoads says whether the kernel takes the programs.
var lsmLoads = sync.OnceValue(func() error {
	spec, err := lsmSpec()
	if err != nil {
		return err
	}
	c, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{Programs: ebpf.ProgramOptions{LogDisabled: true}})
	if err != nil {
		return err
	}
	c.Close()
	return nil
})

// guard brings a context under the guard of the host, which it starts when
// nobody has. Whoever does that may be killed in the middle: every pin that is
// there already is found by the next.
func guard(cgroup int) error {
	contexts, err := startGuard()
	if err != nil {
		return err
	}
	defer contexts.Close()
	id, _, err := sys.CgroupID(cgroup)
	if err != nil {
		return err
	}
	forget(contexts, cgroup)
	return contexts.Put(id, uint64(1))
}

// forget drops contexts whose cgroup is gone. Their numbers do not come back, so
// this is for the map's size only.
func forget(contexts *ebpf.Map, cgroup int) {
	var id uint64
	var dead []uint64
	value := make([]byte, contexts.ValueSize())
	for it := contexts.Iterate(); it.Next(&id, &value); {
		if there, err := sys.CgroupExists(cgroup, id); err == nil && !there {
			dead = append(dead, id)
		}
	}
	for _, id := range dead {
		contexts.Delete(id)
	}
}

func startGuard() (*ebpf.Map, error) {
	if contexts, ok := running(); ok {
		return contexts, nil
	}
	// One at a time: of two file systems mounted on each other, or two maps, the
	// programs would look into one and contexts be written into the other.
	lock, err := lockGuard()
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if contexts, ok := running(); ok {
		return contexts, nil
	}
	dir := lsmDir()
	spec, err := lsmSpec()
	if err != nil {
		return nil, err
	}
	if err := sys.BPFFS(pinDir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	contexts, err := pinnedMap(filepath.Join(dir, contextsMap), spec.Maps[contextsMap])
	if err != nil {
		return nil, fmt.Errorf("map of contexts: %w", err)
	}
	c, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{
		MapReplacements: map[string]*ebpf.Map{contextsMap: contexts}})
	if err != nil {
		contexts.Close()
		return nil, err
	}
	defer c.Close()
	for _, name := range lsmPrograms {
		if err := pinnedLink(filepath.Join(dir, name), c.Programs[name]); err != nil {
			contexts.Close()
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return contexts, nil
}

// lockGuard waits until nobody else starts the guard. Closing the file gives the
// lock back, as the holder's death does.
func lockGuard() (*os.File, error) {
	dir := filepath.Dir(pinDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for range guardTries {
		if err = sys.FlockTry(int(f.Fd())); !errors.Is(err, sys.EAGAIN) {
			break
		}
		time.Sleep(guardPause)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f, nil
}

// Starting the guard takes well below a second; another one's start is waited
// for no longer than a minute.
const (
	guardPause = 5 * time.Millisecond
	guardTries = 12000
)

// lsmPrograms are the programs of bpf/lsm.bpf.c.
var lsmPrograms = []string{"vsl_connect", "vsl_send"}

// running gives the map when the guard is whole.
func running() (*ebpf.Map, bool) {
	dir := lsmDir()
	for _, name := range lsmPrograms {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			return nil, false
		}
	}
	m, err := ebpf.LoadPinnedMap(filepath.Join(dir, contextsMap), nil)
	return m, err == nil
}

func pinnedMap(path string, spec *ebpf.MapSpec) (*ebpf.Map, error) {
	m, err := ebpf.NewMap(spec)
	if err != nil {
		return nil, err
	}
	err = m.Pin(path)
	if err == nil {
		return m, nil
	}
	m.Close()
	if !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	return ebpf.LoadPinnedMap(path, nil)
}

// pinnedLink attaches a program for as long as the pin is there. The link that
// somebody else pinned first serves as well.
func pinnedLink(path string, p *ebpf.Program) error {
	l, err := link.AttachLSM(link.LSMOptions{Program: p})
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.Pin(path); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}
