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
	l.pid1.files = l.pid1.kind.files(l.pid1.argv, l.g.tree != nil)
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
	paths := l.g.e.consolePaths(l.g.spec.Name)
	switch what {
	case fileLog:
		return l.g.openLogFile(paths[1])
	case fileOlder:
		return l.g.openLogFile(paths[0])
	case fileReader:
		f, l.reader, err = l.g.readLog(paths)
		return f, err
	}
	l.failed, f, err = os.Pipe()
	return f, err
}

// openLogFile opens one log file. It is the host's: nothing in the guest holds it
// but the reaper, which the guest can neither trace nor take descriptors from.
func (g *guest) openLogFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, &OpError{Op: "open log of guest", Target: g.spec.Name, Err: err}
	}
	return f, nil
}

// readLogFile gives a log file, or its end, however long somebody made it.
func readLogFile(path string) []byte {
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
