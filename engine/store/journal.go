package store

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"

	"vsl/engine/internal/sys"
)

// Journal is a list of what must be undone if a run does not finish. A line is
// written before the step acts, so a run that is killed anywhere leaves a
// journal that covers all it did. It speaks of kernel state, which a reboot
// clears as it clears /run: it is not synced to disk.
type Journal struct {
	path string
	f    *os.File
}

// CreateJournal begins a journal; there must be none.
func CreateJournal(path string) (*Journal, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, sys.Op("begin journal", path, cause(err))
	}
	return &Journal{path: path, f: f}, nil
}

// Add appends one entry in a single write, so that a reader sees it whole or not at all.
func (j *Journal) Add(entry any) error {
	line, err := json.Marshal(entry)
	if err != nil {
		return sys.Op("write journal", j.path, err)
	}
	if _, err := j.f.Write(append(line, '\n')); err != nil {
		return sys.Op("write journal", j.path, cause(err))
	}
	return nil
}

// Close ends writing and keeps the file, for an undo that could not finish.
func (j *Journal) Close() { j.f.Close() }

// Done removes the journal: its run is complete, or undone.
func (j *Journal) Done() error {
	j.f.Close()
	return Remove(j.path)
}

// ReadJournal returns the entries of an unfinished run in the order they were
// written; none is nil. A last line that was cut off stands for a step that had
// not begun and is left out.
func ReadJournal[E any](path string) (entries []E, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, sys.Op("read journal", path, cause(err))
	}
	sc := bufio.NewScanner(bytes.NewReader(data))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var e E
		if json.Unmarshal(sc.Bytes(), &e) != nil {
			break
		}
		entries = append(entries, e)
	}
	return entries, nil
}
