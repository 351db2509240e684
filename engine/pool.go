package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// member gives the number of a pool's guest by its name: 3 of web3; 0 where
// that is no name of it.
func (p *Pool) member(name string) int {
	digits, ok := strings.CutPrefix(name, p.Name)
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 1 || digits != strconv.Itoa(n) {
		return 0
	}
	return n
}

// Member is the name of a pool's guest by its number.
func (p *Pool) Member(i int) string { return p.Name + strconv.Itoa(i) }

func findPool(pools []*Pool, name string) *Pool {
	i := slices.IndexFunc(pools, func(p *Pool) bool { return p.Name == name })
	if name == "" || i < 0 {
		return nil
	}
	return pools[i]
}

// PoolGuests are the names of the guests on this host that are of a pool, in
// the order of their numbers.
func (e *Engine) PoolGuests(pool string) ([]string, error) {
	p := &Pool{Name: pool}
	var names []string
	for _, n := range e.names() {
		if p.member(n) == 0 {
			continue
		}
		rec, err := e.readRecord(n)
		if asDamage(err) != nil {
			continue
		}
		if err != nil {
			return nil, err
		}
		if rec != nil && rec.Spec.Pool == pool {
			names = append(names, n)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return p.member(a) - p.member(b) })
	return names, nil
}

// surplus finds what is up of the recipe's pools beyond their sizes, the
// highest numbers first. A guest of the same name that is of another recipe, or
// was declared by itself, is none of them.
func (e *Engine) surplus(recipe string, pools []*Pool) ([]*guest, error) {
	var out []*guest
	for _, p := range pools {
		if p.Partial || recipe == "" {
			continue
		}
		names, err := e.PoolGuests(p.Name)
		if err != nil {
			return nil, err
		}
		for _, n := range slices.Backward(names) {
			g, err := e.recorded(n)
			if asDamage(err) != nil {
				continue
			}
			if err != nil {
				return nil, err
			}
			grp, err := g.group()
			if err != nil {
				return nil, err
			}
			if p.member(n) > p.Size && g.rec.Recipe.Path == recipe && grp.Exists() {
				out = append(out, g)
			}
		}
	}
	return out, nil
}

// recorded is a handle on a guest as it was brought up, whatever is declared now.
func (e *Engine) recorded(name string) (*guest, error) {
	rec, err := e.readRecord(name)
	if err != nil {
		return nil, err
	}
	if rec == nil {
		return nil, unknownGuest(name, e.names())
	}
	run, err := e.readRun(name)
	return &guest{e: e, spec: rec.Spec, rec: rec, run: run}, err
}

// Recorded is a guest's spec as it was brought up with.
func (e *Engine) Recorded(name string) (*Spec, error) {
	g, err := e.recorded(name)
	if err != nil {
		return nil, err
	}
	return g.spec, nil
}

func (p *Pool) surplusReason() string {
	switch p.Size {
	case 0:
		return "pool " + p.Name + " is empty now"
	case 1:
		return "pool " + p.Name + " has 1 guest now"
	}
	return fmt.Sprintf("pool %s has %d guests now", p.Name, p.Size)
}

// planSurplus is what up would take down.
func planSurplus(gone []*guest, pools []*Pool) []GuestPlan {
	var out []GuestPlan
	for _, g := range gone {
		p := findPool(pools, g.spec.Pool)
		out = append(out, GuestPlan{Name: g.spec.Name, Pool: p.Name, Change: ChangeDown, Reasons: []string{p.surplusReason()},
			Steps: []Step{{Op: OpDown, Guest: g.spec.Name, Target: g.spec.Name}}})
	}
	return out
}

