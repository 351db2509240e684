package dap

import (
	"encoding/json"
	"fmt"

	"github.com/google/go-dap"

	"vsl/lua/debug"
)

// Launch is what the editor's configuration may say. Editors put keys of their
// own beside these.
type Launch struct {
	Program     string          `json:"program"`     // a recipe's path, or the name of an embedded one
	Verb        string          `json:"verb"`        // "" is up
	Params      json.RawMessage `json:"params"`      // an object, as a file of parameters
	ParamsFile  string          `json:"paramsFile"`  // such a file
	Names       []string        `json:"names"`       // of guests and pools; none is all
	StopOnEntry bool            `json:"stopOnEntry"` // at the recipe's first line
	NoDebug     bool            `json:"noDebug"`
	Keep        bool            `json:"keep"` // what a failed guest made
	AllowHost   bool            `json:"allowHost"`
	Parallel    int             `json:"parallel"` // guests at once; 0 is 1 where it is debugged
	Cwd         string          `json:"cwd"`      // where relative paths begin
	Root        string          `json:"root"`     // the folder that holds all state
}

func (s *Server) initialize(r *dap.InitializeRequest, data []byte) {
	// What is not said is 1, which the type cannot tell from 0.
	var said struct {
		Arguments struct {
			LinesStartAt1 *bool `json:"linesStartAt1"`
		} `json:"arguments"`
	}
	s.mu.Lock()
	if json.Unmarshal(data, &said) == nil && said.Arguments.LinesStartAt1 != nil && !*said.Arguments.LinesStartAt1 {
		s.base = 0
	}
	s.invalidate = r.Arguments.SupportsInvalidatedEvent
	s.mu.Unlock()
	s.answer(r, &dap.InitializeResponse{Body: dap.Capabilities{
		SupportsConfigurationDoneRequest:  true,
		SupportsFunctionBreakpoints:       true,
		SupportsConditionalBreakpoints:    true,
		SupportsHitConditionalBreakpoints: true,
		SupportsEvaluateForHovers:         true,
		SupportsSetVariable:               true,
		SupportsExceptionInfoRequest:      true,
		SupportsDelayedStackTraceLoading:  true,
		SupportsLogPoints:                 true,
		SupportsTerminateRequest:          true,
		SupportsClipboardContext:          true,
		ExceptionBreakpointFilters: []dap.ExceptionBreakpointsFilter{{Filter: uncaught, Label: "Errors that no flow catches",
			Description: "Stops where the error was raised, before anything is undone.", Default: true}},
	}})
	s.event("initialized", &dap.InitializedEvent{})
}

func (s *Server) launched(r *dap.LaunchRequest) {
	l := &Launch{}
	if err := json.Unmarshal(r.Arguments, l); err != nil {
		s.fail(r, fmt.Errorf("launch: %w", err))
		return
	}
	s.mu.Lock()
	again := s.launch != nil
	s.mu.Unlock()
	if again {
		s.fail(r, fmt.Errorf("launch: %s was launched already: a session is for one", l.Program))
		return
	}
	if l.Program == "" {
		s.fail(r, fmt.Errorf(`launch: no "program": give a recipe's path or the name of an embedded one`))
		return
	}
	if err := s.Prepare(l); err != nil {
		s.fail(r, err)
		return
	}
	if l.StopOnEntry {
		s.c.Pause("", debug.Entry)
	}
	s.answer(r, &dap.LaunchResponse{})
	s.begin(func() { s.launch = l })
}

// begin runs what is launched once that is known and the breakpoints are set.
func (s *Server) begin(also func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	also()
	select {
	case <-s.quit:
		return
	default:
	}
	if s.running || s.launch == nil || !s.configured {
		return
	}
	s.running = true
	l, c := s.launch, s.c
	if l.NoDebug {
		c = nil
	}
	go func() {
		code := s.Run(s.ctx, l, c)
		e := &dap.ExitedEvent{}
		e.Body.ExitCode = code
		s.event("exited", e)
		s.event("terminated", &dap.TerminatedEvent{})
		close(s.over)
	}()
}

// terminate ends what was launched; the editor disconnects when it is told so.
func (s *Server) terminate() {
	s.mu.Lock()
	running := s.running
	s.mu.Unlock()
	s.interrupt()
	if !running {
		s.event("terminated", &dap.TerminatedEvent{})
	}
}
