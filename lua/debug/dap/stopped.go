package dap

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-dap"

	"vsl/lua/debug"
	"vsl/lua/runtime"
)

// halt is a stop that the editor looks at. What it asks is done by the stopped
// flow itself, which alone may touch the Lua state.
type halt struct {
	stop   *debug.Stop
	jobs   chan func(h *halt) (debug.Command, bool)
	frames map[int]*runtime.Level
	refs   map[int]ref
}

// maxJobs bounds what is asked while an earlier question takes its time.
const maxJobs = 1024

// recipeThread is the thread's number while the recipe is read.
const recipeThread = 1

// Stopped implements debug.Front.
func (s *Server) Stopped(stop *debug.Stop) debug.Command {
	h := &halt{stop: stop, jobs: make(chan func(h *halt) (debug.Command, bool), maxJobs), frames: map[int]*runtime.Level{}, refs: map[int]ref{}}
	select {
	case <-s.quit:
		return debug.Continue
	default:
	}
	s.mu.Lock()
	s.halt = h
	s.mu.Unlock()
	s.event("stopped", s.stoppedEvent(stop))
	command := s.serveStop(h)
	s.mu.Lock()
	s.halt = nil
	close(h.jobs)
	s.mu.Unlock()
	for job := range h.jobs {
		job(nil)
	}
	return command
}

func (s *Server) serveStop(h *halt) debug.Command {
	for {
		select {
		case <-s.quit:
			return debug.Continue
		case job := <-h.jobs:
			if command, done := job(h); done {
				return command
			}
		}
	}
}

// reasons are the protocol's words.
var reasons = map[debug.Reason]string{debug.Phase: "function breakpoint", debug.Primitive: "function breakpoint", debug.Failure: "exception"}

func (s *Server) stoppedEvent(stop *debug.Stop) *dap.StoppedEvent {
	e := &dap.StoppedEvent{}
	e.Body = dap.StoppedEventBody{Reason: string(stop.Reason), ThreadId: s.thread(stop.Flow.Guest), AllThreadsStopped: true, HitBreakpointIds: stop.Breaks}
	if word := reasons[stop.Reason]; word != "" {
		e.Body.Reason, e.Body.Description, e.Body.Text = word, "stopped at "+stop.Text, stop.Text
	}
	if stop.Reason == debug.Breakpoint {
		e.Body.Text = stop.Text
	}
	if stop.Reason == debug.Failure {
		e.Body.Description = "stopped where an error was raised"
	}
	return e
}

// thread is the number of a guest's thread.
func (s *Server) thread(guest string) int {
	if guest == "" {
		return recipeThread
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.threads, guest)
	if i < 0 {
		i = len(s.threads)
		s.threads = append(s.threads, guest)
	}
	return recipeThread + 1 + i
}

// guestOf is the guest of a thread.
func (s *Server) guestOf(thread int) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if thread == recipeThread {
		return "", nil
	}
	if i := thread - recipeThread - 1; i >= 0 && i < len(s.threads) {
		return s.threads[i], nil
	}
	return "", fmt.Errorf("there is no thread %d", thread)
}

// flow tells the editor of flows that begin and end.
func (s *Server) flow(f debug.Flow, begins bool) {
	e := &dap.ThreadEvent{}
	e.Body.Reason, e.Body.ThreadId = "exited", s.thread(f.Guest)
	if begins {
		e.Body.Reason = "started"
	}
	s.event("thread", e)
}

// listThreads gives one thread for each flow, or the recipe's while none runs.
func (s *Server) listThreads(r *dap.ThreadsRequest) {
	out := &dap.ThreadsResponse{}
	flows := s.c.Flows()
	s.mu.Lock()
	if h := s.halt; h != nil && !slices.Contains(flows, h.stop.Flow) {
		flows = append(flows, h.stop.Flow)
	}
	s.mu.Unlock()
	if len(flows) == 0 {
		flows = []debug.Flow{{}}
	}
	seen := map[int]bool{}
	for _, f := range flows {
		if id := s.thread(f.Guest); !seen[id] {
			seen[id] = true
			out.Body.Threads = append(out.Body.Threads, dap.Thread{Id: id, Name: f.String()})
		}
	}
	s.answer(r, out)
}

// at lets the stopped flow answer a request; f may say how it goes on.
func (s *Server) at(r dap.RequestMessage, f func(h *halt) (dap.ResponseMessage, debug.Command, error)) {
	if err := s.post(func(h *halt) (debug.Command, bool) {
		if h == nil {
			s.fail(r, errStill)
			return stay, false
		}
		m, command, err := f(h)
		if err != nil {
			s.fail(r, err)
			return stay, false
		}
		s.answer(r, m)
		return command, command != stay
	}); err != nil {
		s.fail(r, err)
	}
}

