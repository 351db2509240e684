package engine

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Change is what a command does to a guest; its text is the mark in a plan.
type Change string

const (
	ChangeNone    Change = "="   // as declared already
	ChangeCreate  Change = "+"   // new
	ChangeStart   Change = ">"   // exists, stopped
	ChangeLive    Change = "~"   // running, changed while it runs
	ChangeRestart Change = "!"   // running, and something needs a restart
	ChangeReplace Change = "-/+" // of a pool, or failed and kept: brought down, and up as declared now
	ChangeDown    Change = "-"   // brought down
	ChangeRemove  Change = "-/-" // brought down and removed
	ChangeBroken  Change = "x"   // cannot be read: left as it is
)

// Plan is what up would do. Computing it changes nothing.
type Plan struct {
	Templates []TemplatePlan `json:"templates"` // those that take building
	Guests    []GuestPlan    `json:"guests"`
	Bad       []error        `json:"-"` // of the guests that cannot be read
}

// TemplatePlan is one template that must be built first.
type TemplatePlan struct {
	Name  string `json:"name"`
	From  string `json:"from"`
	Built bool   `json:"built"`
}

// GuestPlan is what up would do to one guest.
type GuestPlan struct {
	Name    string   `json:"name"`
	Pool    string   `json:"pool,omitempty"`
	Change  Change   `json:"change"`
	Reasons []string `json:"reasons,omitempty"`
	After   []string `json:"after,omitempty"`
	Steps   []Step   `json:"steps"`
}

// Changes tells whether the plan does anything.
func (p *Plan) Changes() bool {
	for _, g := range p.Guests {
		if g.Change != ChangeNone {
			return true
		}
	}
	return false
}

// PlanOptions say what Plan has to know beside the guests.
type PlanOptions struct {
	Recipe string  // Origin.Path of an Up
	Pools  []*Pool // of the recipe
}

// Plan computes what Up would do against the state of this host.
func (e *Engine) Plan(decls []Declared, o PlanOptions) (*Plan, error) {
	specs := make([]*Spec, len(decls))
	for i, d := range decls {
		specs[i] = d.Spec
	}
	if err := Validate(specs); err != nil {
		return nil, err
	}
	gone, err := e.surplus(o.Recipe, o.Pools)
	if err != nil {
		return nil, err
	}
	p := &Plan{Templates: []TemplatePlan{}, Guests: []GuestPlan{}}
	p.Guests = append(p.Guests, planSurplus(gone, o.Pools)...)
	seen := map[string]bool{} // a name stands for one template in a recipe
	for _, d := range decls {
		if t := d.Spec.Template; !seen[t.Name] && t.takesBuilding() {
			seen[t.Name] = true
			_, err := e.Template(t)
			if err != nil && !errors.Is(err, ErrUnknownTmpl) {
				return nil, err
			}
			p.Templates = append(p.Templates, TemplatePlan{Name: t.Name, From: t.From.String(), Built: err == nil})
		}
		g, err := e.handle(d.Spec)
		if err == nil {
			g.run, err = e.readRun(d.Spec.Name)
		}
		if bad := asDamage(err); bad != nil {
			p.Guests = append(p.Guests, GuestPlan{Name: d.Spec.Name, Pool: d.Spec.Pool, Change: ChangeBroken,
				Reasons: []string{bad.Error()}, After: sortedKeys(d.Spec.After), Steps: []Step{}})
			p.Bad = append(p.Bad, bad)
			continue
		}
		if err != nil {
			return nil, err
		}
		gp := GuestPlan{Name: d.Spec.Name, Pool: d.Spec.Pool, After: sortedKeys(d.Spec.After), Steps: []Step{}}
		gp.Change, gp.Reasons = g.compareIn(o.Pools)
		gp.Steps = append(gp.Steps, g.planned(d, gp.Change)...)
		if gp.Change != ChangeReplace {
			gp.Reasons = append(gp.Reasons, g.provisionNote(d)...)
		}
		p.Guests = append(p.Guests, gp)
	}
	return p, nil
}

