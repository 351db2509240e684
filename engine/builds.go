package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// template builds a guest's template, once for all guests that share it, in one
// of the slots that guests come up in. A build waits for no guest, so it cannot
// wait for itself.
func (u *upRun) template(ctx context.Context, d Declared) error {
	build, _ := u.templates.LoadOrStore(d.Spec.Template, sync.OnceValue(func() error {
		free, err := u.slot(ctx)
		if err != nil {
			return err
		}
		defer free()
		if _, err := u.e.BuildTemplate(ctx, d.Spec.Template, d.BuildTemplate); err != nil {
			return &templateError{d.Spec.Template.Name, err}
		}
		return nil
	}))
	return build.(func() error)()
}

// slot waits for one of the places that Parallel gives.
func (u *upRun) slot(ctx context.Context) (free func(), err error) {
	select {
	case u.slots <- struct{}{}:
		return func() { <-u.slots }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// What an up has open at once: itself, each guest that comes up, and each that is up
// for as long as its pid 1 is our child.
const (
	filesOwn   = 40
	filesGuest = 24
)

// withinFiles is how many of parallel guests can come up at once with a limit of
// open files, and whether that leaves none for all those that are up by then.
func withinFiles(parallel, guests, limit int) (atOnce int, few bool) {
	atOnce = min(parallel, max(1, (limit-filesOwn)/filesGuest))
	return atOnce, filesOwn+atOnce*filesGuest+guests > limit
}

// templateError is why a template could not be built, for each guest of it.
type templateError struct {
	name string
	err  error
}

func (e *templateError) Error() string { return e.err.Error() }
func (e *templateError) Unwrap() error { return e.err }

// tellOnce leaves why a template could not be built to the first of its guests:
// the others were not started for it.
func tellOnce(out []Outcome) {
	told := map[*templateError]string{}
	for i := range out {
		var t *templateError
		if !errors.As(out[i].Err, &t) || errors.Is(t, context.Canceled) {
			continue
		}
		first, again := told[t]
		if !again {
			told[t] = out[i].Guest
			continue
		}
		out[i].Err = &GuestError{Guest: out[i].Guest, Phase: "prepare",
			Err: fmt.Errorf("%w: its template %s could not be built, as told of %s", ErrDependency, t.name, first)}
	}
}
