package engine

import (
	"io"
	"os"
	"sort"

	"vsl/engine/spawn"
)

// logMax bounds each of the two files of a guest's log.
const logMax = spawn.LogMax

// consolePaths gives the files of a guest's log, the older one first.
func (e *Engine) consolePaths(name string) []string {
	p := e.paths.Console(name)
	files := []string{p + ".1", p}
	age := func(f string) int64 {
		info, err := os.Lstat(f)
		if err != nil {
			return 0
		}
		return info.ModTime().UnixNano()
	}
	sort.SliceStable(files, func(i, j int) bool { return age(files[i]) < age(files[j]) })
	return files
}

// openLog opens what pid 1 begins with: nothing to read, and the guest's log to
// write. A command below the reaper also gets both log files, which the reaper
// fills in turn; what an init writes is trimmed by trimLog.
func (l *launch) openLog() ([]*os.File, error) {
	g := l.g
	if g.tree != nil {
		return make([]*os.File, 3), nil
	}
	if err := g.e.trimLog(g.spec.Name); err != nil {
		return nil, err
	}
	first, err := g.openLogFile(g.e.paths.Console(g.spec.Name))
	if err != nil {
		return nil, err
	}
	files := []*os.File{nil, first, first}
	if l.kind.name != "command" {
		return files, nil
	}
	second, err := g.openLogFile(g.e.paths.Console(g.spec.Name) + ".1")
	if err != nil {
		first.Close()
		return nil, err
	}
	return append(files, first, second), nil
}

// openLogFile opens one log file so that guest root may open it again through
// /dev/stdout, and so that writers never overwrite each other.
func (g *guest) openLogFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, &OpError{Op: "open log of guest", Target: g.spec.Name, Err: err}
	}
	if err := f.Chown(g.hostID(), g.hostID()); err != nil {
		f.Close()
		return nil, &OpError{Op: "open log of guest", Target: g.spec.Name, Err: err}
	}
	return f, nil
}

// trimLog keeps the log of a guest with an init of its own bounded: when the
// file is over its bound, its end becomes the older file and it begins again.
// Every command that looks at the guest does this; nothing of vsl runs between.
func (e *Engine) trimLog(name string) error {
	path := e.paths.Console(name)
	info, err := os.Lstat(path)
	if err != nil || info.Size() <= logMax {
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return &OpError{Op: "trim log of guest", Target: name, Err: err}
	}
	defer f.Close()
	tail := make([]byte, logMax)
	n, err := f.ReadAt(tail, info.Size()-logMax)
	if err != nil && err != io.EOF {
		return &OpError{Op: "trim log of guest", Target: name, Err: err}
	}
	if err := os.WriteFile(path+".1", tail[:n], 0o600); err != nil {
		return &OpError{Op: "trim log of guest", Target: name, Err: err}
	}
	return f.Truncate(0) // writers append, so they go on at the new end
}

// readLog gives a log file, or its end: the file is the guest's to write, and to
// make as long as it likes.
func readLog(path string) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	const most = 2 * int64(logMax)
	data, _ := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-most), most)) // what could be read
	return data
}
