package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"vsl/engine/internal/sys"
)

// notifyPath is where a guest's systemd finds the socket on which it says that
// it is ready (sd_notify(3), systemd's container interface).
const notifyPath = "/run/host/notify"

// notifySocket receives the notifications of one boot.
type notifySocket struct {
	conn   *net.UnixConn
	path   string
	status string // the last STATUS=
}

// listenNotify makes the socket. The folder is reached through its descriptor,
// because a socket's path may have only 107 bytes.
func (g *guest) listenNotify() (*notifySocket, error) {
	path := g.e.paths.Notify(g.spec.Name)
	os.Remove(path)
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, &OpError{Op: "make notify socket", Target: path, Err: err}
	}
	defer dir.Close()
	short := fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: short, Net: "unixgram"})
	if err != nil {
		return nil, &OpError{Op: "make notify socket", Target: path, Err: err}
	}
	if err := os.Chmod(path, 0o666); err != nil {
		conn.Close()
		return nil, &OpError{Op: "make notify socket", Target: path, Err: err}
	}
	return &notifySocket{conn: conn, path: path}, nil
}

func (n *notifySocket) close() {
	n.conn.Close()
	os.Remove(n.path)
}

// awaitNotify is one try of probe notify: it waits until the guest says READY=1
// or the try's time is over.
func (g *guest) awaitNotify(ctx context.Context) error {
	if g.notify == nil {
		return &OpError{Op: "wait for notification of guest", Target: g.spec.Name, Err: errors.New("this command did not boot it"), Hint: "use another probe"}
	}
	buf := make([]byte, 4096)
	for {
		if ctx.Err() != nil { // also when the guest never stops telling us things
			if g.notify.status != "" {
				return fmt.Errorf("its init says: %s", g.notify.status)
			}
			return errors.New("its init has not said that it is ready")
		}
		deadline := time.Now().Add(50 * time.Millisecond)
		if !g.alive() {
			return errors.New("its pid 1 ended")
		}
		g.notify.conn.SetReadDeadline(deadline)
		n, err := g.notify.conn.Read(buf)
		if err == nil {
			if g.notify.take(string(buf[:n])) {
				return nil
			}
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return sys.Op("read notification of guest", g.spec.Name, err)
		}
	}
}

// take reads one datagram and tells whether it says READY=1.
func (n *notifySocket) take(msg string) (ready bool) {
	for line := range strings.Lines(msg) {
		line = strings.TrimSpace(line)
		if s, ok := strings.CutPrefix(line, "STATUS="); ok {
			n.status = s
		}
		ready = ready || line == "READY=1"
	}
	return ready
}
