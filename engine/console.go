package engine

import (
	"bytes"
	"context"
	"errors"
	"os"
	"time"

	"vsl/engine/internal/sys"
	"vsl/engine/spawn"
)

// console is the terminal that a guest's own init has as /dev/console while the
// command that boots it runs: what it prints goes to the guest's log, so that a
// boot that fails says why. Afterwards nobody holds its other side, because no
// process of ours stays behind. The name is a link to a terminal of the guest's
// own devpts, which vanishes with its master: inits go on at once without a
// console, while for one that is only hung up systemd waits a second each line.
type console struct {
	master *os.File
	log    *os.File
	done   chan struct{}
}

const (
	consolePath   = "/dev/console"
	consoleTarget = "pts/0" // the first terminal of a fresh devpts
)

// startConsole begins to copy a guest's console to its log, the pipe to its reader.
func startConsole(pty *spawn.PTY, log *os.File) (*console, error) {
	fd, err := sys.DupAbove(int(log.Fd()), 0)
	if err != nil {
		pty.Close()
		return nil, err
	}
	c := &console{master: pty.Master, log: os.NewFile(uintptr(fd), log.Name()), done: make(chan struct{})}
	go c.copy()
	return c, nil
}

// endConsole takes a guest's console away. The link goes first, or it would
// lead to whoever gets the first terminal next.
func (g *guest) endConsole() {
	if g.console == nil {
		return
	}
	if g.running() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := g.inside(ctx, func(in *spawn.Inside) error { return in.RemoveAll(consolePath) }); err != nil {
			g.e.log.Debug().Str("guest", g.spec.Name).Err(err).Msg("its console stays a link to nowhere")
		}
	}
	g.dropConsole()
}

// dropConsole lets go of the console of a context that ends now. While we hold the
// pipe of its log, the reader does not end.
func (g *guest) dropConsole() {
	if g.console != nil {
		g.console.close()
		g.console = nil
	}
}

// copy writes what the guest prints to its log.
func (c *console) copy() {
	defer close(c.done)
	buf := make([]byte, 4096)
	for {
		n, err := c.master.Read(buf)
		if n > 0 {
			// A reader that is gone must not stop the guest.
			_, _ = c.log.Write(bytes.ReplaceAll(buf[:n], []byte("\r\n"), []byte("\n")))
		}
		// EIO: no process of the guest has it open now; one may open it again.
		if err != nil && !errors.Is(err, sys.EIO) {
			return
		}
		if err != nil {
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func (c *console) close() {
	c.master.Close() // ends the Read
	<-c.done
	c.log.Close()
}
