package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		in   []time.Duration
		want time.Duration
	}{
		{[]time.Duration{3, 1, 2}, 2},
		{[]time.Duration{4, 1, 3, 2}, 2},
		{[]time.Duration{7}, 7},
	} {
		if got := median(c.in); got != c.want {
			t.Errorf("median(%v) is %v, want %v", c.in, got, c.want)
		}
	}
}

func TestExperimentAlternatesAndNotesFailures(t *testing.T) {
	var order []string
	say := func(name string, d time.Duration, fail bool) *contender {
		return &contender{name: name, round: func() ([]time.Duration, error) {
			order = append(order, name)
			if fail {
				return nil, errors.New("no such kernel")
			}
			return []time.Duration{d}, nil
		}}
	}
	e := &experiment{title: "x", phases: []string{"start"}, rounds: 2, contenders: []*contender{
		say("vsl", time.Millisecond, false), say("peer", 4*time.Millisecond, false), say("bad", 0, true),
	}}
	e.run(time.Now().Add(time.Minute))
	if got := strings.Join(order, " "); got != "vsl peer bad vsl peer vsl peer" {
		t.Errorf("order was %q", got)
	}
	var out bytes.Buffer
	e.print(&out)
	for _, want := range []string{"0.25", "bad could not run: round 0: no such kernel"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
}
