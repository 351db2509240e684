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
	kept   []chunk // that ran, for Save
	read   *Recipe // by Load; nil is none
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
	s.nameGuests()
	return s, nil
}

// Load runs a recipe in the session, so that its guests are declared there. Its
// globals are the session's, its locals are its own.
func (s *Session) Load(ctx context.Context, path string, src []byte) error {
	defer s.nameGuests()
	ctx, cancel := context.WithTimeoutCause(ctx, readTime, fmt.Errorf("reading the recipe took longer than %s", readTime))
	defer cancel()
	if err := read(ctx, s.api, path, src); err != nil {
		return err
	}
	s.read = &Recipe{Path: path, Guests: s.Guests(), Params: s.api.Params, Files: s.api.S.Files()}
	return nil
}

// Loaded is the recipe that Load read, nil where there is none. Its guests are those
// that it declared: one that was declared anew since is none of them.
func (s *Session) Loaded() *Recipe { return s.read }

// nameGuests makes the global guests: the declared ones by name.
func (s *Session) nameGuests() {
	l := s.api.S.L()
	t, ok := s.api.S.GetGlobal("guests").(*glua.LTable)
	if !ok {
		t = l.NewTable()
		s.api.S.SetGlobal("guests", t)
	}
	t.ForEach(func(k, _ glua.LValue) { t.RawSet(k, glua.LNil) })
	for name, h := range s.api.Declared(l) {
		t.RawSetString(name, h)
	}
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
			s.api.S.SetGlobal("_err", s.api.S.ErrorValue(l, err))
			return err
		}
		s.api.Acts = false
		declared := len(s.api.Guests) + len(s.api.Templates) + len(s.api.Pools)
		values, err := s.api.S.Call(l, fn)
		s.nameGuests()
		if err != nil {
			s.api.S.SetGlobal("_err", s.api.S.ErrorValue(l, err))
			return err
		}
		if len(values) > 0 {
			s.api.S.SetGlobal("_", values[0])
		}
		declares := len(s.api.Guests)+len(s.api.Templates)+len(s.api.Pools) > declared
		s.kept = append(s.kept, chunk{text: text, acts: s.api.Acts, shows: len(values) > 0 && !declares})
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
		if st, err := g.Status(ctx); err == nil && st.PID != 0 {
			names = append(names, g.Name())
		}
	}
	sort.Strings(names)
	return names
}
