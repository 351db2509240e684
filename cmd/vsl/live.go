package main

import (
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"
	"time"

	"golang.org/x/term"

	"vsl/engine"
)

// live tells what takes long. It knows nothing before progress is called, and
// says nothing of what ends within a second.
type live struct {
	u      *ui
	jobs   map[string]*job
	told   map[string]*rhythm // of plain lines, by what is told
	shown  bool               // a live line is on the terminal now
	ticker *time.Ticker
	done   chan struct{}
}

// job is one guest or template under way.
type job struct {
	engine.Progress
	since time.Time
}

// rhythm is when something is told again.
type rhythm struct {
	next time.Time
	gap  time.Duration // between it and the one after
}

const (
	patience = time.Second            // what is faster needs no words
	redraw   = 100 * time.Millisecond // of the live line
	plainGap = 5 * time.Second        // between the first two plain lines about one stage; each gap is twice the last
)

func newLive(u *ui) *live { return &live{u: u, jobs: map[string]*job{}, told: map[string]*rhythm{}} }

// progress takes news from the engine; it is called from any goroutine.
func (u *ui) progress(p engine.Progress) {
	if u.quiet {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	l := u.live
	if p.Stage == "up" || p.Stage == "done" {
		delete(l.jobs, p.Subject)
		return
	}
	j := l.jobs[p.Subject]
	if j == nil || j.Stage != p.Stage {
		j = &job{since: time.Now()}
		l.jobs[p.Subject] = j
	}
	j.Progress = p
	if l.ticker == nil {
		l.ticker, l.done = time.NewTicker(redraw), make(chan struct{})
		go l.loop(l.ticker, l.done)
	}
}

func (l *live) loop(t *time.Ticker, done chan struct{}) {
	for {
		select {
		case <-t.C:
			l.u.mu.Lock()
			l.tick(time.Now())
			l.u.mu.Unlock()
		case <-done:
			return
		}
	}
}

func (l *live) tick(now time.Time) {
	var slow []*job
	for _, name := range sortedNames(l.jobs) {
		if j := l.jobs[name]; now.Sub(j.since) >= patience {
			slow = append(slow, j)
		}
	}
	switch {
	case !l.u.errTerm:
		l.plain(slow, now)
	case len(slow) == 0:
		l.clear()
	default:
		l.draw(slow, now)
	}
}

// plain tells in lines what is slow, all guests at the same stage in one.
func (l *live) plain(slow []*job, now time.Time) {
	groups := map[string][]*job{}
	for _, j := range slow {
		groups[j.group()] = append(groups[j.group()], j)
	}
	for key := range l.told {
		if groups[key] == nil {
			delete(l.told, key)
		}
	}
	for _, key := range sortedNames(groups) {
		r := l.told[key]
		if r == nil {
			r = &rhythm{}
			l.told[key] = r
		}
		if now.Before(r.next) {
			continue
		}
		r.gap = max(plainGap, 2*r.gap)
		r.next = now.Add(r.gap)
		var names []string
		for _, j := range groups[key] {
			names = append(names, j.Subject)
		}
		slices.SortStableFunc(names, func(a, b string) int { return len(a) - len(b) }) // web2 before web10
		fmt.Fprintf(l.u.err, "vsl: %s: %s\n", nameRanges(names), groups[key][0].words())
	}
}

// draw shows what is slow in one line of the terminal.
func (l *live) draw(slow []*job, now time.Time) {
	var parts []string
	for _, j := range slow {
		parts = append(parts, fmt.Sprintf("%s: %s %s", j.Subject, j.words(), now.Sub(j.since).Round(time.Second)))
	}
	line := clean("vsl: " + strings.Join(parts, "; "))
	if f, ok := l.u.err.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 1 && len([]rune(line)) >= w {
			line = string([]rune(line)[:w-2]) + "…"
		}
	}
	fmt.Fprintf(l.u.err, "\r\x1b[K%s", line)
	l.shown = true
}

// clear takes the live line away; the lock is held.
func (l *live) clear() {
	if l.shown {
		fmt.Fprint(l.u.err, "\r\x1b[K")
		l.shown = false
	}
}

func (l *live) end() {
	l.u.mu.Lock()
	defer l.u.mu.Unlock()
	if l.ticker != nil {
		l.ticker.Stop()
		close(l.done)
		l.ticker = nil
	}
	l.jobs = map[string]*job{}
	l.clear()
}

// group is the same for jobs that one plain line can tell of.
func (j *job) group() string {
	if strings.HasPrefix(j.Subject, "template ") {
		return j.Subject + " " + j.Stage
	}
	return j.Stage
}

// words say what a job is at.
func (j *job) words() string {
	stage := j.Stage
	if strings.HasPrefix(j.Subject, "template ") {
		stage = "building: " + stage
	}
	switch stage {
	case "ready":
		stage = "waiting until it is ready"
	case "boot":
		stage = "booting"
	case "provision":
		stage = "provisioning"
	case "shutdown":
		stage = "shutting down"
	}
	if j.Total > 0 {
		stage += fmt.Sprintf(" %d%%", min(100, j.Done*100/j.Total))
	}
	return stage
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}
