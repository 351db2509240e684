package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"vsl/engine/internal/sys"
	"vsl/engine/store"
)

// keepXID makes the link of a guest's xid again where it was lost.
func (e *Engine) keepXID(r *record) error {
	owner := e.paths.XIDOwner(r.XID)
	if owner == "" {
		if err := e.paths.ClaimXID(r.XID, r.Name); err != nil {
			e.log.Warn().Str("guest", r.Name).Err(err).Msg("its xid is not marked as taken")
		}
		return nil
	}
	if owner != r.Name {
		e.log.Warn().Str("guest", r.Name).Int("xid", r.XID).Msgf("guest %s has the same xid: one of the two was copied here; vsl rm and vsl up give it another", owner)
	}
	return nil
}

// xidOf is the xid of a guest that is there, whatever can be read of it: by its
// record, else by the owner of its files or of its context; 0 where nothing tells.
func (e *Engine) xidOf(name string) int {
	if r, _ := e.readRecord(name); r != nil {
		return r.XID
	}
	dir := e.paths.Guest(name)
	places := []string{filepath.Join(dir, "upper"), filepath.Join(dir, "upper.tmp"), e.paths.Console(name)}
	if grp, err := e.group(name); err == nil {
		places = append(places, grp.Path())
	}
	for _, p := range places {
		info, err := os.Lstat(p)
		if err != nil {
			continue
		}
		if uid, ok := sys.OwnerOf(info); ok && uid>>16 >= store.MinXID && uid>>16 <= store.MaxXID {
			return uid >> 16
		}
	}
	return 0
}

// repairXIDs makes the links again that were lost: without one, a guest's ids would be
// given to the next.
func (e *Engine) repairXIDs() (did []string, err error) {
	links, err := store.Names(e.paths.XIDs())
	if err != nil {
		return nil, err
	}
	linked := make(map[string]bool, len(links))
	for _, l := range links {
		if xid, err := strconv.Atoi(l); err == nil {
			linked[e.paths.XIDOwner(xid)] = true
		}
	}
	var errs []error
	for _, n := range e.names() {
		if linked[n] {
			continue
		}
		if xid := e.xidOf(n); xid != 0 && e.paths.XIDOwner(xid) == "" {
			errs = append(errs, e.paths.ClaimXID(xid, n))
			did = append(did, "marked xid "+strconv.Itoa(xid)+" as taken by "+n)
		}
	}
	return did, errors.Join(errs...)
}

// lostXIDs looks whether links may have been lost, before a first xid is taken: there
// are fewer of them than guests.
func (e *Engine) lostXIDs() {
	links, err := store.Names(e.paths.XIDs())
	if guests := e.names(); err != nil || len(links) < len(guests)-1 { // the one that is being made has none yet
		if _, err := e.repairXIDs(); err != nil {
			e.log.Warn().Err(err).Msg("not every xid in use could be marked as taken")
		}
	}
}
