package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"vsl/engine/netdev"
	"vsl/engine/store"
)

// gcXIDs marks the xids as taken that are, and frees those of guests that are gone.
func (e *Engine) gcXIDs(context.Context) (did []string, err error) {
	did, err = e.repairXIDs()
	errs := []error{err}
	claims, err := store.Names(e.paths.XIDs())
	if err != nil {
		return did, err
	}
	for _, c := range claims {
		xid, err := strconv.Atoi(c)
		if err != nil {
			continue
		}
		owner := e.paths.XIDOwner(xid)
		if _, err := os.Lstat(e.paths.Guest(owner)); owner == "" || err == nil {
			continue
		}
		h, free, err := e.hold(owner)
		if err != nil || !free {
			errs = append(errs, err)
			continue
		}
		if rec, rerr := e.readRecord(owner); rec == nil && rerr == nil && !e.inUse(owner) {
			errs = append(errs, e.paths.FreeXID(xid, owner))
			did = append(did, "freed xid "+c+" of "+owner)
		}
		h.drop()
	}
	return did, errors.Join(errs...)
}

// inUse tells whether something of a guest is left that has its ids, as far as its
// own folder is not concerned.
func (e *Engine) inUse(name string) bool {
	if grp, err := e.group(name); err != nil || grp.Exists() {
		return true
	}
	rest, err := filepath.Glob(filepath.Join(e.paths.Guests(), doomedPrefix+name+"-*"))
	return err != nil || len(rest) > 0
}

// gcAddresses removes addresses that carry vsl's mark and that no running
// context of this root holds. Other roots mark theirs alike, so only addresses
// that this root's guests declare, or their private loopbacks, are judged, and none
// that a copy of this root may have, or the one that this is a copy of.
func (e *Engine) gcAddresses(context.Context) (did []string, err error) {
	marked, err := netdev.List()
	if err != nil || len(marked) == 0 {
		return nil, err
	}
	held := map[string]bool{}
	for _, n := range e.names() {
		run, err := e.readRun(n)
		if err != nil {
			continue // of a newer vsl
		}
		for _, a := range run.Addrs {
			held[a.Prefix] = true
		}
	}
	marked = slices.DeleteFunc(marked, func(a netdev.Address) bool { return !a.Ours || held[a.Prefix.String()] })
	if len(marked) == 0 {
		return nil, nil
	}
	known := map[string][]string{} // to the guests that may have them
	for _, n := range e.names() {
		rec, err := e.readRecord(n)
		if err != nil || rec == nil {
			continue
		}
		for _, ip := range append(ips(rec.Spec.Net), netdev.Loopback6(rec.XID).Addr().String()) {
			known[ip] = append(known[ip], n)
		}
	}
	var errs []error
	for _, a := range marked {
		if owners := known[a.Prefix.Addr().String()]; len(owners) > 0 {
			gone, err := e.gcAddress(a, owners)
			did, errs = append(did, gone...), append(errs, err)
		}
	}
	return did, errors.Join(errs...)
}

// gcAddress removes one address, unless a guest that may have it does by now.
func (e *Engine) gcAddress(a netdev.Address, owners []string) ([]string, error) {
	for _, n := range owners {
		if e.elsewhere(n) {
			return nil, nil
		}
		lock, free, err := store.TryLockDir(e.paths.Guest(n))
		if err != nil || !free {
			return nil, err
		}
		defer lock.Unlock()
		run, err := e.readRun(n)
		holds := func(o ownedAddr) bool { return o.Prefix == a.Prefix.String() }
		if err != nil || slices.ContainsFunc(run.Addrs, holds) || (&guest{run: run}).running() && run.Net == nil {
			return nil, nil // a hint that was lost does not say what the guest has
		}
	}
	if err := netdev.Remove(a.Device, a.Prefix); err != nil {
		return nil, err
	}
	return []string{"removed address " + a.Prefix.String() + " from " + a.Device}, nil
}

// elsewhere tells whether another state root of this host has a context of that name,
// which may be a copy's: what the two declare is the same.
func (e *Engine) elsewhere(name string) bool {
	l, err := e.layout()
	if err != nil {
		return true
	}
	bases, err := l.Bases(store.BasePrefix)
	own := e.paths.Base()
	return err != nil || slices.ContainsFunc(bases, func(b string) bool { return b != own && l.Group(b, name).Exists() })
}
