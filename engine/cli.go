package engine

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"vsl/engine/internal/sys"
	"vsl/engine/spawn"
)

// The signals that a command line listens to.
var (
	Terminate    os.Signal = sys.Terminate
	Resize       os.Signal = sys.Resize
	BrokenPipe   os.Signal = sys.BrokenPipe
	TerminalStop os.Signal = sys.TerminalStop

	EndSignals    = sys.EndSignals
	PassedSignals = sys.PassedSignals
)

// ReaderGone tells whether an error is that nobody reads any more what was written.
func ReaderGone(err error) bool { return errors.Is(err, sys.EPIPE) }

// StopSelf stops this process until it is told to go on.
func StopSelf() { sys.StopSelf() }

// OwnerOf is the user that a file of the host belongs to; ok is false where its
// information is not the kernel's.
func OwnerOf(info fs.FileInfo) (uid int, ok bool) { return sys.OwnerOf(info) }

// SignalNumber is a signal's number.
func SignalNumber(s os.Signal) int { return sys.SignalNumber(s) }

// ExecCode is the exit status that env(1) gives for a command that could not be
// started: 127 when it was not found, 126 when it cannot be executed, 125 when
// the cause is none of the command's.
func ExecCode(err error) int {
	var ce *spawn.ChildError
	if !errors.As(err, &ce) || !strings.HasPrefix(ce.Name, "exec ") {
		return 125
	}
	if errors.Is(ce.Err, sys.ENOENT) {
		return 127
	}
	return 126
}

// followEvery is how often FollowLog looks for more: the files' writers are
// processes of the guest, which nobody waits for.
const followEvery = 200 * time.Millisecond

// FollowLog writes the last lines of a guest's log to w, all of them with lines
// below zero, and then what the guest adds, until ctx ends or the guest does.
func (e *Engine) FollowLog(ctx context.Context, name string, lines int, w io.Writer) error {
	g, err := e.lookup(name)
	if err != nil {
		return err
	}
	f := &follower{w: w, at: map[string]int64{}, files: e.consolePaths(g.spec.Name)}
	for _, p := range f.files {
		if info, err := os.Lstat(p); err == nil {
			f.at[p] = info.Size()
		}
	}
	if lines < 0 {
		lines = 1 << 30
	}
	for _, l := range g.LogTail(lines) {
		if _, err := io.WriteString(w, l+"\n"); err != nil {
			return err
		}
	}
	t := time.NewTicker(followEvery)
	defer t.Stop()
	for {
		_, gone := g.init()
		if err := f.more(); err != nil || gone != nil {
			return err
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
	}
}

type follower struct {
	w     io.Writer
	files []string
	at    map[string]int64 // how far each file was copied
}

// more copies what the files gained. A file that shrank began again.
func (f *follower) more() error {
	for _, p := range f.files {
		info, err := os.Lstat(p)
		if err != nil || info.Size() == f.at[p] || !info.Mode().IsRegular() {
			continue
		}
		if info.Size() < f.at[p] {
			f.at[p] = 0
		}
		f.at[p] = max(f.at[p], info.Size()-2*int64(logMax)) // what grew faster than a log may be long
		file, err := os.Open(p)
		if err != nil {
			return err
		}
		n, err := io.Copy(f.w, io.NewSectionReader(file, f.at[p], info.Size()-f.at[p]))
		file.Close()
		f.at[p] += n
		if err != nil {
			return err
		}
	}
	return nil
}

// SignalNames are the names that ParseSignal knows, without SIG.
func SignalNames() []string { return sortedKeys(signals) }
