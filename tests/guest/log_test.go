package guest

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"syscall"
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

// An init of the guest's own writes as much as it likes: what is kept is bounded
// while it writes, is the newest, and no inode of the host is in its hands.
func TestLogOfAnInitIsBounded(t *testing.T) {
	r := newRoot(t)
	r.up(`guest "g" { template = box, init = { "/agent", "spew", "20" }, ready = probe.log { "the last line", within = "60s" } }`)
	if n := r.logSize("g"); n > logBound || n < 1<<20 {
		t.Errorf("the log of 20 MB has %d bytes", n)
	}
	if all := strings.Split(strings.TrimSpace(r.must("logs", "g")), "\n"); len(all) < 1000 || all[len(all)-1] != "the last line" || !strings.HasPrefix(all[len(all)-2], "00020479 ") {
		t.Errorf("%d lines, the last two %.20q", len(all), all[max(0, len(all)-2):])
	}
	r.must("exec", "g", "sh", "-c", "echo by name > /proc/1/fd/1")
	for end := time.Now().Add(slow(5 * time.Second)); ; time.Sleep(10 * time.Millisecond) {
		if r.must("logs", "-n", "1", "g") == "by name\n" {
			break
		}
		if time.Now().After(end) {
			t.Fatal("what was written to the init's output by name is not in the log")
		}
	}
	expect(t, "what the init's output is to the guest", r.out("g", agentName, "output"), "lease EACCES, seek ESPIPE, truncate EINVAL, pipe")
	files, _ := filepath.Glob(filepath.Join(r.dir, "guests", "g", "console.log*"))
	expect(t, "files of the log", len(files), 2)
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "owner of "+filepath.Base(f), info.Sys().(*syscall.Stat_t).Uid, uint32(0))
	}
	r.must("down", "g")
	expect(t, "the log after the end", r.must("logs", "-n", "1", "g"), "by name\n")
	r.clean()
}

// The last words of an init that ends at once are in the log when up says so.
func TestLogOfAnInitThatEnds(t *testing.T) {
	r := newRoot(t)
	r.fails(1, []string{"these are my last words"}, "up",
		r.recipe(`guest "g" { template = box, init = { "/bin/sh", "-c", "echo these are my last words" }, ready = probe.log "never" }`))
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
