package rootfs

import (
	"archive/tar"
	"errors"
	"fmt"
	"strings"

	"github.com/docker/go-units"

	"vsl/engine/internal/sys"
)

// What an archive may make of itself. A root file system of a distribution has
// some 100,000 files in a few gigabytes, 20 folders deep.
const (
	DefaultMaxSize = 16 << 30
	maxEntries     = 4 << 20
	maxDepth       = 256       // folders in one name
	maxNames       = 128 << 20 // bytes of names: those of folders are kept until the end
	lookEach       = 32 << 20  // bytes between two looks at the free space
)

// ErrTooLarge says that an archive holds more than it may.
var ErrTooLarge = errors.New("more than it may hold")

// budget counts what an archive becomes, and stops it before a bound is passed
// or the disk is full.
type budget struct {
	dir     string
	most    int64
	size    int64 // of all files so far, as their headers say
	done    int64 // bytes that were unpacked
	entries int64
	names   int64
	written int64 // bytes on disk since the last look
}

func newBudget(dir string, most int64) budget {
	if most <= 0 {
		most = DefaultMaxSize
	}
	// the first entry looks at the free space
	return budget{dir: dir, most: most, written: lookEach}
}

// entry counts one entry before anything is made of it.
func (b *budget) entry(name string, h *tar.Header) error {
	b.entries++
	b.names += int64(len(name))
	switch depth := strings.Count(name, "/"); {
	case b.entries > maxEntries || b.names > maxNames:
		return fmt.Errorf("%w: %d entries with %d bytes of names", ErrTooLarge, b.entries, b.names)
	case depth > maxDepth:
		return fmt.Errorf("%w: %d folders in one name", ErrTooLarge, depth)
	}
	if h.Typeflag == tar.TypeReg || h.Typeflag == tar.TypeGNUSparse {
		if h.Size < 0 || h.Size > b.most-b.size {
			return &sys.OpError{Op: "stay below", Target: "max_size", Err: fmt.Errorf("%w: %s", ErrTooLarge, units.BytesSize(float64(b.most))),
				Hint: `tar { path = …, max_size = "…" } allows more`}
		}
		b.size += h.Size
	}
	return b.wrote(4096)
}

// wrote counts bytes that take room on the disk, and now and then looks whether
// there is any left: what fills a disk hurts whoever else writes to it.
func (b *budget) wrote(n int64) error {
	if b.written += n; b.written < lookEach {
		return nil
	}
	b.written = 0
	st, err := sys.Statfs(b.dir)
	if err != nil {
		return sys.Op("look at the free space of", b.dir, err)
	}
	if reserve := min(st.Total/100, 256<<20) + lookEach; st.Free < min(reserve, st.Total/10) {
		return &sys.OpError{Op: "unpack into", Target: b.dir, Err: fmt.Errorf("the disk is nearly full: %s free of %s",
			units.BytesSize(float64(st.Free)), units.BytesSize(float64(st.Total))), Hint: "make room, or use another --root"}
	}
	return nil
}
