package debug

import (
	"slices"

	lua "github.com/yuin/gopher-lua"

	"vsl/lua/runtime"
)

// running is a flow between its beginning and its end.
type running struct {
	flow Flow
	l    *lua.LState // its first thread
}

// AnyGuest is what Pause takes for whichever flow is the next to do something.
const AnyGuest = "*"

// begins notes a flow that runs on l.
func (c *Controller) begins(l *lua.LState) {
	f := flowOf(l)
	c.mu.Lock()
	c.flows = append(c.flows, running{f, l})
	c.mu.Unlock()
	if c.Running != nil {
		c.Running(f, true)
	}
}

// Ended is called when a flow that Phase was told of has ended.
func (c *Controller) Ended(guest, phase string) {
	f := Flow{guest, phase}
	c.mu.Lock()
	i := slices.IndexFunc(c.flows, func(r running) bool { return r.flow == f })
	if i >= 0 {
		c.flows = slices.Delete(c.flows, i, i+1)
	}
	c.mu.Unlock()
	if i >= 0 && c.Running != nil {
		c.Running(f, false)
	}
}

// Flows are those that run.
func (c *Controller) Flows() []Flow {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Flow
	for _, r := range c.flows {
		out = append(out, r.flow)
	}
	return out
}

// Pause stops a guest's flow at its next statement or primitive; "" is the recipe
// while it is read.
func (c *Controller) Pause(guest string, why Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pauses[guest] = why
}

// paused says that somebody asked for a stop there, and forgets it.
func (c *Controller) paused(guest string) (why Reason, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range []string{guest, AnyGuest} {
		if why, ok = c.pauses[key]; ok {
			delete(c.pauses, key)
			return why, true
		}
	}
	return "", false
}

// LevelsOf are the functions of a guest's flow that waits while another is
// stopped. Those of its own coroutines and branches are not among them.
func (s *Stop) LevelsOf(guest string) []*runtime.Level {
	if guest == s.Flow.Guest {
		return s.Levels
	}
	s.c.mu.Lock()
	var l *lua.LState
	for _, r := range s.c.flows {
		if r.flow.Guest == guest {
			l = r.l
		}
	}
	s.c.mu.Unlock()
	if l == nil || l.G != s.l.G { // what runs in another state goes on
		return nil
	}
	return s.state().Levels(l)
}
