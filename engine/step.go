package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
)

// Op names what a step does.
type Op string

// The steps, grouped by the primitive they belong to.
const (
	OpCreate   Op = "create guest"   // context: xid, record
	OpCgroup   Op = "create cgroup"  // context
	OpClone    Op = "clone root"     // cow_clone
	OpLimit    Op = "set limits"     // limit
	OpAddress  Op = "add address"    // bind_ip
	OpConfine  Op = "confine to"     // bind_ip
	OpOwnNet   Op = "own network"    // bind_ip, mode none
	OpSecrets  Op = "take secrets"   // boot
	OpBoot     Op = "boot"           // boot
	OpTemplate Op = "build template" // before the guests
	OpFlow     Op = "run flow"       // a flow written in the recipe
	OpReady    Op = "wait until ready"
	OpDown     Op = "shut down" // of a pool: what is too many, or is replaced
	OpRemove   Op = "remove"    // of a pool: what is replaced by one with another root
	OpRecord   Op = "note"      // what is only written down: after, stop, ready
)

// Step is one act on one guest. It is plain data: computing it touches nothing,
// so a plan can be printed and compared; do carries it out.
type Step struct {
	Op     Op     `json:"op"`
	Guest  string `json:"guest,omitempty"`
	Target string `json:"target,omitempty"`

	Clone  *CloneArgs   `json:"-"`
	Limits *Limits      `json:"limits,omitempty"`
	Calls  []Call       `json:"calls,omitempty"` // of a boot's child; PlanCalls fills them in
	Addr   *Address     `json:"-"`
	Net    *Net         `json:"-"`
	Boot   *BootArgs    `json:"-"`
	Prefix netip.Prefix `json:"-"`
}

func (s Step) String() string {
	if s.Target == "" {
		return string(s.Op)
	}
	return string(s.Op) + " " + s.Target
}

// contextSteps, cloneSteps, limitSteps, netSteps and bootSteps are the
// primitives as data.
func contextSteps(name string) []Step {
	return []Step{{Op: OpCreate, Guest: name, Target: name}, {Op: OpCgroup, Guest: name, Target: name}}
}

func cloneSteps(name string, a CloneArgs) []Step {
	target := ""
	if a.Template != nil {
		target = "of template " + a.Template.Name
	}
	if a.Kind != "" {
		target += " by " + a.Kind
	}
	return []Step{{Op: OpClone, Guest: name, Target: target, Clone: &a}}
}

func limitSteps(name string, l Limits) []Step {
	return []Step{{Op: OpLimit, Guest: name, Target: l.String(), Limits: &l}}
}

func netSteps(name string, n Net) []Step {
	if n.mode() == "none" {
		return []Step{{Op: OpOwnNet, Guest: name, Target: "with loopback only", Net: &n}}
	}
	var steps []Step
	var addrs []string
	for _, a := range n.Addrs {
		target := a.IP
		if a.Dev != "" {
			target += " to " + a.Dev
		}
		steps = append(steps, Step{Op: OpAddress, Guest: name, Target: target, Addr: &a})
		addrs = append(addrs, a.IP)
	}
	return append(steps, Step{Op: OpConfine, Guest: name, Target: strings.Join(append(addrs, "its private loopback"), ", "), Net: &n})
}

func bootSteps(name string, a BootArgs) []Step {
	target := "its own init"
	switch {
	case a.Idle:
		target = "idle, for provisioning"
	case len(a.Command) > 0:
		target = strings.Join(a.Command, " ")
	case len(a.Init) > 0:
		target = strings.Join(a.Init, " ")
	}
	return []Step{{Op: OpBoot, Guest: name, Target: target, Boot: &a}}
}

