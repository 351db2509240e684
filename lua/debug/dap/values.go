package dap

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/google/go-dap"
	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
	"vsl/lua/bind"
	"vsl/lua/debug"
	"vsl/lua/runtime"
)

// ref is what a number of variables stands for: those of a level, or the inside
// of a value.
type ref struct {
	level *runtime.Level
	scope string // locals or upvalues; "" is value
	value lua.LValue
	path  string // how the value is written, or ""
}

const (
	scopeLocals   = "Locals"
	scopeUpvalues = "Upvalues"
	scopeGlobals  = "Globals"
)

// Bounds on what is shown at once.
const (
	maxShown = 2000 // entries, where the editor asks for no part of them
	maxText  = 160  // characters of a value in a list
)

// look answers what is asked of a stop.
func (s *Server) look(r dap.RequestMessage) {
	switch r := r.(type) {
	case *dap.ThreadsRequest:
		s.listThreads(r)
	case *dap.StackTraceRequest:
		s.stackTrace(r)
	case *dap.SourceRequest:
		s.giveSource(r)
	case *dap.PauseRequest:
		s.pause(r)
	case *dap.ContinueRequest:
		m := &dap.ContinueResponse{}
		m.Body.AllThreadsContinued = true
		s.resume(r, r.Arguments.ThreadId, debug.Continue, m)
	case *dap.NextRequest:
		s.resume(r, r.Arguments.ThreadId, debug.StepOver, &dap.NextResponse{})
	case *dap.StepInRequest:
		s.resume(r, r.Arguments.ThreadId, debug.StepIn, &dap.StepInResponse{})
	case *dap.StepOutRequest:
		s.resume(r, r.Arguments.ThreadId, debug.StepOut, &dap.StepOutResponse{})
	case *dap.ScopesRequest:
		s.ask(r, func(h *halt) (dap.ResponseMessage, error) { return s.scopes(h, r) })
	case *dap.VariablesRequest:
		s.ask(r, func(h *halt) (dap.ResponseMessage, error) { return s.variables(h, r) })
	case *dap.SetVariableRequest:
		s.ask(r, func(h *halt) (dap.ResponseMessage, error) { return s.setVariable(h, r) })
	case *dap.EvaluateRequest:
		s.ask(r, func(h *halt) (dap.ResponseMessage, error) { return s.evaluate(h, r) })
	case *dap.ExceptionInfoRequest:
		s.ask(r, func(h *halt) (dap.ResponseMessage, error) { return exceptionInfo(h) })
	default:
		s.fail(r, fmt.Errorf("vsl dap does not know %s", r.GetRequest().Command))
	}
}

// ask is at for what only looks.
func (s *Server) ask(r dap.RequestMessage, f func(h *halt) (dap.ResponseMessage, error)) {
	s.at(r, func(h *halt) (dap.ResponseMessage, debug.Command, error) {
		m, err := f(h)
		return m, stay, err
	})
}

func (h *halt) level(frame int) (*runtime.Level, error) {
	if frame == 0 {
		return h.stop.Levels[0], nil
	}
	if v := h.frames[frame]; v != nil {
		return v, nil
	}
	return nil, fmt.Errorf("there is no frame %d: its flow has gone on", frame)
}

func (s *Server) scopes(h *halt, r *dap.ScopesRequest) (dap.ResponseMessage, error) {
	v, err := h.level(r.Arguments.FrameId)
	if err != nil {
		return nil, err
	}
	out := &dap.ScopesResponse{}
	locals, upvalues := 0, 0
	for _, x := range h.stop.Variables(v) {
		if x.Up {
			upvalues++
		} else {
			locals++
		}
	}
	out.Body.Scopes = []dap.Scope{{Name: scopeLocals, PresentationHint: "locals", NamedVariables: locals, VariablesReference: s.refer(h, ref{level: v, scope: scopeLocals})}}
	if upvalues > 0 {
		out.Body.Scopes = append(out.Body.Scopes, dap.Scope{Name: scopeUpvalues, NamedVariables: upvalues, VariablesReference: s.refer(h, ref{level: v, scope: scopeUpvalues})})
	}
	globals := h.stop.Globals()
	_, n := h.stop.Size(globals)
	out.Body.Scopes = append(out.Body.Scopes, dap.Scope{Name: scopeGlobals, Expensive: true, NamedVariables: n, VariablesReference: s.refer(h, ref{level: v, value: globals})})
	return out, nil
}

func (s *Server) refer(h *halt, r ref) int {
	n := s.number()
	h.refs[n] = r
	return n
}

func (s *Server) variables(h *halt, r *dap.VariablesRequest) (dap.ResponseMessage, error) {
	a := r.Arguments
	at, ok := h.refs[a.VariablesReference]
	if !ok {
		return nil, fmt.Errorf("there are no variables %d: their flow has gone on", a.VariablesReference)
	}
	out := &dap.VariablesResponse{}
	out.Body.Variables = []dap.Variable{}
	add := func(name, path string, v lua.LValue, err error) {
		out.Body.Variables = append(out.Body.Variables, s.variable(h, at.level, name, path, v, err))
	}
	if at.scope != "" {
		for _, x := range h.stop.Variables(at.level) {
			if x.Up == (at.scope == scopeUpvalues) {
				add(x.Name, x.Name, x.Value, nil)
			}
		}
		return out, nil
	}
	count := a.Count
	if count <= 0 || count > maxShown {
		count = maxShown
	}
	if a.Filter != "named" {
		for _, e := range h.stop.Listed(at.value, max(a.Start, 0), count) {
			add(e.Name(), join(at, e), e.Value, e.Err)
		}
	}
	if a.Filter != "indexed" {
		named := h.stop.Named(at.value)
		if a.Filter == "named" {
			named = named[min(max(a.Start, 0), len(named)):]
		}
		for _, e := range named[:min(count, len(named))] {
			add(e.Name(), join(at, e), e.Value, e.Err)
		}
	}
	return out, nil
}

