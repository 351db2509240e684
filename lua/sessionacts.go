package lua

import (
	"context"
	"errors"
	"fmt"

	glua "github.com/yuin/gopher-lua"

	"vsl/engine"
	"vsl/lua/api"
	"vsl/lua/bind"
)

// each calls f for each guest that up or down was given, with the lock released.
func (s *Session) each(l *glua.LState, what string, f func(ctx context.Context, name string) error) int {
	if l.GetTop() == 0 {
		s.api.S.Raisef(l, fmt.Sprintf("write %s \"name\"", what), "%s must be given a guest", what)
	}
	s.api.Acts = true
	for i := 1; i <= l.GetTop(); i++ {
		name, ok := api.NameOf(l.Get(i))
		if !ok {
			s.api.S.Raisef(l, fmt.Sprintf("write %s \"name\"", what), "%s must be given a guest, not %s", what, bind.Describe(l.Get(i)))
		}
		for _, one := range s.api.Members(name) {
			if err := s.api.S.Block(l, func(ctx context.Context) error { return f(ctx, one) }); err != nil {
				s.api.S.Raise(l, err)
			}
		}
	}
	return 0
}

// Members are the guests that a name stands for: those of a pool, or the one.
func (s *Session) Members(name string) []string { return s.api.Members(name) }

func (s *Session) find(name string) (engine.Declared, error) {
	names := []string{}
	for _, d := range s.Guests() {
		if d.Spec.Name == name {
			return d, nil
		}
		names = append(names, d.Spec.Name)
	}
	return engine.Declared{}, &bind.Error{Msg: fmt.Sprintf("guest %q is not declared in this session", name), Hint: bind.DidYouMean(name, names)}
}

func (s *Session) up(l *glua.LState) int { return s.each(l, "up", s.Up) }

// Up brings a declared guest up with its flows.
func (s *Session) Up(ctx context.Context, name string) error {
	d, err := s.find(name)
	if err != nil {
		return err
	}
	if s.o.Engine == nil {
		return errors.New("no engine to act with")
	}
	before := engine.Status{}
	if g, err := s.o.Engine.Lookup(name); err == nil {
		if before, err = g.Status(ctx); err != nil {
			return err
		}
	}
	g, err := s.o.Engine.New(d.Spec)
	if err != nil {
		return err
	}
	s.api.Use(g)
	if err := s.bringUp(ctx, d, g); err != nil {
		return err
	}
	if s.o.Remove == nil || before.PID != 0 {
		return nil
	}
	undo := api.Undo{What: "up " + name, Do: func(ctx context.Context) error { return s.Down(ctx, name) }}
	if before.XID == 0 {
		undo.Do = func(ctx context.Context) error { return s.o.Remove(ctx, name) }
	}
	s.api.Undone(undo)
	return nil
}

func (s *Session) bringUp(ctx context.Context, d engine.Declared, g engine.Guest) error {
	if s.o.Up != nil {
		return s.o.Up(ctx, d)
	}
	if err := d.Flows.Boot(ctx, g); err != nil {
		return err
	}
	if d.Flows.Ready != nil {
		return d.Flows.Ready(ctx, g)
	}
	p := engine.Probe{}
	if d.Spec.Ready != nil {
		p = *d.Spec.Ready
	}
	return api.DefaultReady(p)(ctx, g)
}

func (s *Session) down(l *glua.LState) int { return s.each(l, "down", s.Down) }

// Down brings a guest down with its flows.
func (s *Session) Down(ctx context.Context, name string) error {
	if s.o.Engine == nil {
		return errors.New("no engine to act with")
	}
	g, err := s.o.Engine.Lookup(name)
	if err != nil {
		return err
	}
	if s.o.Down != nil {
		return s.o.Down(ctx, name)
	}
	flow := s.flows.Shutdown
	if d, err := s.find(name); err == nil {
		flow = d.Flows.Shutdown
	}
	return flow(ctx, g)
}

// Undo takes back the latest act that was done at the prompt and says which.
func (s *Session) Undo(ctx context.Context) (what string, err error) {
	u, ok := s.api.LastUndo()
	if !ok {
		return "", errors.New("nothing was done here that could be taken back")
	}
	if err := u.Do(ctx); err != nil {
		return "", fmt.Errorf("undo %s: %w", u.What, err)
	}
	return u.What, nil
}
