package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"vsl/engine/internal/sys"
)

// Lock is an exclusive flock(2) on a folder. The kernel drops it when its
// holder dies, and there is no lock file to leave behind.
type Lock struct{ dir *os.File }

// ErrGone says that a folder was removed while its lock was waited for.
var ErrGone = errors.New("removed meanwhile")

// LockDir locks dir, waiting until ctx ends. Waiting is called once when the
// lock is not free at once; it may be nil. If the folder is replaced or removed
// while waiting, the error is ErrGone.
func LockDir(ctx context.Context, dir string, waiting func()) (*Lock, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, sys.Op("lock", dir, cause(err))
	}
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := sys.FlockTry(int(f.Fd()))
		if err == nil {
			break
		}
		if err != sys.EAGAIN {
			f.Close()
			return nil, sys.Op("lock", dir, err)
		}
		if waiting != nil {
			waiting()
			waiting = nil
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, &sys.OpError{Op: "lock", Target: dir, Err: ctx.Err(), Hint: "another vsl command works on it"}
		case <-time.After(pause):
		}
	}
	if !sameDir(f, dir) {
		f.Close()
		return nil, sys.Op("lock", dir, ErrGone)
	}
	return &Lock{f}, nil
}

// TryLockDir locks dir if nobody holds it; ok tells whether it did.
func TryLockDir(dir string) (l *Lock, ok bool, err error) {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, sys.Op("lock", dir, cause(err))
	}
	if err := sys.FlockTry(int(f.Fd())); err != nil || !sameDir(f, dir) {
		f.Close()
		return nil, false, nil
	}
	return &Lock{f}, true, nil
}

// Unlock gives the lock back.
func (l *Lock) Unlock() {
	if l != nil {
		l.dir.Close()
	}
}

func sameDir(f *os.File, path string) bool {
	a, err1 := f.Stat()
	b, err2 := os.Lstat(path)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}
