package store

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"vsl/engine/internal/sys"
)

// An xid is a number from MinXID to MaxXID. A guest keeps it for its life; its
// uids and gids are xid<<16 and the 65,535 after it.
const (
	MinXID = 4096
	MaxXID = 32767
)

// ErrNoXID says that every xid is taken.
var ErrNoXID = fmt.Errorf("all %d xids are taken; vsl rm frees some", MaxXID-MinXID+1)

// TakeXID claims the next free xid for a guest. A claim is a symbolic link
// <xid> -> name: made atomically and exclusively, so that two commands can
// never take the same one, and readable without a lock. What a killed
// command claimed is given back when its journal is undone.
func (p Paths) TakeXID(name string) (int, error) {
	used, err := Names(p.XIDs())
	if err != nil {
		return 0, err
	}
	taken := make(map[int]bool, len(used))
	for _, u := range used {
		if n, err := strconv.Atoi(u); err == nil {
			taken[n] = true
		}
	}
	const span = MaxXID - MinXID + 1
	first := p.firstXID()
	for i := range span {
		xid := MinXID + (first+i)%span
		if taken[xid] {
			continue
		}
		err := os.Symlink(name, p.xidPath(xid))
		if err == nil {
			return xid, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return 0, sys.Op("claim xid", strconv.Itoa(xid), cause(err))
		}
	}
	return 0, sys.Op("claim xid for guest", name, ErrNoXID)
}

// firstXID spreads other state roots over the range, so that guests of two
// roots do not begin with the same ids.
func (p Paths) firstXID() int {
	if p.Root == DefaultRoot {
		return 0
	}
	h := fnv.New32a()
	h.Write([]byte(p.Root))
	return int(h.Sum32() % (MaxXID - MinXID + 1))
}

// ClaimXID makes the link of an xid that a guest has already. That somebody has it is
// no error.
func (p Paths) ClaimXID(xid int, name string) error {
	if err := os.Symlink(name, p.xidPath(xid)); err != nil && !errors.Is(err, fs.ErrExist) {
		return sys.Op("claim xid", strconv.Itoa(xid), cause(err))
	}
	return nil
}

// FreeXID gives an xid back if it belongs to name.
func (p Paths) FreeXID(xid int, name string) error {
	if owner, err := os.Readlink(p.xidPath(xid)); err != nil || owner != name {
		return nil
	}
	return Remove(p.xidPath(xid))
}

// XIDOwner names the guest that has an xid, or "".
func (p Paths) XIDOwner(xid int) string {
	owner, err := os.Readlink(p.xidPath(xid))
	if err != nil {
		return ""
	}
	return owner
}

func (p Paths) xidPath(xid int) string { return filepath.Join(p.XIDs(), strconv.Itoa(xid)) }
