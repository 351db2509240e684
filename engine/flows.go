package engine

import "context"

// Flow brings a guest through one phase. It acts through the guest's
// primitives; an error makes the run undo what the guest acquired in it.
type Flow func(ctx context.Context, g Guest) error

// Flows are a guest's flows. Provision and Ready may be nil: nothing to
// provision, and the probe of the spec. Boot and Shutdown are always set.
type Flows struct {
	Provision Flow
	Boot      Flow
	Ready     Flow
	Shutdown  Flow
}

// Declared is a guest as a recipe gives it: its data and its flows.
type Declared struct {
	Spec  *Spec
	Flows Flows
	// BuildTemplate is the build flow of the guest's template, nil where it has none.
	BuildTemplate Flow
}
