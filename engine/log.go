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

// openFiles opens what pid 1 begins with.
func (l *launch) openFiles() error {
	g, name := l.g, l.g.spec.Name
	l.pid1.files = l.pid1.kind.files(l.pid1.argv, g.tree != nil)
	if g.tree == nil {
		if err := g.e.trimLog(name); err != nil {
			return err
		}
	}
	open := map[string]*os.File{fileNull: nil}
	for _, what := range l.pid1.files {
		if _, ok := open[what]; !ok {
			f, err := l.openFile(what)
			if err != nil {
				return err
			}
			open[what] = f
		}
		l.files = append(l.files, open[what])
	}
	return nil
}

func (l *launch) openFile(what string) (f *os.File, err error) {
	path := l.g.e.paths.Console(l.g.spec.Name)
	switch what {
	case fileLog:
		return l.g.openLogFile(path)
	case fileOlder:
		return l.g.openLogFile(path + ".1")
	}
	l.failed, f, err = os.Pipe()
	return f, err
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
