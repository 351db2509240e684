// Package lsp serves the Language Server Protocol: an editor shows what lint and
// check find in recipes while they are typed, and completes their words.
package lsp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"time"

	"vsl/lua/internal/frame"
)

// Server is one session with an editor.
type Server struct {
	In      io.Reader
	Out     io.Writer
	Version string

	mu    sync.Mutex // of documents, and of what is told of them
	docs  map[string]*doc
	ctx   context.Context
	work  sync.WaitGroup
	slots chan struct{} // one check at a time

	out      sync.Mutex // one frame at a time
	ready    bool
	shutdown bool
}

// ErrNoShutdown says that the editor left without saying so first.
var ErrNoShutdown = errors.New("the editor ended the session without a shutdown request")

// Serve talks to the editor until it says exit, its pipe closes or the context ends.
func (s *Server) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	s.ctx, s.docs, s.slots = ctx, map[string]*doc{}, make(chan struct{}, 1)
	defer s.work.Wait()
	defer cancel()
	messages := frame.Messages(s.In, ctx.Done())
	for {
		select {
		case m := <-messages:
			switch {
			case errors.Is(m.Err, io.EOF):
				return s.left()
			case m.Err != nil:
				return m.Err
			}
			if exit := s.handle(m.Data); exit {
				return s.left()
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *Server) left() error {
	if s.shutdown {
		return nil
	}
	return ErrNoShutdown
}

func (s *Server) send(m any) {
	s.out.Lock()
	defer s.out.Unlock()
	_ = frame.Write(s.Out, m) // an editor that is gone is found by reading
}

// handle answers one message.
func (s *Server) handle(data []byte) (exit bool) {
	var m message
	if err := json.Unmarshal(data, &m); err != nil {
		null := json.RawMessage("null")
		s.send(failure{"2.0", &null, &rpcError{parseError, err.Error()}})
		return false
	}
	if m.Method == "" { // an answer, and nothing was asked
		return false
	}
	result, err := s.answer(&m)
	switch {
	case m.ID == nil:
	case err != nil:
		s.send(failure{"2.0", m.ID, err})
	default:
		s.send(response{"2.0", m.ID, result})
	}
	return m.Method == "exit"
}

// answer does what a message asks. What breaks in it must not end the session.
func (s *Server) answer(m *message) (result any, fail *rpcError) {
	defer func() {
		if r := recover(); r != nil {
			result, fail = nil, &rpcError{internalError, fmt.Sprintf("vsl bug in %s: %v\n%s", m.Method, r, debug.Stack())}
		}
	}()
	switch {
	case m.Method == "initialize" && !s.ready:
		s.ready = true
		return s.initialize(), nil
	case m.Method == "exit" || m.Method == "initialized":
		return nil, nil
	case !s.ready:
		return nil, &rpcError{notInitialized, "initialize must come first"}
	case m.Method == "shutdown":
		s.shutdown = true
		return nil, nil
	case s.shutdown || m.Method == "initialize":
		return nil, &rpcError{invalidRequest, m.Method + " is not expected here"}
	}
	do := methods[m.Method]
	if do == nil {
		return nil, &rpcError{methodNotFound, m.Method + " is not offered"}
	}
	result, err := do(s, m.Params)
	if err != nil {
		return nil, &rpcError{invalidParams, err.Error()}
	}
	return result, nil
}

var methods map[string]func(*Server, json.RawMessage) (any, error)

func init() { // as a value it would refer to itself
	methods = map[string]func(*Server, json.RawMessage) (any, error){
		"textDocument/didOpen":        with((*Server).opened),
		"textDocument/didChange":      with((*Server).changed),
		"textDocument/didSave":        with((*Server).saved),
		"textDocument/didClose":       with((*Server).closed),
		"textDocument/completion":     with((*Server).completion),
		"textDocument/hover":          with((*Server).hover),
		"textDocument/definition":     with((*Server).definition),
		"textDocument/documentSymbol": with((*Server).symbols),
	}
}

// with reads the parameters of a method.
func with[P any](f func(*Server, P) any) func(*Server, json.RawMessage) (any, error) {
	return func(s *Server, raw json.RawMessage) (any, error) {
		var p P
		if err := json.Unmarshal(raw, &p); err != nil {
			return nil, err
		}
		return f(s, p), nil
	}
}

func (s *Server) initialize() any {
	c := capabilities{
		PositionEncoding: "utf-16", HoverProvider: true, DefinitionProvider: true, DocumentSymbolProvider: true,
		CompletionProvider: completionOptions{TriggerCharacters: []string{".", ":", "{", ",", `"`}},
		TextDocumentSync:   syncOptions{OpenClose: true, Change: 2},
	}
	return initialized{c, serverInfo{"vsl", s.Version}}
}

func (s *Server) opened(p openParams) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := newDoc(p.TextDocument)
	if old := s.docs[d.uri]; old != nil {
		old.stop()
	}
	s.docs[d.uri] = d
	s.look(d, 0)
	return nil
}

// typing is how long nothing is typed before a text is looked at as a whole.
const typing = 200 * time.Millisecond

func (s *Server) changed(p changeParams) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.docs[p.TextDocument.URI]
	if d == nil {
		return nil
	}
	for _, c := range p.ContentChanges {
		d.change(c.Range, c.Text)
	}
	d.version = p.TextDocument.Version
	s.look(d, typing)
	return nil
}

func (s *Server) saved(p saveParams) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.docs { // others may require it
		if d.uri == p.TextDocument.URI && p.Text != nil {
			d.change(nil, *p.Text)
		}
		d.forget()
		s.look(d, 0)
	}
	return nil
}

func (s *Server) closed(p openParams) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.docs[p.TextDocument.URI]; d != nil {
		d.stop()
		delete(s.docs, d.uri)
		s.publish(d, []diagnostic{})
	}
	return nil
}

// at gives the analysis of a document and the offset of a place in it.
func (s *Server) at(p placeParams) (*doc, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.docs[p.TextDocument.URI]
	if d == nil {
		return nil, 0
	}
	return d, d.analysis().File.Lines.FromUTF16(p.Position.Line, p.Position.Character)
}