// planned lists the steps of one guest.
func (g *guest) planned(d Declared, c Change) []Step {
	s, name := d.Spec, d.Spec.Name
	switch c {
	case ChangeLive, ChangeRestart:
		lifted := s.Limits.Lifting(g.rec.Spec.Limits)
		if equalJSON(s.Limits, g.rec.Spec.Limits) {
			return nil
		}
		return limitSteps(name, lifted)
	case ChangeReplace:
		return g.planReplace()
	case ChangeCreate, ChangeStart:
		return planGuest(s, g.rec != nil && g.rec.Provisioned)
	}
	return nil
}

// FirstSteps are the steps that bring a guest up which does not exist yet.
func FirstSteps(s *Spec) []Step { return planGuest(s, false) }

// planGuest is the whole way of one guest by the default flows, with the
// recipe's own flows named where it has them.
func planGuest(s *Spec, provisioned bool) []Step {
	name := s.Name
	acquire := contextSteps(name)
	acquire = append(acquire, cloneSteps(name, CloneArgs{Template: s.Template, Kind: s.Clone})...)
	if s.Limits.String() != "none" {
		acquire = append(acquire, limitSteps(name, s.Limits)...)
	}
	acquire = append(acquire, netSteps(name, s.Net)...)
	var steps []Step
	if provision := s.around("provision", s.flowStep("provision")); len(provision) > 0 && !provisioned {
		steps = append(steps, acquire...)
		steps = append(steps, secretSteps(s)...)
		steps = append(steps, bootSteps(name, BootArgs{Idle: true})...)
		steps = append(steps, provision...)
	}
	boot := s.flowStep("boot")
	if len(boot) == 0 {
		if len(steps) == 0 {
			boot = acquire
		}
		boot = append(boot, secretSteps(s)...)
		boot = append(boot, bootSteps(name, BootArgs{Init: s.Init, Command: s.Command})...)
	}
	steps = append(steps, s.around("boot", boot)...)
	ready := s.flowStep("ready")
	if len(ready) == 0 {
		step := Step{Op: OpReady, Guest: name, Target: "by the default of its init"}
		if s.Ready != nil {
			step.Target = "by " + s.Ready.String()
		}
		ready = []Step{step}
	}
	steps = append(steps, s.around("ready", ready)...)
	return append(steps, s.around("run", s.flowStep("run"))...)
}

// flowStep is the recipe's own function for a phase or hook; none where it has none.
func (s *Spec) flowStep(key string) []Step {
	pos, ok := s.Custom[key]
	if !ok {
		return nil
	}
	return []Step{{Op: OpFlow, Guest: s.Name, Target: key + " (" + pos.String() + ")"}}
}

// around puts a phase's hooks around its steps.
func (s *Spec) around(phase string, steps []Step) []Step {
	return slices.Concat(s.flowStep("hooks.before_"+phase), steps, s.flowStep("hooks.after_"+phase))
}

// compare says what up has to do with a guest, and why.
func (g *guest) compare() (Change, []string) {
	if g.rec == nil {
		return ChangeCreate, []string{"new"}
	}
	if f := g.rec.Failed; f != nil {
		why := []string{"its " + f.Phase + " failed and was kept"}
		if f.New || g.running() {
			return ChangeReplace, why
		}
		return ChangeStart, why
	}
	if !g.running() {
		if !g.rec.Provisioned {
			return ChangeStart, []string{"not complete"}
		}
		why := []string{"stopped"}
		if !equalJSON(g.rec.Spec.Limits, g.spec.Limits) {
			why = append(why, "limit changed") // by vsl limit, or in the recipe
		}
		return ChangeStart, why
	}
	live, restart := specDiff(g.rec.Spec, g.spec)
	restart = append(restart, g.secretDiff()...)
	switch {
	case len(restart) > 0:
		for _, l := range live {
			restart = append(restart, l+atOnce)
		}
		return ChangeRestart, restart
	case len(live) > 0:
		return ChangeLive, live
	}
	return ChangeNone, nil
}

