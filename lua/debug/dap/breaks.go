package dap

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/google/go-dap"

	"vsl/engine"
	"vsl/lua/debug"
)

// uncaught is the filter of errors that no flow catches.
const uncaught = "uncaught"

func (s *Server) setBreakpoints(r *dap.SetBreakpointsRequest) {
	file := r.Arguments.Source.Path
	if file == "" {
		file = r.Arguments.Source.Name
	}
	if file == "" {
		s.fail(r, errors.New("set breakpoints: of which file? the source has no path and no name"))
		return
	}
	file = filepath.Clean(file)
	s.breaksMu.Lock()
	defer s.breaksMu.Unlock()
	s.c.Clear(func(b *debug.Break) bool { return b.Line > 0 && b.File == file })
	out := &dap.SetBreakpointsResponse{}
	out.Body.Breakpoints = []dap.Breakpoint{}
	for _, asked := range r.Arguments.Breakpoints {
		b := &debug.Break{File: file, Line: asked.Line + 1 - s.lines(), If: asked.Condition, Log: asked.LogMessage}
		out.Body.Breakpoints = append(out.Body.Breakpoints, s.setBreak(b, asked.HitCondition))
	}
	s.answer(r, out)
}

// lines is what the client's first line is called.
func (s *Server) lines() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.base
}

// setBreak sets one and says what became of it.
func (s *Server) setBreak(b *debug.Break, hits string) dap.Breakpoint {
	var err error
	if b.Hits, err = debug.ParseHits(hits); err == nil && b.If != "" {
		err = debug.CheckCondition(b.If)
	}
	if err != nil {
		return dap.Breakpoint{Message: err.Error(), Line: b.Line - 1 + s.lines()}
	}
	s.c.Set(b)
	if b.Line == 0 {
		return dap.Breakpoint{Id: b.ID, Verified: true}
	}
	line, ok, read := s.c.Verified(b)
	return s.breakpoint(b, line, ok, read)
}

// breakpoint is one as the editor sees it. What is not read yet is no mistake, and
// some editors show a message as one.
func (s *Server) breakpoint(b *debug.Break, line int, ok, read bool) dap.Breakpoint {
	out := dap.Breakpoint{Id: b.ID, Verified: ok, Line: line - 1 + s.lines()}
	if read && !ok {
		out.Message = fmt.Sprintf("%s has no statement at line %d or below", filepath.Base(b.File), b.Line)
	}
	return out
}

// placed tells the editor of a breakpoint in a text that was read now.
func (s *Server) placed(b *debug.Break, line int, ok bool) {
	s.breaksMu.Lock()
	defer s.breaksMu.Unlock()
	e := &dap.BreakpointEvent{}
	e.Body.Reason, e.Body.Breakpoint = "changed", s.breakpoint(b, line, ok, true)
	s.event("breakpoint", e)
}

func (s *Server) setFunctionBreakpoints(r *dap.SetFunctionBreakpointsRequest) {
	s.breaksMu.Lock()
	defer s.breaksMu.Unlock()
	s.c.Clear(func(b *debug.Break) bool { return b.Line == 0 })
	out := &dap.SetFunctionBreakpointsResponse{}
	out.Body.Breakpoints = []dap.Breakpoint{}
	for _, asked := range r.Arguments.Breakpoints {
		b, err := debug.ParseBreak(asked.Name, "")
		if err != nil || b.Line > 0 {
			out.Body.Breakpoints = append(out.Body.Breakpoints, dap.Breakpoint{
				Message: fmt.Sprintf("%q is neither a phase nor a primitive: write phase boot or on:bind_ip", asked.Name)})
			continue
		}
		b.If = asked.Condition
		out.Body.Breakpoints = append(out.Body.Breakpoints, s.setBreak(b, asked.HitCondition))
	}
	s.answer(r, out)
}

func (s *Server) setExceptions(r *dap.SetExceptionBreakpointsRequest) {
	on := false
	for _, f := range r.Arguments.Filters {
		if f != uncaught {
			s.fail(r, fmt.Errorf("set exception breakpoints: there is no filter %q: %s is the one there is", f, uncaught))
			return
		}
		on = true
	}
	s.c.StopAtFailures(on)
	s.answer(r, &dap.SetExceptionBreakpointsResponse{})
}

// logged shows what a breakpoint with a message says.
func (s *Server) logged(_ debug.Flow, at engine.Pos, text string) {
	e := &dap.OutputEvent{}
	e.Body.Category, e.Body.Output, e.Body.Line = "console", text+"\n", at.Line-1+s.lines()
	if filepath.IsAbs(at.File) {
		e.Body.Source = &dap.Source{Name: filepath.Base(at.File), Path: at.File}
	}
	s.event("output", e)
}