var identifier = bind.LazyRE(`^[A-Za-z_][A-Za-z0-9_]*$`)

// join writes an entry of a value, or gives "" where it cannot be written.
func join(at ref, e debug.Item) string {
	name, isText := e.Key.(lua.LString)
	plain := isText && identifier().MatchString(string(name))
	switch {
	case at.path == "" && plain: // a global
		return string(name)
	case at.path == "":
		return ""
	case plain:
		return at.path + "." + string(name)
	case isText:
		return fmt.Sprintf("%s[%q]", at.path, string(name))
	case e.Key.Type() == lua.LTNumber || e.Key.Type() == lua.LTBool:
		return at.path + "[" + e.Key.String() + "]"
	}
	return ""
}

func (s *Server) variable(h *halt, level *runtime.Level, name, path string, v lua.LValue, err error) dap.Variable {
	if err != nil {
		return dap.Variable{Name: name, Value: "{error: " + err.Error() + "}"}
	}
	out := dap.Variable{Name: name, Value: oneLine(h.stop.Value(v)), Type: v.Type().String(), EvaluateName: path}
	out.VariablesReference, out.IndexedVariables, out.NamedVariables = s.unfold(h, level, path, v)
	return out
}

// unfold gives a number to what has an inside.
func (s *Server) unfold(h *halt, level *runtime.Level, path string, v lua.LValue) (number, listed, named int) {
	listed, named = h.stop.Size(v)
	if listed+named == 0 {
		return 0, 0, 0
	}
	return s.refer(h, ref{level: level, value: v, path: path}), listed, named
}

// oneLine cuts a value to what fits into a list. A part of a secret would not be
// known as one any more.
func oneLine(text string) string {
	text = engine.Redact(text)
	if strings.Contains(text, "\n") {
		text = strings.Join(strings.Fields(text), " ")
	}
	if utf8.RuneCountInString(text) > maxText {
		text = string([]rune(text)[:maxText]) + "…"
	}
	return text
}

func (s *Server) setVariable(h *halt, r *dap.SetVariableRequest) (dap.ResponseMessage, error) {
	a := r.Arguments
	at, ok := h.refs[a.VariablesReference]
	if !ok {
		return nil, fmt.Errorf("there are no variables %d: their flow has gone on", a.VariablesReference)
	}
	var v lua.LValue
	var err error
	if at.scope != "" {
		v, err = h.stop.Set(at.level, a.Name, a.Value)
	} else {
		v, err = h.stop.SetEntry(at.level, at.value, a.Name, a.Value)
	}
	if err != nil {
		return nil, err
	}
	out := &dap.SetVariableResponse{}
	out.Body.Value, out.Body.Type = oneLine(h.stop.Value(v)), v.Type().String()
	out.Body.VariablesReference, out.Body.IndexedVariables, out.Body.NamedVariables = s.unfold(h, at.level, "", v)
	return out, nil
}

// place is what may be hovered over: it calls nothing that the recipe has written.
var place = bind.LazyRE(`^\s*[A-Za-z_][A-Za-z0-9_]*(\s*\.\s*[A-Za-z_][A-Za-z0-9_]*|\s*\[\s*(\d+|"[^"\\]*"|'[^'\\]*')\s*\])*\s*$`)

func (s *Server) evaluate(h *halt, r *dap.EvaluateRequest) (dap.ResponseMessage, error) {
	a := r.Arguments
	v, err := h.level(a.FrameId)
	if err != nil {
		return nil, err
	}
	if a.Context == "hover" && !place().MatchString(a.Expression) {
		return nil, errors.New("only names and their fields are evaluated by hovering over them")
	}
	got, err := h.stop.Eval(v, a.Expression)
	if err != nil {
		return nil, err
	}
	out := &dap.EvaluateResponse{}
	var texts []string
	for _, x := range got {
		text := h.stop.Value(x)
		if a.Context == "hover" || a.Context == "watch" {
			text = oneLine(text)
		}
		texts = append(texts, text)
	}
	out.Body.Result = strings.Join(texts, "\t")
	if len(got) == 1 {
		path := ""
		if place().MatchString(a.Expression) {
			path = strings.TrimSpace(a.Expression)
		}
		out.Body.Type = got[0].Type().String()
		out.Body.VariablesReference, out.Body.IndexedVariables, out.Body.NamedVariables = s.unfold(h, v, path, got[0])
	}
	s.mu.Lock()
	changed := s.invalidate && a.Context == "repl"
	s.mu.Unlock()
	if changed { // it may have set something
		e := &dap.InvalidatedEvent{}
		e.Body.Areas = []dap.InvalidatedAreas{"variables"}
		s.event("invalidated", e)
	}
	return out, nil
}

func exceptionInfo(h *halt) (dap.ResponseMessage, error) {
	if h.stop.Reason != debug.Failure {
		return nil, errors.New("it stopped for no error")
	}
	out := &dap.ExceptionInfoResponse{}
	out.Body.ExceptionId, out.Body.Description, out.Body.BreakMode = "error", h.stop.Text, "unhandled"
	var trace strings.Builder
	for _, v := range h.stop.Levels {
		fmt.Fprintln(&trace, v.String())
	}
	out.Body.Details = &dap.ExceptionDetails{Message: h.stop.Text, StackTrace: trace.String()}
	return out, nil
}
