package engine

import (
	"errors"
	"net/netip"

	"vsl/engine/netdev"
	"vsl/engine/store"
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

// CanComeUp finds what would keep guests from coming up again, before they are brought
// down for that: what a declaration asks of this host, secrets, the template that each
// is cloned from, and room for what a run writes. They may be some of a recipe's,
// which has been validated as a whole.
func (e *Engine) CanComeUp(decls []Declared) error {
	var specs []*Spec
	for _, d := range decls {
		specs = append(specs, d.Spec)
	}
	if err := errors.Join(e.preflight(&validator{}, specs), e.SecretsAtHand(decls)); err != nil {
		return err
	}
	for _, s := range specs {
		rec, err := e.readRecord(s.Name)
		if err != nil {
			return err
		}
		if rec == nil || rec.TemplateKey == "" {
			continue
		}
		if _, err := e.templates().Lookup(rec.Spec.Template.Name, rec.TemplateKey); err != nil {
			return &OpError{Op: "find the template of guest", Target: s.Name, Err: err, Hint: "was its folder removed by hand?"}
		}
		if err := e.room(s.Name); err != nil {
			return err
		}
	}
	return nil
}

// room tells whether the disks have room for what a run on a guest writes.
func (e *Engine) room(name string) error {
	for _, dir := range []string{e.paths.Run, e.paths.Guest(name)} {
		if err := store.Room(dir); err != nil {
			return &OpError{Op: "bring up guest", Target: name, Err: err, Hint: "nothing was brought down for it"}
		}
	}
	return nil
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
