package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// contender is one way of doing what an experiment measures. round does it once
// and gives the time of each of the experiment's phases.
type contender struct {
	name  string
	setup func() error // once, unmeasured; nil does nothing
	round func() ([]time.Duration, error)
	done  func() // once, after all rounds; nil does nothing
	note  string // what differs from the others' work, in its favour or not

	times  [][]time.Duration // per phase
	failed error
}

// experiment measures contenders in turn, A B A B, so that what changes on the
// machine meanwhile meets all of them. The first contender is vsl: the ratios
// are vsl's median divided by the other's.
type experiment struct {
	key        string
	title      string
	phases     []string
	rounds     int
	contenders []*contender
	extra      func(io.Writer) // more lines below the table
}

// run measures; the first round of each contender is a rehearsal and not
// counted. Whoever fails takes no further part, and the table says why.
func (e *experiment) run(deadline time.Time) {
	for _, c := range e.contenders {
		c.times = make([][]time.Duration, len(e.phases))
		if c.setup != nil && c.failed == nil {
			c.failed = c.setup()
		}
	}
	for i := range e.rounds + 1 {
		for _, c := range e.contenders {
			if c.failed != nil || time.Now().After(deadline) {
				continue
			}
			got, err := c.round()
			if err != nil {
				c.failed = fmt.Errorf("round %d: %w", i, err)
				continue
			}
			for phase := range e.phases {
				if i > 0 {
					c.times[phase] = append(c.times[phase], got[phase])
				}
			}
		}
	}
}

// finish has each contender take away what its setup made.
func (e *experiment) finish() {
	for _, c := range e.contenders {
		if c.done != nil {
			c.done()
		}
	}
}

func (e *experiment) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n", e.title)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	head := []string{"", "rounds"}
	for _, p := range e.phases {
		head = append(head, p, "min", "max", "vsl/this")
	}
	fmt.Fprintln(tw, strings.Join(head, "\t")+"\t")
	first := e.contenders[0]
	for _, c := range e.contenders {
		if len(c.times) == 0 || len(c.times[0]) == 0 {
			continue
		}
		row := []string{c.name, fmt.Sprint(len(c.times[0]))}
		for phase := range e.phases {
			t := c.times[phase]
			ratio := "-"
			if c != first && len(first.times[phase]) > 0 && median(t) > 0 {
				ratio = ratioText(float64(median(first.times[phase])) / float64(median(t)))
			}
			row = append(row, ms(median(t)), ms(slices.Min(t)), ms(slices.Max(t)), ratio)
		}
		fmt.Fprintln(tw, strings.Join(row, "\t")+"\t")
	}
	tw.Flush()
	for _, c := range e.contenders {
		if c.note != "" && c.failed == nil {
			fmt.Fprintf(w, "  %s: %s\n", c.name, c.note)
		}
		if c.failed != nil {
			fmt.Fprintf(w, "  %s could not run: %v\n", c.name, c.failed)
		}
	}
	if e.extra != nil {
		e.extra(w)
	}
}

func median(t []time.Duration) time.Duration {
	s := slices.Sorted(slices.Values(t))
	if len(s)%2 == 1 {
		return s[len(s)/2]
	}
	return (s[len(s)/2-1] + s[len(s)/2]) / 2
}

// ratioText keeps what matters of a ratio: 1.73, 0.08, 0.0006.
func ratioText(r float64) string {
	if r >= 0.01 {
		return fmt.Sprintf("%.2f", r)
	}
	return fmt.Sprintf("%.1g", r)
}

// ms prints milliseconds with three significant digits; nothing is a dash.
func ms(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	v := float64(d) / float64(time.Millisecond)
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f ms", v)
	case v >= 10:
		return fmt.Sprintf("%.1f ms", v)
	}
	return fmt.Sprintf("%.2f ms", v)
}
