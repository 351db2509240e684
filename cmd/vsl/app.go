package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"vsl/engine"
	"vsl/lua"
	"vsl/lua/debug"
	"vsl/lua/modules"
)

// app is what the verbs of one run share. Nothing is opened before a verb asks
// for it, so that each pays only for what it uses.
type app struct {
	ui      *ui
	root    string // --root
	quiet   bool
	verbose int // how many -v

	debugger *debug.Controller // of the flows that run; nil is none
	patient  bool              // flows are debugged: they may take their time

	lab *lab // where vsl test --real brings guests up

	failed error // of help, which can give none itself

	passing atomic.Bool // signals are a command's in a guest
	mu      sync.Mutex
	restore func() // undoes what was done to the terminal
	second  func() // what the second signal does besides ending vsl; nil is nothing
	stop    func() // ends the watch for signals
}

func newApp(in io.Reader, out, err io.Writer) *app {
	return &app{ui: newUI(in, out, err), stop: func() {}}
}

// execute finds the verb and runs it.
func (a *app) execute(args []string) error {
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetIn(a.ui.in)
	root.SetOut(a.ui.out)
	root.SetErr(a.ui.err)
	if err := unknownVerb(root, args); err != nil {
		return err
	}
	if err := root.ExecuteContext(a.watchSignals(context.Background())); err != nil {
		return err
	}
	return a.failed
}

func (a *app) close() {
	a.stop()
	a.putBack()
	a.ui.close()
}

// luaOptions are what every recipe is read with, and the default flows are.
func (a *app) luaOptions(e *engine.Engine) lua.Options {
	o := lua.Options{UserDir: modules.UserFolder(), Stdout: a.ui.luaNotes(), Stderr: a.ui.luaNotes()}
	if e != nil {
		o.Engine = e
	}
	if a.debugger != nil {
		o.Debugger, o.DebugAll = a.debugger, a.patient
	}
	return o
}

// engine opens the state root that the global flags name.
func (a *app) engine(keep bool) (*engine.Engine, error) {
	o := engine.Options{Root: a.stateRoot(), Log: a.logger(), Progress: a.ui.progress, Keep: keep, Patient: a.patient}
	if a.patient { // a prompt and a line that changes do not go together
		o.Progress = nil
	}
	return engine.Open(o)
}

func (a *app) stateRoot() string {
	if a.root != "" {
		return a.root
	}
	return os.Getenv("VSL_ROOT")
}

// logger is for what the engine notes by the way: warnings, and with -v
// each step.
func (a *app) logger() zerolog.Logger {
	level := zerolog.WarnLevel
	if a.verbose > 0 {
		level = zerolog.DebugLevel
	} else if a.quiet {
		level = zerolog.ErrorLevel
	}
	w := zerolog.ConsoleWriter{Out: a.ui.notes(), NoColor: !a.ui.errTerm, PartsOrder: []string{"level", "message"},
		FormatLevel: func(l any) string {
			if l == "warn" {
				return "vsl: warning:"
			}
			return fmt.Sprintf("vsl: %v:", l)
		}}
	return zerolog.New(w).Level(level)
}

// onExit remembers how to put the terminal back; nil forgets it.
func (a *app) onExit(restore func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.restore = restore
}

func (a *app) putBack() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.restore != nil {
		a.restore()
		a.restore = nil
	}
}

// each runs fn for every name and joins what failed.
func each(names []string, fn func(name string) error) error {
	var errs []error
	for _, n := range names {
		errs = append(errs, fn(n))
	}
	return errors.Join(errs...)
}

// guestArgs are positional arguments that complete to guests, at least n.
func (a *app) guestArgs(cmd *cobra.Command, least int) {
	cmd.Args = atLeast(least, "the name of a guest")
	cmd.ValidArgsFunction = a.completeGuests
}
