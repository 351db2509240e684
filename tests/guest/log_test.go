package guest

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vsl/tests/fixture"
)

const logBound = 2<<20 + 256<<10

func (r *root) logSize(name string) int64 {
	var size int64
	files, _ := filepath.Glob(filepath.Join(r.dir, "guests", name, "console.log*"))
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			size += info.Size()
		}
	}
	return size
}

func TestLogIsBounded(t *testing.T) {
	r := newRoot(t)
	r.up(`guest "g" { template = box, command = { "/agent", "spew", "20" }, ready = probe.log { "the last line", within = "10m" } }`)
	if n := r.logSize("g"); n > logBound || n < 1<<20 {
		t.Errorf("the log of 20 MB has %d bytes", n)
	}
	lines := strings.Split(strings.TrimSpace(r.must("logs", "-n", "3", "g")), "\n")
	expect(t, "the last line", lines[len(lines)-1], "the last line")
	if all := strings.Split(strings.TrimSpace(r.must("logs", "g")), "\n"); len(all) < 1000 || !strings.HasPrefix(all[len(all)-2], "00020479 ") {
		t.Errorf("%d lines, the last but one %.20q", len(all), all[max(0, len(all)-2)])
	}
}

func TestLogsFollow(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	r.up(`guest "g" { template = box, command = { "sh", "-c", "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.05; done" }, ready = probe.log "line 2" }`)
	c := r.cmd("logs", "-f", "g")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	last := 0
	for last < 12 && lines.Scan() {
		last++
		if want := "line " + itoa(last); lines.Text() != want {
			t.Fatalf("got %q, want %q", lines.Text(), want)
		}
	}
	go r.must("down", "g")
	for lines.Scan() {
	}
	done := make(chan error)
	go func() { done <- c.Wait() }()
	select {
	case err := <-done:
		expect(t, "exit of logs -f when the guest ended", err, nil)
	case <-time.After(slow(5 * time.Second)):
		c.Process.Kill()
		t.Error("logs -f goes on after its guest ended")
	}
}

// A guest whose log hides terminal codes cannot play with the host's terminal;
// in a pipe its bytes come as they are.
func TestLogsInAPipeAreBytes(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	r.up(`guest "g" { template = box, command = { "sh", "-c", "printf 'a\\033[2Jb\\n'; exec sleep infinity" }, ready = function(g) g:wait_ready(probe.log "b") end }`)
	expect(t, "log", r.must("logs", "g"), "a\033[2Jb\n")
}
