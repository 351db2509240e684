// Package dap serves the Debug Adapter Protocol: an editor sets breakpoints in
// recipes and looks into their flows while guests come up. One server is one
// session over a pair of pipes.
package dap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/google/go-dap"

	"vsl/lua/debug"
	"vsl/lua/internal/frame"
)

// Server is one session with an editor.
type Server struct {
	In  io.Reader
	Out io.Writer
	// Prepare checks what a launch asks for, and makes its paths absolute.
	Prepare func(*Launch) error
	// Run does what was launched, under a debugger that may be nil, until the context
	// ends. It gives the exit code.
	Run func(ctx context.Context, l *Launch, c *debug.Controller) int

	c      *debug.Controller
	cancel context.CancelCauseFunc
	ctx    context.Context // of what was launched
	quit   chan struct{}   // closed when nothing may stop any more
	over   chan struct{}   // closed when what was launched has ended
	done   chan struct{}   // closed when the session has ended
	end    sync.Once
	leave  sync.Once

	out sync.Mutex // one frame at a time
	seq int

	// breaksMu keeps what happens to breakpoints behind the answer that names them.
	breaksMu sync.Mutex

	mu         sync.Mutex
	launch     *Launch
	configured bool
	running    bool
	halt       *halt
	threads    []string // guests by their thread's number, from 2
	refs       int      // numbers of frames and variables are never used twice
	texts      []string // sources that only we have, by their number, from 1
	textOf     map[string]int
	base       int // of lines: 0 or 1
	invalidate bool
}

// errLeft is why flows end that the editor ended.
var errLeft = fmt.Errorf("ended by the editor: %w", context.Canceled)

// errStill is what requests get that need a stopped flow.
var errStill = errors.New("nothing is stopped")

// Serve talks to the editor until it disconnects, its pipe closes or the context
// ends. What was launched is undone then, as far as it is unfinished.
func (s *Server) Serve(ctx context.Context) error {
	s.c = debug.New(s)
	s.c.Log, s.c.Placed, s.c.Running = s.logged, s.placed, s.flow
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	s.quit, s.over, s.done = make(chan struct{}), make(chan struct{}), make(chan struct{})
	s.textOf, s.base = map[string]int{}, 1
	defer s.cancel(nil)
	messages := frame.Messages(s.In, s.done)
	for {
		select {
		case m := <-messages:
			if m.Err != nil {
				s.stopAll(nil)
				<-s.done
				if errors.Is(m.Err, io.EOF) {
					return nil
				}
				return m.Err
			}
			s.handle(m.Data)
		case <-ctx.Done():
			s.stopAll(nil)
			<-s.done
			return nil
		case <-s.done:
			return nil
		}
	}
}

// interrupt ends what was launched as Ctrl-C does: what is unfinished is undone,
// and nothing stops on the way.
func (s *Server) interrupt() {
	s.end.Do(func() {
		close(s.quit)
		s.cancel(errLeft)
	})
}

// stopAll is interrupt and the end of the session, once all is undone. last is
// sent then.
func (s *Server) stopAll(last dap.ResponseMessage) {
	s.interrupt()
	s.leave.Do(func() {
		s.mu.Lock()
		running := s.running
		s.configured, s.launch = false, nil // what has not begun does not
		s.mu.Unlock()
		go func() {
			if running {
				<-s.over
			}
			if last != nil {
				s.send(last)
			}
			close(s.done)
		}()
	})
}

// send writes a message, with the next number. An editor that went away is found
// by the reader.
func (s *Server) send(m dap.Message) {
	s.out.Lock()
	defer s.out.Unlock()
	s.seq++
	switch m := m.(type) {
	case dap.ResponseMessage:
		r := m.GetResponse()
		r.Seq, r.Type = s.seq, "response"
	case dap.EventMessage:
		e := m.GetEvent()
		e.Seq, e.Type = s.seq, "event"
	}
	_ = frame.Write(s.Out, m)
}

// event sends an event of a name.
func (s *Server) event(name string, m dap.EventMessage) {
	m.GetEvent().Event = name
	s.send(m)
}

// answer sends a response to r.
func (s *Server) answer(r dap.RequestMessage, m dap.ResponseMessage) {
	s.send(answerTo(r, m))
}

func answerTo(r dap.RequestMessage, m dap.ResponseMessage) dap.ResponseMessage {
	to, out := r.GetRequest(), m.GetResponse()
	out.RequestSeq, out.Command, out.Success = to.Seq, to.Command, true
	return m
}

// fail sends an error as the response to r.
func (s *Server) fail(r dap.RequestMessage, err error) {
	to := r.GetRequest()
	s.failed(to.Seq, to.Command, err)
}

func (s *Server) failed(seq int, command string, err error) {
	e := &dap.ErrorResponse{}
	e.RequestSeq, e.Command, e.Message = seq, command, err.Error()
	// The format's braces would be variables.
	e.Body.Error = &dap.ErrorMessage{Id: 1, Format: "{text}", Variables: map[string]string{"text": err.Error()}, ShowUser: command == "launch" || command == "attach"}
	s.send(e)
}

// handle answers one message.
func (s *Server) handle(data []byte) {
	m, err := dap.DecodeProtocolMessage(data)
	if err != nil {
		var head struct {
			Seq     int    `json:"seq"`
			Command string `json:"command"`
		}
		if json.Unmarshal(data, &head) != nil || head.Command == "" {
			s.note("vsl: the editor sent what is no request: " + err.Error() + "\n")
			return
		}
		s.failed(head.Seq, head.Command, err)
		return
	}
	r, ok := m.(dap.RequestMessage)
	if !ok {
		return // we ask for nothing that could be answered
	}
	switch r := r.(type) {
	case *dap.InitializeRequest:
		s.initialize(r, data)
	case *dap.LaunchRequest:
		s.launched(r)
	case *dap.AttachRequest:
		s.fail(r, errors.New("there is no process to attach to: a guest's flows run while vsl up does; use launch"))
	case *dap.ConfigurationDoneRequest:
		s.answer(r, &dap.ConfigurationDoneResponse{})
		s.begin(func() { s.configured = true })
	case *dap.SetBreakpointsRequest:
		s.setBreakpoints(r)
	case *dap.SetFunctionBreakpointsRequest:
		s.setFunctionBreakpoints(r)
	case *dap.SetExceptionBreakpointsRequest:
		s.setExceptions(r)
	case *dap.DisconnectRequest:
		s.stopAll(answerTo(r, &dap.DisconnectResponse{}))
	case *dap.TerminateRequest:
		s.answer(r, &dap.TerminateResponse{})
		s.terminate()
	default:
		s.look(r)
	}
}

// note tells the user something of our own.
func (s *Server) note(text string) { s.output("console", text) }

func (s *Server) output(category, text string) {
	e := &dap.OutputEvent{}
	e.Body.Category, e.Body.Output = category, text
	s.event("output", e)
}

// Writer shows what is written to it as output of a category.
func (s *Server) Writer(category string) io.Writer { return writer{s, category} }

type writer struct {
	s        *Server
	category string
}

func (w writer) Write(p []byte) (int, error) {
	w.s.output(w.category, string(p))
	return len(p), nil
}
