package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strconv"
	"strings"
	"time"

	"vsl/engine/internal/sys"
	"vsl/engine/ipbind"
	"vsl/engine/netdev"
)

const (
	defaultWithin = 60 * time.Second
	firstEvery    = 5 * time.Millisecond
	maxEvery      = time.Second
	maxAnswer     = 64 << 10 // of a page that is read to its end
	answerTime    = time.Second
	attemptTime   = 5 * time.Second // one try of a probe that does not say
)

// defaultProbe is how a guest without one of its own is known to be ready:
// systemd says so itself, for everything else running must do.
func (g *guest) defaultProbe() Probe {
	if g.spec.Ready != nil {
		return *g.spec.Ready
	}
	if g.run.Init == "systemd" {
		return Probe{Kind: "notify"}
	}
	return Probe{Kind: "started"}
}

// WaitReady waits until a probe succeeds. When it does not in time, the error
// is ErrNotReady with what the last try said.
func (g *guest) WaitReady(ctx context.Context, p Probe) error {
	within := g.readyWithin(p)
	ctx, cancel := context.WithTimeoutCause(ctx, within, ErrNotReady)
	defer cancel()
	try, err := g.attempt(p)
	if err != nil {
		return err
	}
	each := cmp.Or(p.Timeout, attemptTime)
	tooSlow := fmt.Errorf("a try took longer than its timeout of %s", each)
	deadline, _ := ctx.Deadline()
	var last error
	for begin := time.Now(); ; {
		// Whoever is ready is found out at most a quarter of its time later.
		pause := min(max(firstEvery, time.Since(begin)/4), maxEvery)
		if p.Every > 0 {
			pause = p.Every
		}
		tryCtx, done := context.WithTimeoutCause(ctx, each, tooSlow)
		err := try(tryCtx)
		done()
		if err == nil {
			return nil
		}
		if last == nil || time.Now().Before(deadline) { // that the time is up says nothing of why
			last = err
		}
		if !g.alive() {
			return fmt.Errorf("%s: %w while waiting", g.spec.Name, g.diedEarly(ctx))
		}
		select {
		case <-ctx.Done():
			if cause := context.Cause(ctx); !errors.Is(cause, ErrNotReady) {
				return cause
			}
			return g.notReady(p, within, last)
		case <-time.After(pause):
		}
	}
}

// readyWithin is how long a probe has: what it says itself, but no longer than the
// guest's timeout gives the phase.
func (g *guest) readyWithin(p Probe) time.Duration {
	phase, ok := g.spec.Timeouts["ready"]
	switch {
	case ok && (p.Within == 0 || phase < p.Within):
		return phase
	case p.Within == 0:
		return defaultWithin
	}
	return p.Within
}

// notReady says what the last try met. Nothing that listens is rarely a matter of time.
func (g *guest) notReady(p Probe, within time.Duration, last error) error {
	e := &OpError{Op: "wait for " + p.String(), Target: "of " + g.spec.Name,
		Err: fmt.Errorf("%w (%s): %w", ErrNotReady, within, last), Hint: `its probe can have longer: within = "2m"`}
	if errors.Is(last, sys.ECONNREFUSED) {
		e.Err = fmt.Errorf("nothing listens at %s: %w (%s)", g.probed(p.Port), ErrNotReady, within)
		e.Hint = fmt.Sprintf("is its service on another port or address, or did it end? (vsl up --keep leaves it for vsl logs %s) "+
			"One that is slow can have longer: within = \"2m\"", g.spec.Name)
	}
	return e
}

func (p Probe) String() string {
	switch p.Kind {
	case "tcp":
		return "tcp port " + strconv.Itoa(p.Port)
	case "http":
		return fmt.Sprintf("http port %d %s", p.Port, p.httpPath())
	case "exec":
		return "command " + strings.Join(p.Argv, " ")
	case "file":
		return "file " + p.Path
	case "log":
		return strconv.Quote(p.Match) + " in the log"
	case "notify":
		return "the notification of init"
	}
	return p.Kind
}

func (p Probe) httpPath() string {
	if p.Path == "" {
		return "/"
	}
	return p.Path
}

// attempt gives one try of a probe.
func (g *guest) attempt(p Probe) (func(context.Context) error, error) {
	switch p.Kind {
	case "started":
		return func(context.Context) error { return nil }, nil
	case "notify":
		return g.awaitNotify, nil
	case "tcp":
		return func(ctx context.Context) error {
			c, err := g.dial(ctx, p.Port)
			if err == nil {
				c.Close()
			}
			return err
		}, nil
	case "http":
		return func(ctx context.Context) error { return g.tryHTTP(ctx, p) }, nil
	case "exec":
		return func(ctx context.Context) error {
			res, err := g.Exec(ctx, ExecArgs{Argv: p.Argv})
			if err == nil && res.Code != 0 {
				err = fmt.Errorf("exit status %d: %s", res.Code, strings.TrimSpace(lastLine(res.Stderr)))
			}
			return err
		}, nil
	case "file":
		return func(ctx context.Context) error {
			ok, err := g.Exists(ctx, p.Path)
			if err == nil && !ok {
				err = fs.ErrNotExist
			}
			return err
		}, nil
	case "log":
		return func(context.Context) error {
			if !g.logContains(p.Match) {
				return errors.New("not there yet")
			}
			return nil
		}, nil
	}
	return nil, &SpecError{Pos: g.keyPos("ready"), Guest: g.spec.Name, Msg: fmt.Sprintf("unknown probe %q", p.Kind)}
}

