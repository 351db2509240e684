// Package dapclient is an editor for tests of vsl dap.
package dapclient

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-dap"
)

// patience is how long anything may take.
const patience = 60 * time.Second

// Client is one session.
type Client struct {
	t   testing.TB
	w   io.Writer
	seq int

	mu      sync.Mutex
	changed chan struct{} // closed and made anew at each message
	answers map[int]dap.Message
	events  []dap.Message
	output  map[string]string
	Ended   error // what reading ended with; io.EOF is a whole session
	over    bool
}

// New begins to read what an adapter writes. Anything but frames fails the test.
func New(t testing.TB, r io.Reader, w io.Writer) *Client {
	c := &Client{t: t, w: w, changed: make(chan struct{}), answers: map[int]dap.Message{}, output: map[string]string{}}
	go c.read(bufio.NewReader(r))
	return c
}

func (c *Client) read(r *bufio.Reader) {
	seq := 0
	for {
		m, err := dap.ReadProtocolMessage(r)
		c.mu.Lock()
		if err == nil {
			if seq++; m.GetSeq() != seq {
				c.t.Errorf("message %d has the number %d", seq, m.GetSeq())
			}
		}
		switch m := m.(type) {
		case dap.ResponseMessage:
			c.answers[m.GetResponse().RequestSeq] = m
		case *dap.OutputEvent:
			c.output[m.Body.Category] += m.Body.Output
		case dap.EventMessage:
			c.events = append(c.events, m)
		}
		if err != nil {
			c.Ended, c.over = err, true
		}
		close(c.changed)
		c.changed = make(chan struct{})
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// until waits until ok, which is called with the client locked.
func (c *Client) until(what string, ok func() bool) {
	c.t.Helper()
	end := time.After(patience)
	for {
		c.mu.Lock()
		done, over, changed := ok(), c.over, c.changed
		c.mu.Unlock()
		if done {
			return
		}
		if over {
			c.t.Fatalf("the session ended (%v) before %s\n%s", c.Ended, what, c.dump())
		}
		select {
		case <-changed:
		case <-end:
			c.t.Fatalf("no %s in %s\n%s", what, patience, c.dump())
		}
	}
}

func (c *Client) dump() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	data, _ := json.Marshal(c.events)
	return fmt.Sprintf("events not looked at: %s\noutput: %q", data, c.output)
}

// Send sends a request and gives its number.
func (c *Client) Send(m dap.RequestMessage) int {
	c.t.Helper()
	c.seq++
	r := m.GetRequest()
	r.Seq, r.Type = c.seq, "request"
	if r.Command == "" { // it is in the type's name
		name := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%T", m), "*dap."), "Request")
		r.Command = strings.ToLower(name[:1]) + name[1:]
	}
	if err := dap.WriteProtocolMessage(c.w, m); err != nil {
		c.t.Fatalf("send %s: %v", r.Command, err)
	}
	return c.seq
}

// Answer waits for the response to a request.
func (c *Client) Answer(seq int) dap.Message {
	c.t.Helper()
	var m dap.Message
	c.until(fmt.Sprintf("answer to request %d", seq), func() bool { m = c.answers[seq]; return m != nil })
	return m
}

// Do sends a request and wants it to succeed.
func Do[R dap.ResponseMessage](c *Client, m dap.RequestMessage) R {
	c.t.Helper()
	got := c.Answer(c.Send(m))
	r, ok := got.(R)
	if !ok {
		data, _ := json.Marshal(got)
		c.t.Fatalf("%T was answered with %s\n%s", m, data, c.dump())
	}
	return r
}

// Fails sends a request and wants it to fail; it gives the message.
func (c *Client) Fails(m dap.RequestMessage) string {
	c.t.Helper()
	got := c.Answer(c.Send(m))
	e, ok := got.(*dap.ErrorResponse)
	if !ok {
		data, _ := json.Marshal(got)
		c.t.Fatalf("%T was answered with %s, not with an error", m, data)
	}
	return e.Message
}

// Event waits for the next event of a type; those before it are forgotten, but
// for output.
func Event[E dap.EventMessage](c *Client) E {
	c.t.Helper()
	var found E
	c.until(fmt.Sprintf("%T", found), func() bool {
		for i, m := range c.events {
			if e, ok := m.(E); ok {
				found, c.events = e, c.events[i+1:]
				return true
			}
		}
		return false
	})
	return found
}

// Output is what was shown in a category so far.
func (c *Client) Output(category string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.output[category]
}

// Wait waits until the adapter has closed its pipe.
func (c *Client) Wait() {
	c.t.Helper()
	c.until("end of the session", func() bool { return c.over })
	if c.Ended != io.EOF {
		c.t.Errorf("the session ended with %v", c.Ended)
	}
}

// Launch begins a session: what is launched runs when Start is called.
func (c *Client) Launch(arguments map[string]any) *dap.InitializeResponse {
	c.t.Helper()
	r := &dap.InitializeRequest{}
	r.Arguments = dap.InitializeRequestArguments{AdapterID: "vsl", LinesStartAt1: true, ColumnsStartAt1: true, SupportsInvalidatedEvent: true}
	out := Do[*dap.InitializeResponse](c, r)
	Event[*dap.InitializedEvent](c)
	data, err := json.Marshal(arguments)
	if err != nil {
		c.t.Fatal(err)
	}
	Do[*dap.LaunchResponse](c, &dap.LaunchRequest{Arguments: data})
	return out
}

// Start says that all breakpoints are set.
func (c *Client) Start() {
	c.t.Helper()
	Do[*dap.ConfigurationDoneResponse](c, &dap.ConfigurationDoneRequest{})
}

// Break sets the breakpoints of a file.
func (c *Client) Break(path string, list ...dap.SourceBreakpoint) []dap.Breakpoint {
	c.t.Helper()
	r := &dap.SetBreakpointsRequest{}
	r.Arguments.Source.Path, r.Arguments.Breakpoints = path, list
	return Do[*dap.SetBreakpointsResponse](c, r).Body.Breakpoints
}

// Uncaught stops at errors that nothing catches.
func (c *Client) Uncaught() {
	c.t.Helper()
	r := &dap.SetExceptionBreakpointsRequest{}
	r.Arguments.Filters = []string{"uncaught"}
	Do[*dap.SetExceptionBreakpointsResponse](c, r)
}

// Stack is a thread's.
func (c *Client) Stack(thread int) []dap.StackFrame {
	c.t.Helper()
	r := &dap.StackTraceRequest{}
	r.Arguments.ThreadId = thread
	return Do[*dap.StackTraceResponse](c, r).Body.StackFrames
}

// Scope is the number of a frame's scope, 0 of one that is not there.
func (c *Client) Scope(frame int, name string) int {
	c.t.Helper()
	r := &dap.ScopesRequest{}
	r.Arguments.FrameId = frame
	for _, s := range Do[*dap.ScopesResponse](c, r).Body.Scopes {
		if s.Name == name {
			return s.VariablesReference
		}
	}
	return 0
}

// Variables are those of a number, by name.
func (c *Client) Variables(ref int) map[string]dap.Variable {
	c.t.Helper()
	r := &dap.VariablesRequest{}
	r.Arguments.VariablesReference = ref
	out := map[string]dap.Variable{}
	for _, v := range Do[*dap.VariablesResponse](c, r).Body.Variables {
		out[v.Name] = v
	}
	return out
}

// Eval evaluates at a frame, 0 being the innermost.
func (c *Client) Eval(frame int, context, expression string) dap.EvaluateResponseBody {
	c.t.Helper()
	return Do[*dap.EvaluateResponse](c, evaluate(frame, context, expression)).Body
}

// EvalFails is Eval of what fails.
func (c *Client) EvalFails(frame int, context, expression string) string {
	c.t.Helper()
	return c.Fails(evaluate(frame, context, expression))
}

func evaluate(frame int, context, expression string) *dap.EvaluateRequest {
	r := &dap.EvaluateRequest{}
	r.Arguments = dap.EvaluateArguments{Expression: expression, FrameId: frame, Context: context}
	return r
}

// Continue goes on.
func (c *Client) Continue(thread int) {
	c.t.Helper()
	r := &dap.ContinueRequest{}
	r.Arguments.ThreadId = thread
	Do[*dap.ContinueResponse](c, r)
}

// Next steps over and waits for the stop.
func (c *Client) Next(thread int) *dap.StoppedEvent {
	c.t.Helper()
	r := &dap.NextRequest{}
	r.Arguments.ThreadId = thread
	Do[*dap.NextResponse](c, r)
	return Event[*dap.StoppedEvent](c)
}

// StepIn steps in and waits for the stop.
func (c *Client) StepIn(thread int) *dap.StoppedEvent {
	c.t.Helper()
	r := &dap.StepInRequest{}
	r.Arguments.ThreadId = thread
	Do[*dap.StepInResponse](c, r)
	return Event[*dap.StoppedEvent](c)
}

// StepOut steps out and waits for the stop.
func (c *Client) StepOut(thread int) *dap.StoppedEvent {
	c.t.Helper()
	r := &dap.StepOutRequest{}
	r.Arguments.ThreadId = thread
	Do[*dap.StepOutResponse](c, r)
	return Event[*dap.StoppedEvent](c)
}

// Disconnect ends the session and waits for its end.
func (c *Client) Disconnect() {
	c.t.Helper()
	Do[*dap.DisconnectResponse](c, &dap.DisconnectRequest{})
	c.Wait()
}

// Exit waits until what was launched has ended, and gives its code.
func (c *Client) Exit() int {
	c.t.Helper()
	code := Event[*dap.ExitedEvent](c).Body.ExitCode
	Event[*dap.TerminatedEvent](c)
	return code
}
