package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"vsl/engine"
)

// A report is one screen: where more guests than that are concerned, those to
// which the same happened share a line, and so do errors.
const (
	manyGuests = 20
	manyErrors = 8
)

// printOutcomes prints what became of guests; errors are printed by who gets them.
func (a *app) printOutcomes(out []engine.Outcome, ips map[string]string, json bool) error {
	if json {
		if out == nil {
			out = []engine.Outcome{}
		}
		return a.ui.json(out)
	}
	if a.quiet {
		return nil
	}
	var rows [][]string
	if len(out) > manyGuests {
		rows = grouped(out)
	} else {
		for _, o := range out {
			rows = append(rows, []string{outcomeMark(o), o.Guest, outcomeWords(o), ips[o.Guest], seconds(o.Took)})
		}
	}
	a.ui.table(rows)
	return nil
}

// grouped are lines of guests to which the same happened.
func grouped(out []engine.Outcome) [][]string {
	type group struct {
		mark, words string
		names       []string
		longest     time.Duration
	}
	var groups []*group
	byWords := map[string]*group{}
	for _, o := range out {
		mark, words := outcomeMark(o), outcomeWords(o)
		g := byWords[mark+words]
		if g == nil {
			g = &group{mark: mark, words: words}
			byWords[mark+words] = g
			groups = append(groups, g)
		}
		g.names = append(g.names, o.Guest)
		g.longest = max(g.longest, o.Took)
	}
	var rows [][]string
	for _, g := range groups {
		rows = append(rows, []string{g.mark, plural(len(g.names), "guest"), g.words, seconds(g.longest), nameRanges(g.names)})
	}
	return rows
}

func outcomeMark(o engine.Outcome) string {
	switch {
	case o.Err != nil:
		return "x"
	case o.Change == "":
		return "="
	case o.Change == engine.ChangeRemove:
		return "-"
	}
	return string(o.Change)
}

func outcomeWords(o engine.Outcome) string {
	return strings.Join(append([]string{changeWords(o)}, o.Notes...), "; ")
}

func changeWords(o engine.Outcome) string {
	reasons := strings.Join(o.Reasons, "; ")
	var left *engine.LeftError
	switch {
	case errors.As(o.Err, &left) && left.Asked:
		return "left while it shuts down"
	case left != nil:
		return "left running"
	case o.Err != nil && isInterrupted(o.Err):
		return "interrupted and undone"
	case errors.Is(o.Err, engine.ErrDependency):
		return "not started"
	case o.Err != nil:
		return "failed"
	}
	switch o.Change {
	case engine.ChangeCreate:
		return "created, up"
	case engine.ChangeStart:
		return "up"
	case engine.ChangeLive:
		return "changed while it runs: " + reasons
	case engine.ChangeRestart:
		return "up, not as declared: " + reasons
	case engine.ChangeReplace:
		if reasons == "" {
			return "restarted"
		}
		return "replaced: " + reasons
	case engine.ChangeDown:
		if reasons != "" {
			return "down: " + reasons
		}
		return "down"
	case engine.ChangeRemove:
		if reasons != "" {
			return "gone: " + reasons
		}
		return "removed"
	}
	return "nothing to do"
}

func isInterrupted(err error) bool {
	var i interrupted
	return errors.As(err, &i) || errors.Is(err, context.Canceled)
}

// restError stands for errors that are not told one by one.
type restError struct {
	msg   string
	first error // for the exit code
}

func (e *restError) Error() string { return e.msg }
func (e *restError) Unwrap() error { return e.first }

// inBrief makes one error of those that say of many guests the same: that they
// were interrupted, or not started because another one failed. Of others, more
// than a screen has room for are counted.
func inBrief(err error) error {
	all := flatten(err)
	if len(all) <= manyErrors {
		return err
	}
	var told []error
	var waiting, stopped []string
	var first error
	rest := 0
	for _, e := range all {
		var g *engine.GuestError
		switch {
		case errors.As(e, &g) && errors.Is(e, engine.ErrDependency):
			waiting = append(waiting, g.Guest)
		case errors.As(e, &g) && isInterrupted(e):
			stopped = append(stopped, g.Guest)
		case len(told) < manyErrors:
			told = append(told, e)
			continue
		default:
			rest++
		}
		if first == nil {
			first = e
		}
	}
	for _, more := range []struct {
		n   int
		msg string
	}{
		{len(waiting), fmt.Sprintf("%s not started, because what they need failed: %s", plural(len(waiting), "guest"), nameRanges(waiting))},
		{len(stopped), fmt.Sprintf("%s interrupted: %s", plural(len(stopped), "guest"), nameRanges(stopped))},
		{rest, plural(rest, "more error") + ": --json has them all"},
	} {
		if more.n > 0 {
			told = append(told, &restError{more.msg, first})
		}
	}
	return errors.Join(told...)
}

// nameRanges lists names, where web1, web2 and web3 are web1…web3, at most a
// line of them.
func nameRanges(names []string) string {
	var parts []string
	for i := 0; i < len(names); {
		stem := strings.TrimRight(names[i], "0123456789")
		n, err := strconv.Atoi(names[i][len(stem):])
		j := i + 1
		for err == nil && j < len(names) && names[j] == stem+strconv.Itoa(n+j-i) {
			j++
		}
		if j > i+2 {
			parts = append(parts, names[i]+"…"+names[j-1])
		} else {
			parts = append(parts, names[i:j]...)
		}
		i = j
	}
	const room = 10
	if len(parts) > room {
		parts = append(parts[:room-1:room-1], "…")
	}
	return strings.Join(parts, ", ")
}