// dial connects to a port of the guest: on its first address, else on its private
// loopback; for a guest with a network of its own, from inside that.
func (g *guest) dial(ctx context.Context, port int) (net.Conn, error) {
	if g.run.OwnNet {
		return g.dialInside(ctx, port)
	}
	var d net.Dialer
	if len(g.spec.Net.Addrs) == 0 {
		lo := netdev.Loopback4(g.rec.XID)
		d.LocalAddr, d.Control = &net.TCPAddr{IP: lo.AsSlice()}, sys.PacketPriority(ipbind.LocalPriority(lo))
	}
	return d.DialContext(ctx, "tcp", g.probed(port))
}

// probed is the address and port that probes of a port ask.
func (g *guest) probed(port int) string {
	addr := netdev.Loopback4(g.rec.XID).String()
	if g.run.OwnNet {
		addr = "127.0.0.1"
	} else if ips := ips(g.spec.Net); len(ips) > 0 {
		addr = ips[0]
	}
	return net.JoinHostPort(addr, strconv.Itoa(port))
}

// tryHTTP asks once for a page. It speaks just enough HTTP to read a status
// line: net/http would double the start cost of every command.
func (g *guest) tryHTTP(ctx context.Context, p Probe) error {
	c, err := g.dial(ctx, p.Port)
	if err != nil {
		return err
	}
	defer c.Close()
	if deadline, ok := ctx.Deadline(); ok {
		c.SetDeadline(deadline)
	}
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: vsl\r\nConnection: close\r\n\r\n", p.httpPath(), hostname(g.spec)); err != nil {
		return err
	}
	line := make([]byte, 12)
	n, _ := io.ReadFull(c, line) // what is short is no HTTP
	err = checkStatus(string(line[:n]), p.Status)
	// The page is nothing to us, but who hangs up before its end leaves an error in
	// the server's log, at each try.
	c.SetDeadline(time.Now().Add(answerTime))
	_, _ = io.CopyN(io.Discard, c, maxAnswer)
	return err
}

// checkStatus reads "HTTP/1.1 200 OK".
func checkStatus(line string, want int) error {
	rest, ok := strings.CutPrefix(line, "HTTP/1.")
	if !ok || len(rest) < 5 {
		return fmt.Errorf("the answer %q is not HTTP", line)
	}
	code, err := strconv.Atoi(rest[2:5])
	if err != nil {
		return fmt.Errorf("the answer %q is not HTTP", line)
	}
	if want != 0 && code != want || want == 0 && (code < 200 || code > 399) {
		return fmt.Errorf("status %d", code)
	}
	return nil
}

// alive tells whether the guest can still become ready.
func (g *guest) alive() bool {
	if g.tx != nil {
		return g.running()
	}
	_, err := g.init()
	return err == nil
}

func (g *guest) diedEarly(ctx context.Context) error {
	if g.proc != nil {
		wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if ex, err := g.proc.Wait(wait); err == nil {
			g.endConsole() // which holds the pipe to the log's reader
			g.reader.finish()
			return fmt.Errorf("its pid 1 ended: %s", ex)
		}
	}
	return errors.New("its pid 1 ended")
}

func (x Exit) String() string {
	switch {
	case !x.Known:
		return "exit status unknown"
	case x.Reboot:
		return "it asked for a reboot"
	case x.Halt:
		return "it asked to be halted"
	case x.Signal != 0:
		return fmt.Sprintf("signal %d", x.Signal)
	}
	return fmt.Sprintf("exit status %d", x.Code)
}

func lastLine(b []byte) string {
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return lines[len(lines)-1]
}

// LogTail gives the last lines of the guest's log, oldest first.
func (g *guest) LogTail(n int) []string {
	var lines []string
	for _, p := range g.e.consolePaths(g.spec.Name) {
		for line := range strings.Lines(string(readLogFile(p))) {
			lines = append(lines, strings.TrimRight(line, "\r\n"))
		}
	}
	return lines[max(0, len(lines)-n):]
}

func (g *guest) logContains(text string) bool {
	for _, p := range g.e.consolePaths(g.spec.Name) {
		if strings.Contains(string(readLogFile(p)), text) {
			return true
		}
	}
	return false
}

// logIfUseful is the end of the log for errors of phases in which a guest ran.
func (g *guest) logIfUseful(phase string) []string {
	if phase == "boot" || phase == "ready" {
		return g.LogTail(10)
	}
	return nil
}