// takeDown brings down what is beyond the pools' sizes: one after the other in
// each pool, the highest number first. Their files stay, as after vsl down.
func (e *Engine) takeDown(ctx context.Context, gone []*guest, o UpOptions) []Outcome {
	out := make([]Outcome, len(gone))
	var wg sync.WaitGroup
	for _, p := range o.Pools {
		wg.Go(func() {
			for i, g := range gone {
				if g.spec.Pool != p.Name {
					continue
				}
				err := g.within(ctx, false, func() error {
					g.update(func(r *record) { r.Spare = true })
					out[i] = e.down1(ctx, g, DownOptions{Flows: o.Ends})
					return out[i].Err
				})
				out[i].Guest, out[i].Reasons = g.spec.Name, []string{p.surplusReason()}
				out[i].end(err)
			}
		})
	}
	wg.Wait()
	return out
}

// compareIn is compare for a guest that may be of one of these pools: as one of
// many it is replaced where another guest would have to be restarted by hand.
func (g *guest) compareIn(pools []*Pool) (Change, []string) {
	change, reasons := g.compare()
	if change == ChangeReplace && g.replacedAnew() {
		return change, append(reasons, deleted)
	}
	if g.rec == nil || findPool(pools, g.spec.Pool) == nil {
		return change, reasons
	}
	switch {
	case change == ChangeRestart:
		change = ChangeReplace
	case change == ChangeStart && g.needsNew():
		change, reasons = ChangeReplace, []string{"stopped; its template or clone changed"}
	default:
		return change, reasons
	}
	for i, r := range reasons {
		reasons[i], _, _ = strings.Cut(r, ": takes effect")
	}
	if g.replacedAnew() {
		reasons = append(reasons, deleted)
	}
	return change, reasons
}

// deleted is what a replacement by a guest with another root comes with.
const deleted = "what it wrote is deleted"

// compare is compareIn for a run that brings up what changed, or restarts some
// of a pool.
func (o UpOptions) compare(g *guest) (Change, []string) {
	if o.Restart == nil {
		return g.compareIn(o.Pools)
	}
	if slices.Contains(o.Restart, g.spec.Name) && g.running() {
		return ChangeReplace, nil
	}
	return g.compare()
}

// planReplace lists the steps of a replacement.
func (g *guest) planReplace() []Step {
	name := g.spec.Name
	steps := []Step{{Op: OpDown, Guest: name, Target: name}}
	anew := g.replacedAnew()
	if anew {
		steps = append(steps, Step{Op: OpRemove, Guest: name, Target: name})
	}
	return append(steps, planGuest(g.spec, g.rec.Provisioned && !anew)...)
}

// needsNew tells whether a guest cannot become what is declared by a restart:
// its root is of another template or another kind.
func (g *guest) needsNew() bool {
	old, now := g.rec.Spec, g.spec
	return !sameTemplate(old.Template, now.Template) || old.Clone != now.Clone
}

// replace brings down a guest of a pool that is to come up as declared now, or
// one that failed and was kept, and removes it where it needs another root. What can be known beforehand to keep
// it from coming up again leaves it as it is.
func (u *upRun) replace(ctx context.Context, g *guest) error {
	if err := errors.Join(u.e.SecretsAtHand([]Declared{{Spec: g.spec}}), u.e.room(g.spec.Name)); err != nil {
		return &GuestError{Guest: g.spec.Name, Phase: "prepare", Err: err}
	}
	old, err := u.e.recorded(g.spec.Name)
	if err != nil {
		return err
	}
	u.e.progress(Progress{Subject: g.spec.Name, Stage: "replace"})
	if g.keptNew() { // the undo that keeping it put off: it runs no flow
		return u.e.down1(ctx, old, DownOptions{Remove: true}).Err
	}
	return u.e.down1(ctx, old, DownOptions{Flows: u.o.Ends, Remove: u.o.Restart == nil && g.replacedAnew()}).Err
}

// replacedAnew tells whether a replacement begins with a new root. A guest that is
// of no pool keeps its own: it is replaced only where it failed.
func (g *guest) replacedAnew() bool {
	return g.keptNew() || g.rec.Failed == nil && g.needsNew()
}

