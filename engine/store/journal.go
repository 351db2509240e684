package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
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

// CreateJournal begins a journal with an entry that says what it is; there must be none.
func CreateJournal(path string, head any) (*Journal, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, sys.Op("begin journal", path, cause(err))
	}
	j := &Journal{path: path, f: f}
	if err := j.Add(head); err != nil {
		return nil, errors.Join(err, j.Done()) // of a run that has done nothing
	}
	return j, nil
}

// Add appends one entry in a single write, so that a reader sees it whole or not
// at all. What a full disk took only a part of is taken back: more may follow.
func (j *Journal) Add(entry any) error {
	line, err := json.Marshal(entry)
	if err != nil {
		return sys.Op("write journal", j.path, err)
	}
	if n, err := j.f.Write(append(line, '\n')); err != nil {
		if end, serr := j.f.Seek(0, 2); serr == nil && n > 0 {
			err = errors.Join(err, j.f.Truncate(end-int64(n)))
		}
		return sys.Op("write journal", j.path, cause(err))
	}
	return nil
}

// Close ends writing and keeps the file, for an undo that could not finish.
func (j *Journal) Close() { j.f.Close() }

// Done removes the journal: its run is complete, or undone. One that cannot be
// removed is emptied, which says the same.
func (j *Journal) Done() error {
	defer j.f.Close()
	err := Remove(j.path)
	if err != nil && j.f.Truncate(0) == nil {
		return nil
	}
	return err
}

// ReadJournal returns the entries of an unfinished run in the order they were
// written, as JSON; none is nil. A last line that was cut off stands for a step
// that had not begun and is left out. Any other that is no JSON is ErrDamaged: what
// follows it must be undone as well, so that no part may be.
func ReadJournal(path string) (entries []json.RawMessage, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, sys.Op("read journal", path, cause(err))
	}
	for n := 1; len(data) > 0; n++ {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		if !json.Valid(line) {
			if !whole {
				return entries, nil
			}
			return nil, sys.Op("read journal", path, fmt.Errorf("%w: line %d is no JSON", ErrDamaged, n))
		}
		entries, data = append(entries, line), rest
	}
	return entries, nil
}
