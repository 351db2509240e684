package dap_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"vsl/engine/enginetest"
	"vsl/lua"
	"vsl/lua/debug"
	dapserver "vsl/lua/debug/dap"
	"vsl/tests/dapclient"
)

// session is an editor whose adapter runs in this process, on an engine in memory.
type session struct {
	*dapclient.Client
	file   string
	e      *enginetest.Engine
	served chan error
	raw    io.WriteCloser // what the adapter reads
}

// newSession begins one for a recipe, which boots all guests at the same time.
func newSession(t *testing.T, recipe string) *session {
	t.Helper()
	s := &session{file: filepath.Join(t.TempDir(), "r.lua"), e: enginetest.NewEngine(), served: make(chan error, 1)}
	if err := os.WriteFile(s.file, []byte(recipe), 0o600); err != nil {
		t.Fatal(err)
	}
	toServer, in := io.Pipe()
	fromServer, out := io.Pipe()
	srv := &dapserver.Server{In: toServer, Out: out}
	srv.Prepare = func(l *dapserver.Launch) error {
		if l.Verb != "" {
			return fmt.Errorf("no verb %s", l.Verb)
		}
		l.Program = s.file
		return nil
	}
	srv.Run = func(ctx context.Context, l *dapserver.Launch, c *debug.Controller) int {
		if err := s.run(ctx, srv, l.Program, c); err != nil {
			fmt.Fprintln(srv.Writer("stderr"), err)
			return 1
		}
		return 0
	}
	s.raw = in
	s.Client = dapclient.New(t, fromServer, in)
	go func() {
		s.served <- srv.Serve(context.Background())
		out.Close()
	}()
	t.Cleanup(func() { in.Close(); out.Close() })
	return s
}

func (s *session) run(ctx context.Context, srv *dapserver.Server, file string, c *debug.Controller) error {
	o := lua.Options{Engine: s.e, Stdout: srv.Writer("stdout"), Stderr: srv.Writer("stderr")}
	if c != nil {
		o.Debugger, o.DebugAll = c, true
	}
	r, err := lua.Load(ctx, file, nil, o)
	if err != nil {
		return err
	}
	defer r.Close()
	errs := make([]error, len(r.Guests))
	var wg sync.WaitGroup
	for i, d := range r.Guests {
		g, err := s.e.New(d.Spec)
		if err != nil {
			return err
		}
		wg.Go(func() { errs[i] = d.Flows.Boot(ctx, g) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// line is the innermost line of a stopped thread.
func (s *session) line(thread int) int { return s.Stack(thread)[0].Line }
