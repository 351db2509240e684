package api

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	lua "github.com/yuin/gopher-lua"

	"vsl/lua/bind"
)

// Words names what flows are written with beside the primitives. As those, they
// can only be called while something acts.
var Words = []string{"defer", "sleep", "timeout", "retry", "parallel"}

// openWords defines what flows are written with beside the primitives: defer,
// sleep, timeout, retry and parallel.
func (a *API) openWords() {
	for name, fn := range map[string]lua.LGFunction{
		"defer": a.deferWord, "sleep": a.sleepWord, "timeout": a.timeoutWord, "retry": a.retryWord, "parallel": a.parallelWord,
	} {
		a.S.SetGlobal(name, a.S.Func(name, func(l *lua.LState) int {
			a.acting(l, name)
			return fn(l)
		}))
	}
}

func (a *API) deferWord(l *lua.LState) int {
	f := flowOf(l)
	if f == nil {
		a.S.Raisef(l, "call it in a flow", "defer: there is no flow at whose end the function could run")
	}
	fn := a.function(l, 1, "defer")
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deferred = append(f.deferred, fn)
	return 0
}

func (a *API) sleepWord(l *lua.LState) int {
	d := a.duration(l, 1, "sleep")
	a.block(l, func(ctx context.Context) error { return a.o.Sleep(ctx, d) })
	return 0
}

func (a *API) timeoutWord(l *lua.LState) int {
	d := a.duration(l, 1, "timeout")
	fn := a.function(l, 2, "timeout")
	got, err := a.apart(l, fn, func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeoutCause(ctx, d, fmt.Errorf("timeout: it took longer than %s", d))
	})
	return a.give(l, got, err)
}

// retryWord calls a function until it succeeds. The last error is the one raised.
func (a *API) retryWord(l *lua.LState) int {
	v := a.table(l, bind.RetrySchema)
	fn := a.single(l, v, "retry")
	attempts, pause, longest := int64(5), time.Second, 30*time.Second
	backoff := 2.0
	set(&attempts, bind.Opt[int64](v, "attempts"))
	set(&pause, bind.Opt[time.Duration](v, "delay"))
	set(&longest, bind.Opt[time.Duration](v, "max_delay"))
	set(&backoff, bind.Opt[float64](v, "backoff"))
	bound := func(ctx context.Context) (context.Context, context.CancelFunc) { return ctx, func() {} }
	if within := bind.Get[time.Duration](v, "within"); within > 0 {
		end := time.Now().Add(within)
		cause := fmt.Errorf("retry: no success within %s", within)
		bound = func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithDeadlineCause(ctx, end, cause)
		}
	}
	for n := int64(1); ; n++ {
		got, err := a.apart(l, fn, bound)
		if err == nil || n >= attempts || l.Context().Err() != nil {
			return a.give(l, got, err)
		}
		waiting := a.S.Block(l, func(ctx context.Context) error {
			ctx, cancel := bound(ctx)
			defer cancel()
			return a.o.Sleep(ctx, min(pause, longest))
		})
		if waiting != nil {
			return a.give(l, nil, fmt.Errorf("%w; the last failure was: %w", waiting, err))
		}
		pause = min(time.Duration(float64(pause)*max(backoff, 0)), longest)
	}
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// parallelWord calls functions at the same time. Each runs on a thread of its
// own; Lua code still runs one instruction at a time, and what waits, waits
// together.
func (a *API) parallelWord(l *lua.LState) int {
	v := a.table(l, bind.ParallelSchema)
	fns := bind.Get[[]any](v, "")
	slots := make(chan struct{}, max(1, min(len(fns), int(limitOf(v, len(fns))))))
	results, errs := make([]lua.LValue, len(fns)), make([]error, len(fns))
	var first error
	err := a.S.Block(l, func(ctx context.Context) error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		var wg sync.WaitGroup
		var once sync.Once
		for i, fn := range fns {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				got, err := a.call1(ctx, fn.(*lua.LFunction))
				results[i], errs[i] = got, err
				if err != nil && !bind.Get[bool](v, "keep_going") {
					once.Do(func() {
						first = err
						cancel(errStopped)
					})
				}
			})
		}
		wg.Wait()
		if first != nil {
			return first
		}
		return errors.Join(errs...)
	})
	if err != nil {
		a.S.Reraise(l, err)
	}
	for _, r := range results {
		l.Push(r)
	}
	return len(results)
}

var errStopped = errors.New("stopped: another function of the same parallel failed")

func limitOf(v bind.Values, all int) int64 {
	if n := bind.Opt[int64](v, "limit"); n != nil {
		return *n
	}
	return int64(all)
}

// call1 calls a function on a thread of its own and gives its first value.
func (a *API) call1(ctx context.Context, fn *lua.LFunction) (lua.LValue, error) {
	if ctx.Err() != nil {
		return lua.LNil, context.Cause(ctx)
	}
	result := lua.LValue(lua.LNil)
	err := a.S.Do(ctx, func(l *lua.LState) error {
		got, err := a.S.Call(l, fn)
		if len(got) > 0 {
			result = got[0]
		}
		return err
	})
	return result, err
}

// apart calls a function on a thread of its own, with a context of its own.
func (a *API) apart(l *lua.LState, fn *lua.LFunction, bound func(context.Context) (context.Context, context.CancelFunc)) (got []lua.LValue, err error) {
	err = a.S.Block(l, func(ctx context.Context) error {
		ctx, cancel := bound(ctx)
		defer cancel()
		return a.S.Do(ctx, func(l *lua.LState) (err error) {
			got, err = a.S.Call(l, fn)
			return err
		})
	})
	return got, err
}

// give is the end of a word: it returns values, or raises the error with the
// lines it came from.
func (a *API) give(l *lua.LState, got []lua.LValue, err error) int {
	if err != nil {
		a.S.Reraise(l, err)
	}
	for _, v := range got {
		l.Push(v)
	}
	return len(got)
}

// table decodes a word's only argument.
func (a *API) table(l *lua.LState, s *bind.Schema) bind.Values {
	if l.Get(1).Type() != lua.LTTable {
		a.S.Raisef(l, fmt.Sprintf("write %s { function() … end }", s.Name), "%s must be given a table, not %s", s.Name, bind.Describe(l.Get(1)))
	}
	return a.options(l, 1, s)
}

// single is the one function in a word's table.
func (a *API) single(l *lua.LState, v bind.Values, name string) *lua.LFunction {
	fns := bind.Get[[]any](v, "")
	if len(fns) != 1 {
		a.S.Raisef(l, fmt.Sprintf("write %s { function() … end }", name), "%s must be given one function, not %d", name, len(fns))
	}
	return fns[0].(*lua.LFunction)
}

func (a *API) function(l *lua.LState, i int, name string) *lua.LFunction {
	fn, ok := l.Get(i).(*lua.LFunction)
	if !ok {
		a.S.Raisef(l, "", "%s must be given a function, not %s", name, bind.Describe(l.Get(i)))
	}
	return fn
}

func (a *API) duration(l *lua.LState, i int, name string) time.Duration {
	d := a.decoder(l)
	v, err := bind.Duration.Conv(d, bind.Place{What: name}, l.Get(i))
	if err != nil {
		a.S.Raisef(l, "", "%s: %v", name, err)
	}
	return v.(time.Duration)
}
