package lua

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"vsl/engine"
	"vsl/lua/api"
	"vsl/lua/bind"
	"vsl/lua/runtime"
)

// ErrIncomplete says that a chunk needs more lines.
var ErrIncomplete = runtime.ErrIncomplete

// Session is a Lua state in which declaring and acting are both allowed at any
// time: what a REPL types into.
type Session struct {
	api    *api.API
	o      Options
	flows  engine.Flows
	chunks int
}

// NewSession begins a session.
func NewSession(ctx context.Context, o Options) (*Session, error) {
	rs := newState(o, true)
	s := &Session{api: api.Open(rs, apiOptions(o)), o: o}
	flows, err := defaults(ctx, s.api)
	if err != nil {
		rs.Close()
		return nil, err
	}
	s.flows = flows
	rs.SetGlobal("up", rs.Func("up", s.up))
	rs.SetGlobal("down", rs.Func("down", s.down))
	return s, nil
}

// Close ends the session; guests it brought up go on running.
func (s *Session) Close() { s.api.S.Close() }

// Eval runs a chunk and gives its values, printed. A chunk that is an
// expression gives its value. ErrIncomplete asks for more lines.
func (s *Session) Eval(ctx context.Context, text string) (printed []string, err error) {
	text = strings.TrimPrefix(text, "=")
	s.chunks++
	name := fmt.Sprintf("repl[%d]", s.chunks)
	err = s.api.S.Do(ctx, func(l *glua.LState) error {
		fn, err := s.compile(name, text)
		if err != nil {
			return err
		}
		values, err := s.api.S.Call(l, fn)
		if err != nil {
			return err
		}
		show := l.NewFunction(func(l *glua.LState) int { // a __tostring of the user's own may fail
			for i := 1; i <= l.GetTop(); i++ {
				printed = append(printed, runtime.Pretty(l, l.Get(i)))
			}
			return 0
		})
		_, err = s.api.S.Call(l, show, values...)
		return err
	})
	if err == nil {
		err = s.api.SaveData(ctx)
	}
	return printed, err
}

// Complete says whether a chunk is whole, be it right or wrong.
func (s *Session) Complete(text string) bool {
	whole := true
	// Do gives back only what the function does, and that is nil here.
	_ = s.api.S.Do(context.Background(), func(*glua.LState) error {
		_, err := s.compile("repl", strings.TrimPrefix(text, "="))
		whole = !errors.Is(err, ErrIncomplete)
		return nil
	})
	return whole
}

// compile takes a chunk as an expression first.
func (s *Session) compile(name, text string) (*glua.LFunction, error) {
	fn, _, err := s.api.S.Compile(name, []byte("return "+text+"\n"))
	if err == nil {
		return fn, nil
	}
	fn, _, err2 := s.api.S.Compile(name, []byte(text+"\n"))
	if err2 != nil && errors.Is(err, ErrIncomplete) {
		return nil, err
	}
	return fn, err2
}

// Guests gives the declared guests.
func (s *Session) Guests() []engine.Declared {
	var out []engine.Declared
	for _, d := range s.api.Guests {
		out = append(out, Declare(s.api, d, s.flows))
	}
	return out
}

// Running lists the guests that this session acted on and that run now.
func (s *Session) Running(ctx context.Context) []string {
	var names []string
	for _, g := range s.api.Acted() {
		if st, err := g.Status(ctx); err == nil && (st.State == engine.StateRunning || st.State == engine.StateFrozen) {
			names = append(names, g.Name())
		}
	}
	sort.Strings(names)
	return names
}

// each calls f for each guest that up or down was given, with the lock released.
func (s *Session) each(l *glua.LState, what string, f func(ctx context.Context, name string) error) int {
	if l.GetTop() == 0 {
		s.api.S.Raisef(l, fmt.Sprintf("write %s \"name\"", what), "%s must be given a guest", what)
	}
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

func (s *Session) up(l *glua.LState) int {
	return s.each(l, "up", func(ctx context.Context, name string) error {
		d, err := s.find(name)
		if err != nil {
			return err
		}
		if s.o.Engine == nil {
			return errors.New("no engine to act with")
		}
		g, err := s.o.Engine.New(d.Spec)
		if err != nil {
			return err
		}
		s.api.Use(g)
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
	})
}

func (s *Session) down(l *glua.LState) int {
	return s.each(l, "down", func(ctx context.Context, name string) error {
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
	})
}
