package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"time"

	"vsl/engine"
)

// interrupted is the cause of a context that a signal ended.
type interrupted struct{ sig os.Signal }

func (i interrupted) Error() string { return "stopped by signal: " + i.sig.String() }

// watchSignals ends the context at the first signal that asks vsl to end, so that
// what is unfinished is undone. The second one ends the program at once; what it
// leaves is found by the next run.
func (a *app) watchSignals(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, heeded(engine.EndSignals)...)
	done := make(chan struct{})
	a.stop = sync.OnceFunc(func() {
		signal.Stop(ch)
		close(done)
	})
	go func() {
		for n := 0; ; {
			select {
			case s := <-ch:
				if a.passing.Load() { // it is the command's in the guest
					continue
				}
				again, note := a.atSecondSignal()
				if n++; n > 1 {
					again()
					a.putBack()
					os.Exit(128 + engine.SignalNumber(s))
				}
				cancel(interrupted{s})
				time.AfterFunc(patience/2, func() { a.ui.note("%s", note) })
			case <-done:
				return
			}
		}
	}()
	return ctx
}

// atSecondSignal is what is done at the second signal, and what is said of it after the
// first.
func (a *app) atSecondSignal() (again func(), note string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.second != nil {
		return a.second, "leaving the guests as they are; once more kills them"
	}
	return func() {}, "undoing what is unfinished; once more ends vsl at once"
}

// down brings guests down. The first signal ends the waiting for them, the second one
// kills them.
func (a *app) down(ctx context.Context, e *engine.Engine, names []string, o engine.DownOptions) ([]engine.Outcome, error) {
	a.onSecondSignal(func() { e.EndNow(names) })
	out, err := e.Down(ctx, names, o)
	if err == nil {
		a.onSecondSignal(nil)
	}
	return out, err
}

func (a *app) onSecondSignal(again func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.second = again
}

// heeded leaves out what whoever started vsl has it ignore, as nohup(1) does.
func heeded(all []os.Signal) []os.Signal {
	var out []os.Signal
	for _, s := range all {
		if !signal.Ignored(s) {
			out = append(out, s)
		}
	}
	return out
}

// passSignals gives signals to a command in a guest until the returned function
// is called.
func (a *app) passSignals() (<-chan int, func()) {
	numbers := make(chan int)
	ch := make(chan os.Signal, 16)
	done := make(chan struct{})
	a.passing.Store(true)
	signal.Notify(ch, heeded(engine.PassedSignals)...)
	pass := func(n int) {
		select {
		case numbers <- n:
		case <-done:
		}
	}
	go func() {
		for {
			select {
			case s := <-ch:
				pass(engine.SignalNumber(s))
				if s == engine.TerminalStop {
					pass(0) // taken when the command was stopped; and now we are, as by the signal itself
					engine.StopSelf()
				}
			case <-done:
				return
			}
		}
	}()
	return numbers, func() {
		signal.Stop(ch)
		close(done)
		a.passing.Store(false)
	}
}
