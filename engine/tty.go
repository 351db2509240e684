package engine

import (
	"io"
	"time"

	"vsl/engine/internal/sys"
	"vsl/engine/spawn"
)

// terminal connects a command's pty inside the guest with our terminal until
// the returned function is called, which first reads what is left.
func (x *execution) terminal(pty *spawn.PTY) (stop func()) {
	t := x.args.TTY
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(t.Out, pty.Master) // ends with EIO when the last process lets go of the terminal
	}()
	// A descriptor of its own, which can be closed under its reader: no key
	// typed after the command's end is swallowed.
	in, err := sys.OpenPollable(t.In)
	if err == nil {
		go io.Copy(pty.Master, in)
	}
	end := make(chan struct{})
	go func() {
		for {
			select {
			case size, ok := <-t.Resize:
				if !ok {
					return
				}
				pty.Resize(size.Rows, size.Cols)
			case <-end:
				return
			}
		}
	}()
	return func() {
		close(end)
		if in != nil {
			in.Close()
		}
		waitOr(done, pipeGrace)
		pty.Close()
	}
}

// waitOr waits for done, but not longer than d, and tells whether it came.
func waitOr(done <-chan struct{}, d time.Duration) bool {
	select {
	case <-done:
		return true
	case <-time.After(d):
		return false
	}
}