// roll is the order in which the running guests of one pool are replaced.
type roll struct {
	max   int
	order []string // those to be replaced
	first []string // those of the pool that come up before any is replaced

	mu     sync.Mutex
	failed string // the first guest of the pool that failed
}

// rolls plans the replacements of each pool. A guest's turn comes when, of
// those before it, fewer than max are under way. So that none waits for one
// that waits for it, the order keeps to what comes after what; and only those
// new guests come first that wait, in turn, for none that is replaced.
func (e *Engine) rolls(decls []Declared, o UpOptions) (map[string]*roll, error) {
	out := map[string]*roll{}
	replaced, fresh := map[string]bool{}, map[string]bool{}
	for _, d := range decls {
		p := findPool(o.Pools, d.Spec.Pool)
		if p == nil {
			continue
		}
		if out[p.Name] == nil {
			out[p.Name] = &roll{max: max(p.MaxUnavailable, 1)}
		}
		g, err := e.compared(d.Spec)
		if asDamage(err) != nil {
			continue // its own up says so
		}
		if err != nil {
			return nil, err
		}
		switch change, _ := o.compare(g); {
		case change == ChangeReplace && g.running():
			replaced[d.Spec.Name] = true
		case !g.running():
			fresh[d.Spec.Name] = true
		}
	}
	behind := map[string]bool{} // comes after one that is replaced
	for _, s := range inOrder(decls) {
		for dep := range s.After {
			behind[s.Name] = behind[s.Name] || replaced[dep] || behind[dep]
		}
		r := out[s.Pool]
		switch {
		case replaced[s.Name]:
			r.order = append(r.order, s.Name)
		case fresh[s.Name] && !behind[s.Name]:
			r.first = append(r.first, s.Name)
		}
	}
	return out, nil
}

// compared is a handle that is on no list, to compare a declaration with what is.
func (e *Engine) compared(spec *Spec) (*guest, error) {
	rec, err := e.readRecord(spec.Name)
	if err != nil {
		return nil, err
	}
	run, err := e.readRun(spec.Name)
	return &guest{e: e, spec: spec, rec: rec, run: run}, err
}

// inOrder lists declarations so that each stands behind those it comes after,
// else as they were declared.
func inOrder(decls []Declared) []*Spec {
	byName := map[string]*Spec{}
	for _, d := range decls {
		byName[d.Spec.Name] = d.Spec
	}
	var out []*Spec
	seen := map[string]bool{}
	var visit func(s *Spec)
	visit = func(s *Spec) {
		if s == nil || seen[s.Name] {
			return
		}
		seen[s.Name] = true
		for _, dep := range sortedKeys(s.After) {
			visit(byName[dep])
		}
		out = append(out, s)
	}
	for _, d := range decls {
		visit(d.Spec)
	}
	return out
}

// turn waits until a guest of a pool may be replaced. It gives the name of the
// guest whose failure ended the roll, or "".
func (u *upRun) turn(ctx context.Context, s *Spec) (failed string, err error) {
	r := u.rolls[s.Pool]
	if r == nil {
		return "", nil
	}
	at := slices.Index(r.order, s.Name)
	if at < 0 {
		return "", nil
	}
	before := r.first
	if at >= r.max {
		before = append(slices.Clone(before), r.order[:at-r.max+1]...)
	}
	for _, n := range before {
		select {
		case <-u.marks[n].ready:
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed, nil
}

// ended notes what became of a guest of a pool.
func (u *upRun) ended(s *Spec, err error) {
	if r := u.rolls[s.Pool]; r != nil && err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.failed == "" {
			r.failed = s.Name
		}
	}
}

// notReplaced is what becomes of a guest of a pool when another one failed.
func notReplaced(name, failed string) Outcome {
	return Outcome{Guest: name, Change: ChangeRestart,
		Reasons: []string{"not replaced, as " + failed + " of the same pool failed: it runs as it was"}}
}