// atOnce is what a plan says of a change that does not wait for the restart of
// others; applied makes it what was done.
const atOnce = ": takes effect at once"

func applied(reasons []string) []string {
	out := slices.Clone(reasons)
	for i, r := range out {
		if what, ok := strings.CutSuffix(r, atOnce); ok {
			out[i] = what + " while it runs"
		}
	}
	return out
}

// provisionNote says that a guest was provisioned otherwise than is declared now.
// That is no change: nothing but a new guest is ever provisioned again.
func (g *guest) provisionNote(d Declared) []string {
	if g.rec == nil || !g.rec.Provisioned || g.rec.Provisions == "" || d.Provisions == "" || g.rec.Provisions == d.Provisions {
		return nil
	}
	return []string{"provision changed: only a new guest runs it (vsl rm, then vsl up)"}
}

// notes are those of a guest as it is before an up.
func (e *Engine) notes(d Declared) []string {
	g, err := e.compared(d.Spec)
	if err != nil {
		return nil // which the up will meet as well
	}
	return g.provisionNote(d)
}

// liveFields may change while a guest runs; a change of any other needs a
// restart, and of the template or the kind of clone a new guest.
var liveFields = map[string]bool{"Limits": true, "After": true, "Stop": true, "Ready": true, "Custom": true, "Pool": true, "Timeouts": true}

var newFields = map[string]bool{"Template": true, "Clone": true}

// specDiff names what differs between a running guest's spec and the new one.
func specDiff(old, now *Spec) (live, restart []string) {
	a, b := reflect.ValueOf(*old), reflect.ValueOf(*now)
	for i := range a.NumField() {
		f := a.Type().Field(i)
		if f.Name == "Pos" || f.Name == "KeyPos" || f.Name == "Custom" || f.Name == "Secrets" || f.Name == "Ends" {
			continue
		}
		x, y := a.Field(i).Interface(), b.Field(i).Interface()
		if f.Name == "Template" && sameTemplate(old.Template, now.Template) || equalJSON(x, y) {
			continue
		}
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Name == "Net" && old.Net.Mode == now.Net.Mode { // ip and net are keys of their own in a recipe
			restart = append(restart, ipChanged(now.Net)+": takes effect at vsl restart")
			continue
		}
		switch {
		case liveFields[f.Name]:
			live = append(live, key+" changed")
		case newFields[f.Name]:
			restart = append(restart, key+" changed: takes effect after vsl rm and vsl up")
		default:
			restart = append(restart, key+" changed: takes effect at vsl restart")
		}
	}
	return append(live, endsDiff(old, now)...), restart
}

// endsDiff names the phases that end a guest otherwise than the recipe that is kept
// beside it says. Of a guest from before vsl noted what they do, only their being
// there tells.
func endsDiff(old, now *Spec) (out []string) {
	for _, phase := range []string{"shutdown", "destroy"} {
		_, had := old.Custom[phase]
		_, has := now.Custom[phase]
		changed := had != has
		if old.Ends != nil && now.Ends != nil {
			changed = old.Ends[phase] != now.Ends[phase]
		}
		switch {
		case !changed:
		case !had && has:
			out = append(out, phase+" added")
		case had && !has:
			out = append(out, phase+" removed")
		default:
			out = append(out, phase+" changed")
		}
	}
	return out
}

func ipChanged(now Net) string {
	if len(now.Addrs) == 0 {
		return "ip taken away"
	}
	return "ip changed to " + strings.Join(ips(now), " ")
}

func sameTemplate(a, b *Template) bool {
	return a != nil && b != nil && a.Name == b.Name && a.Build == b.Build && equalJSON(a.From, b.From)
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// String describes a template's base in a line.
func (s Source) String() string {
	switch s.Kind {
	case "debian":
		return fmt.Sprintf("debian %s with %s", s.Suite, count(len(s.Packages), "package"))
	case "tar":
		return "tar " + s.Path
	case "template":
		return "template " + s.Template
	}
	return s.Kind
}
