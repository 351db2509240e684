package vm

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"
)

// maxMachines bounds the memory that a host with many processors spends: each
// machine takes up to 2 GiB.
const maxMachines = 4

// farm gives jobs to machines, each of which asks for the next when it is done
// with one. So none waits for another, and one that goes down takes only the job
// with it that it was at.
type farm struct {
	jobs     []Job
	machines []*machine
	running  sync.WaitGroup
	results  chan outcome

	mu   sync.Mutex
	next int          // the first job that nobody took
	done map[int]bool // jobs that began and ended, in whichever way
}

// outcome is how a job ended.
type outcome struct {
	job  int
	pkg  Package
	took time.Duration
}

// machine is one of the farm: what it ended with is there when the outcomes end.
type machine struct {
	dir string
	res Result
	err error
}

func newFarm(jobs []Job) *farm {
	return &farm{jobs: jobs, results: make(chan outcome, len(jobs)), done: map[int]bool{}}
}

// take gives a job to who asks: its number as a line, an empty one when there is
// none left.
func (f *farm) take() (job int, answer string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next == len(f.jobs) {
		return -1, "\n"
	}
	f.next++
	return f.next - 1, fmt.Sprintf("%d\n", f.next-1)
}

// start boots a machine that works until there is no job left.
func (f *farm) start(ctx context.Context, c Config) {
	m := &machine{dir: c.Dir}
	f.machines = append(f.machines, m)
	f.running.Go(func() { m.err = f.work(ctx, c, &m.res) })
}

func (f *farm) work(ctx context.Context, c Config, res *Result) error {
	stdin, answers, err := os.Pipe() // of the kernel: a line or two never wait in it
	if err != nil {
		return err
	}
	defer stdin.Close()
	defer answers.Close()
	var job int
	var since time.Time
	p := &parser{}
	p.next = func() {
		var answer string
		job, answer = f.take()
		since = time.Now()
		_, _ = answers.WriteString(answer) // to a machine that is gone: its end says so
	}
	p.done = func(pkg Package) {
		f.mu.Lock()
		f.done[job] = true
		f.mu.Unlock()
		f.results <- outcome{job, pkg, time.Since(since)}
	}
	c.Stdin, c.Output, c.Within = stdin, p, time.Hour
	if end, ok := ctx.Deadline(); ok {
		c.Within = time.Until(end)
	}
	*res, err = Run(ctx, c)
	p.Close()
	return err
}

// outcomes gives each job's as it ends, until all machines are down.
func (f *farm) outcomes() <-chan outcome {
	go func() {
		f.running.Wait()
		close(f.results)
	}()
	return f.results
}

// left are the jobs that never began.
func (f *farm) left() []Job {
	f.mu.Lock()
	defer f.mu.Unlock()
	var left []Job
	for i, job := range f.jobs {
		if !f.done[i] {
			left = append(left, job)
		}
	}
	return left
}
