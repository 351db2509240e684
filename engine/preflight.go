package engine

import (
	"net/netip"

	"vsl/engine/netdev"
)

// preflight finds what this host cannot give the guests, before anything is
// touched: limits without a controller, addresses that fit no device. Like
// Validate it gives all mistakes at once.
func (e *Engine) preflight(v *validator, specs []*Spec) error {
	for _, s := range specs {
		run, err := e.readRun(s.Name)
		if asDamage(err) != nil {
			continue // its own up says so
		}
		if err != nil {
			return err
		}
		if !(&guest{run: run}).running() {
			e.secretsAtHand(v, s)
		}
		if s.Limits.String() != "none" {
			l, err := e.layout()
			if err != nil {
				return err
			}
			for _, err := range unjoin(s.Limits.Check(l)) {
				if err != nil {
					v.wrap(s, "limit", err)
				}
			}
		}
		if s.Net.mode() != "bind" {
			continue
		}
		for _, a := range s.Net.Addrs {
			p, err := a.prefix()
			if err != nil {
				continue // Validate has said so
			}
			if _, err := netdev.Find(p, a.Dev); err != nil {
				v.wrap(s, "ip", err)
			}
		}
	}
	if err := e.takenAddresses(v, specs); err != nil {
		return err
	}
	return v.err()
}

// takenAddresses refuses an address that a running guest of another recipe has,
// as Validate does within one.
func (e *Engine) takenAddresses(v *validator, specs []*Spec) error {
	want, own := map[netip.Addr]*Spec{}, map[string]bool{}
	for _, g := range v.leaving {
		own[g.spec.Name] = true
	}
	for _, s := range specs {
		own[s.Name] = true
		for _, a := range s.Net.Addrs {
			if p, err := a.prefix(); err == nil {
				want[p.Addr()] = s
			}
		}
	}
	if len(want) == 0 {
		return nil
	}
	all, _, err := e.List()
	for _, o := range all {
		if _, stopped := o.(*guest).init(); own[o.Name()] || stopped != nil {
			continue
		}
		for _, a := range o.Spec().Net.Addrs {
			p, err := a.prefix()
			if s := want[p.Addr()]; err == nil && s != nil {
				v.fail(s, "ip", "each guest needs its own", "%s is also the address of %q, which runs", p.Addr(), o.Name())
			}
		}
	}
	return err
}