// PrimitiveSteps are the steps of a primitive, by its arguments: nil for context,
// CloneArgs, Limits, Net, BootArgs or KillArgs.
func PrimitiveSteps(guest string, args any) []Step {
	switch a := args.(type) {
	case nil:
		return contextSteps(guest)
	case CloneArgs:
		return cloneSteps(guest, a)
	case Limits:
		return limitSteps(guest, a)
	case Net:
		return netSteps(guest, a)
	case BootArgs:
		return bootSteps(guest, a)
	case KillArgs:
		switch {
		case a.Signal != "":
			return []Step{{Op: "send signal", Guest: guest, Target: a.Signal}}
		case a.Graceful:
			return []Step{{Op: OpDown, Guest: guest, Target: "by its init"}}
		}
		return []Step{{Op: "kill", Guest: guest, Target: "every process"}}
	}
	return nil
}

// String lists the limits that are set, as in "memory=268435456 pids=64".
func (l Limits) String() string {
	data, err := json.Marshal(l)
	if err != nil {
		return err.Error()
	}
	var m map[string]json.RawMessage
	if json.Unmarshal(data, &m) != nil || len(m) == 0 {
		return "none"
	}
	var parts []string
	for _, k := range sortedKeys(m) {
		parts = append(parts, fmt.Sprintf("%s=%s", k, strings.Trim(string(m[k]), `"`)))
	}
	return strings.Join(parts, " ")
}

// do carries out steps in order, each with its undo journalled before it acts.
// Steps whose effect is there already are passed over.
func (g *guest) do(ctx context.Context, create bool, steps []Step) error {
	return g.within(ctx, create, func() error {
		if g.rec == nil && !create {
			return noContext(string(steps[0].Op), g.spec.Name)
		}
		for _, s := range steps {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("%s: %w", s, context.Cause(ctx))
			}
			g.e.log.Debug().Str("guest", g.spec.Name).Msg(s.String())
			if err := g.act(ctx, s); err != nil {
				return err
			}
		}
		return nil
	})
}

func (g *guest) act(ctx context.Context, s Step) error {
	switch s.Op {
	case OpCreate:
		return g.create()
	case OpCgroup:
		return g.createGroup(ctx)
	case OpClone:
		return g.clone(ctx, *s.Clone)
	case OpLimit:
		return g.setLimits(*s.Limits)
	case OpAddress:
		return g.placeAddress(*s.Addr)
	case OpConfine:
		return g.confine(*s.Net)
	case OpOwnNet:
		return g.ownNet(*s.Net)
	case OpSecrets:
		return g.takeSecrets()
	case OpBoot:
		return g.boot(ctx, *s.Boot)
	}
	return fmt.Errorf("%s is not a step that acts", s.Op)
}

// The six primitives, of which kill is in stop.go.

// Context allocates the xid and makes the cgroup: the security context that the
// other primitives fill. On a guest that has one it does nothing.
func (g *guest) Context(ctx context.Context) error {
	return g.do(ctx, true, contextSteps(g.spec.Name))
}

// CowClone gives the guest its root: a copy-on-write clone of a template. A
// guest that has its root keeps it.
func (g *guest) CowClone(ctx context.Context, a CloneArgs) error {
	return g.do(ctx, false, cloneSteps(g.spec.Name, a))
}

// Limit applies limits to the context, running or not yet booted, and keeps
// them until the recipe is applied. Fields that are not set stay as they are.
func (g *guest) Limit(ctx context.Context, l Limits) error {
	return g.do(ctx, false, limitSteps(g.spec.Name, l))
}

// BindIP gives the context its place on the network: its addresses on the
// host's stack and nothing else of it, or with mode none a stack of its own
// with only a loopback. It takes effect before the guest's first process; a
// running guest keeps what it was booted with.
func (g *guest) BindIP(ctx context.Context, n Net) error {
	return g.do(ctx, false, netSteps(g.spec.Name, n))
}

// Boot starts pid 1 of the context: the guest's own init, or a command below
// vsl's reaper.
func (g *guest) Boot(ctx context.Context, a BootArgs) error {
	return g.do(ctx, false, append(secretSteps(g.spec), bootSteps(g.spec.Name, a)...))
}
