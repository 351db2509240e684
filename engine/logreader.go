package engine

import (
	"context"
	"errors"
	"os"
	"time"

	"vsl/engine/internal/sys"
	"vsl/engine/spawn"
)

// logReader is a process of some kilobytes, outside of the guest, that puts what
// the guest's own init prints into the ring of its two log files. An init must be
// pid 1 itself, so the reaper cannot stand between it and its log; and a file that
// it held could be grown without bound, leased, and asked for its path. So it
// holds a pipe. Only a reader can keep the newest of what comes through one.
//
// It needs no care: it lives in a cgroup of its own, so that it ends neither with
// the command or service that booted the guest nor by what the guest does to its
// own cgroup, and it goes with the last process that holds the pipe. Of systemd
// and others that turn to /dev/console or a journal that is at once.
type logReader struct{ done chan struct{} }

// lastWords bounds the wait for what an ended guest has printed.
const lastWords = time.Second

// readLog starts the reader of the guest's log and gives the pipe to write to.
func (g *guest) readLog(paths []string) (*os.File, *logReader, error) {
	pr, pw, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer pr.Close()
	r, err := g.startReader(pr, paths)
	if err == nil {
		// so that guest root may open it by name, as /dev/stdout
		err = pw.Chown(g.hostID(), g.hostID())
	}
	if err != nil {
		pw.Close()
		return nil, nil, &OpError{Op: "read log of guest", Target: g.spec.Name, Err: err}
	}
	return pw, r, nil
}

func (g *guest) startReader(from *os.File, paths []string) (*logReader, error) {
	newer, err := g.openLogFile(paths[1])
	if err != nil {
		return nil, err
	}
	defer newer.Close()
	older, err := g.openLogFile(paths[0])
	if err != nil {
		return nil, err
	}
	defer older.Close()
	program, err := readerProgram(uint32(g.hostID()))
	if err != nil {
		return nil, err
	}
	layout, err := g.e.layout()
	if err != nil {
		return nil, err
	}
	// Whoever removes the last context removes the readers' group with it.
	for range 10 {
		var cgroup *os.File
		if cgroup, err = layout.Helpers(g.e.paths.Base()); err != nil {
			return nil, err
		}
		var proc *spawn.Process
		proc, err = spawn.Start(&spawn.Attr{Name: "the reader of its log", Program: program,
			CgroupFD: int(cgroup.Fd()), Files: []*os.File{from, nil, nil, newer, older}})
		cgroup.Close()
		if err == nil {
			r := &logReader{done: make(chan struct{})}
			go r.reap(proc)
			return r, nil
		}
		if !errors.Is(err, sys.ENODEV) {
			break
		}
	}
	return nil, err
}

// readerProgram makes the reader nobody: an id of the guest's range, which no
// process of the host has, and the pid namespace hides it from the guest.
func readerProgram(base uint32) (*spawn.Program, error) {
	reaper, err := spawn.Reaper()
	if err != nil {
		return nil, err
	}
	p := &spawn.Program{}
	p.KeepFD(int(reaper.Fd()))
	p.Chdir("/")
	p.SetSid()
	p.SetIDs(base+65535, base+65535)
	p.CloseRange(5)
	p.ExecFD(int(reaper.Fd()), spawn.LogReaderArgv(), nil)
	return p, nil
}

// reap collects it, where this process lives that long.
func (r *logReader) reap(proc *spawn.Process) {
	_, _ = proc.Wait(context.Background())
	proc.Close()
	close(r.done)
}

// finish waits for what an ended guest printed last.
func (r *logReader) finish() {
	if r == nil {
		return
	}
	select {
	case <-r.done:
	case <-time.After(lastWords):
	}
}
