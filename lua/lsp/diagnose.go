package lsp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"vsl/engine"
	"vsl/lua"
	"vsl/lua/bind"
	"vsl/lua/lint"
	"vsl/lua/modules"
	"vsl/lua/syntax"
)

// checkTime bounds how long a recipe is read for its mistakes: it may be half typed,
// and never come to its end.
const checkTime = 2 * time.Second

// look publishes what lint finds, and then what reading the recipe finds beside.
// A recipe in which lint finds an error is not read.
func (s *Server) look(d *doc, wait time.Duration) {
	d.stop()
	ctx, cancel := context.WithCancel(s.ctx)
	d.cancel = cancel
	version := d.version
	s.work.Go(func() {
		defer cancel()
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		s.mu.Lock()
		if ctx.Err() != nil || d.version != version {
			s.mu.Unlock()
			return
		}
		a, text := d.analysis(), d.text
		found := lint.File(d.name(), a.File, a, lint.Options{Find: d.find()})
		list := diagnostics(a.File, found)
		s.publish(d, list)
		s.mu.Unlock()
		if d.path == "" || strings.HasSuffix(d.path, "_test.lua") || hasError(found) {
			return
		}
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		defer func() { <-s.slots }()
		more := s.check(ctx, d.path, text, a.File)
		s.mu.Lock()
		defer s.mu.Unlock()
		if ctx.Err() == nil && len(more) > 0 {
			s.publish(d, append(list, more...))
		}
	})
}

func hasError(found []lint.Finding) bool {
	for _, f := range found {
		if f.Error {
			return true
		}
	}
	return false
}

func (s *Server) publish(d *doc, list []diagnostic) {
	s.send(notification{"2.0", "textDocument/publishDiagnostics", published{d.uri, d.version, list}})
}

func diagnostics(f *syntax.File, found []lint.Finding) []diagnostic {
	out := []diagnostic{}
	for _, x := range found {
		d := diagnostic{Range: rangeOf(f.Lines, x.Span), Severity: 2, Code: x.Rule, Source: "vsl", Message: worded(x.Message, x.Hint)}
		if x.Error {
			d.Severity = 1
		}
		if x.Rule == "unused" || x.Rule == "unreachable" {
			d.Tags = []int{1} // shown faded
		}
		out = append(out, d)
	}
	return out
}

func worded(msg, hint string) string {
	if hint != "" {
		msg += "\n" + hint
	}
	return msg
}

// check reads the recipe as vsl check does, without acting, without parameters that
// must be given, and not for long.
func (s *Server) check(ctx context.Context, path, text string, f *syntax.File) []diagnostic {
	slow := fmt.Errorf("reading the recipe took longer than %s, and was ended here: does this loop end?", checkTime)
	ctx, cancel := context.WithTimeoutCause(ctx, checkTime, slow)
	defer cancel()
	r, err := lua.Load(ctx, path, []byte(text), lua.Options{Optional: true, UserDir: modules.UserFolder(), Stdout: io.Discard, Stderr: io.Discard})
	if err == nil {
		defer r.Close()
		var specs []*engine.Spec
		for _, d := range r.Guests {
			specs = append(specs, d.Spec)
		}
		err = engine.Validate(specs)
	}
	if err == nil || ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) {
		return nil
	}
	var out []diagnostic
	for _, e := range flatten(err) {
		pos, msg := placed(e)
		if errors.Is(e, slow) {
			pos = endless(f, path, e, pos)
		}
		line := pos.Line - 1
		if pos.File != path { // in a file that it requires
			if line = 0; pos.File != "" {
				msg = filepath.Base(pos.File) + ": " + msg
			}
		}
		at := f.Lines.Span(max(line, 0))
		out = append(out, diagnostic{Range: rangeOf(f.Lines, at), Severity: 1, Code: "check", Source: "vsl", Message: msg})
	}
	return out
}

// endless is the line of the loop that the clock ended, as far as the lines tell that
// ran: the innermost whose condition is written to hold for ever, else the innermost.
func endless(f *syntax.File, path string, err error, otherwise engine.Pos) engine.Pos {
	places := []engine.Pos{otherwise}
	var run *lua.RuntimeError
	if errors.As(err, &run) {
		for _, frame := range run.Traceback {
			places = append(places, frame.Pos)
		}
	}
	var loop syntax.Node
	sure := false
	for _, pos := range places {
		if pos.File != path {
			continue
		}
		at := f.Lines.Span(pos.Line - 1).From
		for _, n := range slices.Backward(f.Path(at)) {
			is, forEver := loops(n)
			if is && (loop == nil || forEver && !sure) {
				loop, sure = n, forEver
			}
		}
	}
	if loop == nil {
		return otherwise
	}
	line, _ := f.Lines.At(loop.Where().From)
	return engine.Pos{File: path, Line: line}
}

// loops says whether a node is a loop, and one whose condition alone never ends it.
func loops(n syntax.Node) (is, forEver bool) {
	switch n := n.(type) {
	case *syntax.While:
		c, ok := n.Cond.(*syntax.Const)
		return true, ok && c.Value != nil && c.Value != false
	case *syntax.Repeat:
		c, ok := n.Cond.(*syntax.Const)
		return true, ok && (c.Value == nil || c.Value == false)
	case *syntax.For:
		return true, false
	}
	return false, false
}

// placed takes an error apart into its place and its words.
func placed(err error) (engine.Pos, string) {
	var bad *bind.Error
	var run *lua.RuntimeError
	var spec *engine.SpecError
	switch {
	case errors.As(err, &run):
		return run.Pos, run.Msg
	case errors.As(err, &bad):
		return bad.Pos, worded(bad.Msg, bad.Hint)
	case errors.As(err, &spec):
		return spec.Pos, strings.TrimPrefix(err.Error(), spec.Pos.String()+": ")
	}
	return engine.Pos{}, err.Error()
}

func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}
