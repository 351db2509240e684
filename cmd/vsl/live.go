package main

import (
	"fmt"
	"os"
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
	shown  bool // a live line is on the terminal now
	ticker *time.Ticker
	done   chan struct{}
}

// job is one guest or template under way.
type job struct {
	engine.Progress
	since time.Time
	next  time.Time     // when the next plain line is due
	gap   time.Duration // between it and the one after
}

const (
	patience = time.Second            // what is faster needs no words
	redraw   = 100 * time.Millisecond // of the live line
	plainGap = 5 * time.Second        // between the first two plain lines about one stage; each gap is twice the last
)

func newLive(u *ui) *live { return &live{u: u, jobs: map[string]*job{}} }

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
	var slow []string
	for _, name := range sortedNames(l.jobs) {
		j := l.jobs[name]
		if now.Sub(j.since) < patience {
			continue
		}
		if l.u.errTerm {
			slow = append(slow, fmt.Sprintf("%s: %s %s", name, j.words(), now.Sub(j.since).Round(time.Second)))
		} else if !now.Before(j.next) {
			j.gap = max(plainGap, 2*j.gap)
			j.next = now.Add(j.gap)
			fmt.Fprintf(l.u.err, "vsl: %s: %s\n", name, j.words())
		}
	}
	if len(slow) == 0 {
		l.clear()
		return
	}
	line := clean("vsl: " + strings.Join(slow, "; "))
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
