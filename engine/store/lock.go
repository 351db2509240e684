package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
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

// orphanTime is how long the lock of a process that is gone is waited for.
const orphanTime = 2 * time.Second

// TryLockDir locks dir if nobody holds it; ok tells whether it did. The child of a
// process that was killed in the middle of a fork holds its locks until it executes
// something: that is waited for.
func TryLockDir(dir string) (l *Lock, ok bool, err error) {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, sys.Op("lock", dir, cause(err))
	}
	err = sys.FlockTry(int(f.Fd()))
	for end := time.Now().Add(orphanTime); err == sys.EAGAIN && time.Now().Before(end); {
		waits := orphaned(f)
		if waits {
			time.Sleep(time.Millisecond)
		}
		// Where nobody is seen to hold it, it was given up just now.
		if err = sys.FlockTry(int(f.Fd())); !waits {
			break
		}
	}
	if err != nil || !sameDir(f, dir) {
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

// orphaned says whether the lock on f was taken by a process that is gone. The
// kernel tells by whom each was taken (proc_locks(5)); what it does not tell is no
// orphan's.
func orphaned(f *os.File) bool {
	ino, err := sys.Inode(int(f.Fd()))
	if err != nil {
		return false
	}
	data, err := os.ReadFile("/proc/locks")
	if err != nil {
		return false
	}
	inode := fmt.Sprintf(":%d", ino)
	for line := range strings.Lines(string(data)) {
		// 1: FLOCK  ADVISORY  WRITE 4242 08:01:1234 0 EOF
		words := strings.Fields(line)
		if len(words) < 6 || words[1] != "FLOCK" || !strings.HasSuffix(words[5], inode) {
			continue
		}
		if pid, err := strconv.Atoi(words[4]); err == nil && pid > 0 {
			_, err := os.Stat("/proc/" + words[4])
			return errors.Is(err, fs.ErrNotExist)
		}
	}
	return false
}

func sameDir(f *os.File, path string) bool {
	a, err1 := f.Stat()
	b, err2 := os.Lstat(path)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}
