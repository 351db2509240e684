package main

import (
	"cmp"
	"errors"

	"vsl/engine"
)

// usageError is a command line that makes no sense.
type usageError struct{ msg, hint string }

func (e *usageError) Error() string { return e.msg }

// recipeError is a recipe that cannot be read: whatever is wrong in it, nothing
// was done yet.
type recipeError struct{ err error }

func (e *recipeError) Error() string { return e.err.Error() }
func (e *recipeError) Unwrap() error { return e.err }

// codeError ends the program with a code and no message: a command's own exit
// status, or an answer such as "not running" that was printed already.
type codeError struct{ code int }

func (e *codeError) Error() string { return "" }

// exits is the one table of exit codes: the first line that matches decides.
// vsl help exit-codes prints it.
var exits = []struct {
	code  int
	match func(error) bool
	means string
}{
	{0, func(err error) bool { return err == nil }, "done"},
	{2, is[*usageError], "the command line makes no sense"},
	{2, is[*recipeError], "the recipe has a mistake; nothing was changed"},
	{4, is[*engine.LeftError], "a signal ended the waiting for a guest to shut down: it was left as it is"},
	{1, is[*engine.GuestError], "something failed while acting; what it left unfinished was undone"},
	{5, causedBy(engine.ErrUnknownGuest), "there is no such guest"},
	{3, causedBy(engine.ErrNotRunning), "the guest is not running"},
	{2, causedBy(engine.ErrInvalid), "a declaration or value is invalid; nothing was changed"},
	{1, func(error) bool { return true }, "any other failure"},
}

// is matches errors that carry a T, and only such: of several joined errors the
// gravest, which is the first line of the table, decides.
func is[T error](err error) bool {
	var t T
	return errors.As(err, &t)
}

func causedBy(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

// exit prints an error and gives its code.
func (a *app) exit(err error) int {
	var own *codeError
	code := 0
	if errors.As(err, &own) {
		code = own.code
	} else if code = exitCode(err); err != nil {
		a.ui.fail(err)
	}
	if lost := a.ui.lost.failure(); lost != nil {
		a.ui.fail(lost)
		code = cmp.Or(code, exitCode(lost))
	}
	return code
}

func exitCode(err error) int {
	for _, e := range exits {
		if e.match(err) {
			return e.code
		}
	}
	return 1
}