// post leaves a job to the stopped flow. One that comes too late gets no halt.
func (s *Server) post(job func(h *halt) (debug.Command, bool)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.halt
	if h == nil {
		return errStill
	}
	select {
	case h.jobs <- job:
		return nil
	default:
		return errors.New("too much is asked at once")
	}
}

// stay is no command.
const stay = debug.Command(-1)

// resume goes on with a thread. Where another one than the stopped is told to
// step, that one stops at its next statement.
func (s *Server) resume(r dap.RequestMessage, thread int, command debug.Command, m dap.ResponseMessage) {
	guest, err := s.guestOf(thread)
	if err != nil {
		s.fail(r, err)
		return
	}
	s.at(r, func(h *halt) (dap.ResponseMessage, debug.Command, error) {
		if guest != h.stop.Flow.Guest && command != debug.Continue {
			s.c.Pause(guest, debug.Step)
			return m, debug.Continue, nil
		}
		return m, command, nil
	})
}

func (s *Server) pause(r *dap.PauseRequest) {
	guest, err := s.guestOf(r.Arguments.ThreadId)
	if err != nil {
		s.fail(r, err)
		return
	}
	if guest == "" && len(s.c.Flows()) > 0 {
		guest = debug.AnyGuest
	}
	s.mu.Lock()
	stopped := s.halt != nil
	s.mu.Unlock()
	if !stopped { // else all is paused already
		s.c.Pause(guest, debug.Pause)
	}
	s.answer(r, &dap.PauseResponse{})
}

func (s *Server) stackTrace(r *dap.StackTraceRequest) {
	guest, err := s.guestOf(r.Arguments.ThreadId)
	if err != nil {
		s.fail(r, err)
		return
	}
	s.at(r, func(h *halt) (dap.ResponseMessage, debug.Command, error) {
		levels := h.stop.LevelsOf(guest)
		out := &dap.StackTraceResponse{}
		out.Body.TotalFrames, out.Body.StackFrames = len(levels), []dap.StackFrame{}
		from := min(max(r.Arguments.StartFrame, 0), len(levels))
		to := len(levels)
		if n := r.Arguments.Levels; n > 0 {
			to = min(from+n, to)
		}
		for _, v := range levels[from:to] {
			out.Body.StackFrames = append(out.Body.StackFrames, s.frame(h, v))
		}
		return out, stay, nil
	})
}

func (s *Server) frame(h *halt, v *runtime.Level) dap.StackFrame {
	f := dap.StackFrame{Id: s.number(), Name: frameName(v.Name), Line: v.Pos.Line - 1 + s.lines(), Column: s.lines(), Source: s.source(h.stop, v.Pos.File)}
	if v.Stdlib() {
		f.PresentationHint = "subtle"
	}
	h.frames[f.Id] = v
	return f
}

// frameName is a function's own name where it has one.
func frameName(name string) string {
	name = strings.TrimPrefix(name, "in ")
	if fn, ok := strings.CutPrefix(name, "function '"); ok {
		return strings.TrimSuffix(fn, "'")
	}
	return name
}

// number is one for a frame or a variable.
func (s *Server) number() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refs++
	return s.refs
}

// source names a file, or a text that only we have: an embedded recipe or a part
// of the standard library.
func (s *Server) source(stop *debug.Stop, file string) *dap.Source {
	if filepath.IsAbs(file) {
		return &dap.Source{Name: filepath.Base(file), Path: file}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.textOf[file]
	if n == 0 {
		s.texts = append(s.texts, strings.Join(stop.Source(file), "\n")+"\n")
		n = len(s.texts)
		s.textOf[file] = n
	}
	return &dap.Source{Name: file, Path: file, SourceReference: n, Origin: "part of vsl"}
}

func (s *Server) giveSource(r *dap.SourceRequest) {
	n := r.Arguments.SourceReference
	if n == 0 && r.Arguments.Source != nil {
		n = r.Arguments.Source.SourceReference
	}
	s.mu.Lock()
	known := n > 0 && n <= len(s.texts)
	text := ""
	if known {
		text = s.texts[n-1]
	}
	s.mu.Unlock()
	if !known {
		s.fail(r, fmt.Errorf("there is no source %d", n))
		return
	}
	out := &dap.SourceResponse{}
	out.Body.Content, out.Body.MimeType = text, "text/x-lua"
	s.answer(r, out)
}
