package engine

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func probedGuest() *guest {
	return &guest{spec: &Spec{Name: "web", Net: Net{Addrs: []Address{{IP: "127.0.0.1"}}}}, rec: &record{XID: 77}}
}

// TestHTTPReadsToTheEnd asks a server as slow and wordy as real ones are: it must
// be able to send its whole page.
func TestHTTPReadsToTheEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	sent := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			sent <- err
			return
		}
		defer c.Close()
		for r := bufio.NewReader(c); err == nil; {
			var line string
			if line, err = r.ReadString('\n'); strings.TrimSpace(line) == "" {
				break
			}
		}
		for _, part := range []string{"HTTP/1.0 ", "200 OK\r\n\r\n", strings.Repeat("x", 30<<10), "end"} {
			if err == nil {
				_, err = io.WriteString(c, part)
			}
		}
		c.(*net.TCPConn).CloseWrite()
		if _, e := c.Read(make([]byte, 1)); err == nil && e != io.EOF {
			err = e // a reset: the probe left something unread
		}
		sent <- err
	}()
	port := int(netip.MustParseAddrPort(l.Addr().String()).Port())
	if err := probedGuest().tryHTTP(t.Context(), Probe{Kind: "http", Port: port}); err != nil {
		t.Error(err)
	}
	if err := <-sent; err != nil {
		t.Errorf("the server could not send its page: %v", err)
	}
}

func TestNothingListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := Probe{Kind: "http", Port: int(netip.MustParseAddrPort(l.Addr().String()).Port())}
	l.Close()
	g := probedGuest()
	got := g.notReady(p, 2e9, g.tryHTTP(t.Context(), p)).Error()
	if want := "nothing listens at " + l.Addr().String() + ": not ready in time (2s)"; !strings.Contains(got, want) || !strings.Contains(got, "vsl logs web") {
		t.Errorf("%s\nwant %s, and where to look", got, want)
	}
}

// The guest's timeout for the phase is also how long its probe has.
func TestReadyWithin(t *testing.T) {
	for _, c := range []struct{ phase, probe, want time.Duration }{
		{0, 0, time.Minute},
		{3 * time.Minute, 0, 3 * time.Minute},
		{time.Second, 0, time.Second},
		{0, 2 * time.Minute, 2 * time.Minute},
		{3 * time.Minute, 2 * time.Minute, 2 * time.Minute},
		{time.Second, 2 * time.Minute, time.Second},
	} {
		g := &guest{e: &Engine{}, spec: &Spec{}}
		if c.phase > 0 {
			g.spec.Timeouts = map[string]time.Duration{"ready": c.phase}
		}
		if got := g.readyWithin(Probe{Within: c.probe}); got != c.want {
			t.Errorf("timeout.ready %s, within %s: %s, want %s", c.phase, c.probe, got, c.want)
		}
		if got := g.phaseTime("ready"); got != 0 {
			t.Errorf("timeout.ready %s bounds a probe's phase by %s, too", c.phase, got)
		}
	}
}
