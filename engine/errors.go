package engine

import (
	"errors"
	"fmt"
	"strings"

	"vsl/engine/internal/sys"
)

// The kinds of failure that a caller tells apart; test with errors.Is.
var (
	ErrUnknownGuest  = errors.New("no such guest")
	ErrNotRunning    = errors.New("guest is not running")
	ErrRunning       = errors.New("guest is running")
	ErrUnknownTmpl   = errors.New("no such template")
	ErrNotReady      = errors.New("not ready in time")
	ErrInvalid       = errors.New("invalid")
	ErrNotSupported  = sys.ErrNotSupported
	errGoingDown     = fmt.Errorf("%w: it is going down", ErrNotRunning)
	errFrozen        = errors.New("guest is frozen")
	errNothingToBoot = errors.New("no init found in the guest's root")
)

// errUndone is what is left of a guest that only an unfinished run had made.
var errUndone = fmt.Errorf("%w any more: the run that made it did not finish, and was undone now", ErrUnknownGuest)

// LeftError says that whoever brought a guest down was told to stop waiting for it.
// It was not killed; Asked is whether it was told to shut down, and goes on with that.
type LeftError struct {
	Asked bool
	Err   error // why the waiting ended
}

func (e *LeftError) Error() string {
	if e.Asked {
		return "it goes on shutting down; vsl kill ends it at once"
	}
	return "it runs on: it was not yet told to shut down"
}

func (e *LeftError) Unwrap() error { return e.Err }

// Signalled is the error of a command that a signal kept from being started.
type Signalled struct{ Signal int }

func (e *Signalled) Error() string { return fmt.Sprintf("stopped by signal %d", e.Signal) }

// SpecError is a mistake in a declaration. It is an ErrInvalid.
type SpecError struct {
	Pos   Pos
	Guest string // or template; may be empty
	Msg   string
	Hint  string
	Err   error // the cause, where there is one
}

func (e *SpecError) Error() string {
	var b strings.Builder
	if p := e.Pos.String(); p != "" {
		b.WriteString(p + ": ")
	}
	if e.Guest != "" {
		fmt.Fprintf(&b, "guest %q: ", e.Guest)
	}
	b.WriteString(e.Msg)
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return b.String()
}

func (e *SpecError) Unwrap() error { return e.Err }

// Is makes every SpecError an ErrInvalid.
func (e *SpecError) Is(target error) bool { return target == ErrInvalid }

// GuestError says which guest and which phase failed; it wraps the cause.
type GuestError struct {
	Guest string
	Phase string // one of Phases, or "before boot" and the like for a hook
	Err   error
	Log   []string // the last lines of the guest's log, where they help
}

func (e *GuestError) Error() string {
	s := fmt.Sprintf("%s: %s: %v", e.Guest, e.Phase, e.Err)
	if len(e.Log) > 0 {
		s += "\n  last lines of its log:\n    " + strings.Join(e.Log, "\n    ")
	}
	return s
}

func (e *GuestError) Unwrap() error { return e.Err }

// unknownGuest is ErrUnknownGuest with a suggestion.
func unknownGuest(name string, known []string) error {
	hint := "vsl ls shows the guests there are"
	if near := Nearest(name, known); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return &OpError{Op: "find guest", Target: name, Err: ErrUnknownGuest, Hint: hint}
}
