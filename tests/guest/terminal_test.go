package guest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vsl/tests/fixture"
)

// screen is a real terminal: a tmux of its own, driven by keys and read back.
type screen struct {
	t      *testing.T
	socket string
}

// newScreen starts a shell in a terminal of 30 lines and 100 columns.
func newScreen(t *testing.T, r *root) *screen {
	t.Helper()
	_, err := exec.LookPath("tmux")
	if err != nil {
		t.Fatal("tmux is missing: make deps installs it")
	}
	s := &screen{t, filepath.Join(t.TempDir(), "s")}
	c := exec.Command("tmux", "-S", s.socket, "-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30",
		"env", "-i", "PATH="+os.Getenv("PATH"), "TERM=screen", "PS1=host> ", "VSL_ROOT="+r.dir, "sh")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v: %s", err, out)
	}
	t.Cleanup(func() { s.tmux("kill-server") })
	s.tmux("set", "-g", "status", "off")
	s.shows("host>")
	return s
}

func (s *screen) tmux(args ...string) string {
	s.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", s.socket}, args...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("tmux %v: %v: %s", args, err, out)
	}
	return string(out)
}

// keys types; names such as C-c and Enter are keys.
func (s *screen) keys(keys ...string) {
	s.t.Helper()
	s.tmux(append([]string{"send-keys"}, keys...)...)
}

// line types a line.
func (s *screen) line(text string) {
	s.t.Helper()
	s.tmux("send-keys", "-l", text)
	s.keys("Enter")
}

func (s *screen) text() string {
	s.t.Helper()
	return s.tmux("capture-pane", "-p")
}

// shows waits until the terminal shows a text.
func (s *screen) shows(text string) {
	s.t.Helper()
	for end := time.Now().Add(slow(6 * time.Second)); !strings.Contains(s.text(), text); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			seen := s.text()
			for _, p := range vslProcesses() { // let those that hang say where
				pid, _, _ := strings.Cut(p, " ")
				exec.Command("kill", "-ABRT", pid).Run()
			}
			time.Sleep(fixture.Scaled(300 * time.Millisecond))
			s.t.Fatalf("%q does not show:\n%s\nafter SIGABRT:\n%s", text, seen, s.tmux("capture-pane", "-p", "-S", "-"))
		}
	}
}

// An interactive login on a real terminal.
func TestEnterOnATerminal(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	r.simple("")
	s := newScreen(t, r)
	s.line("stty -a > " + r.src + "/before")
	s.line(bin + " enter g")
	s.shows("#") // the guest's own prompt
	s.line("PS1='guest> '; clear; hostname; tty; id -u")
	s.shows("g\n/dev/pts/0\n0\nguest>")

	s.line("clear; stty size")
	s.shows("30 100")
	s.tmux("resize-window", "-x", "120", "-y", "40")
	s.line("clear; stty size")
	s.shows("40 120")

	s.line("clear; sleep 100")
	time.Sleep(fixture.Scaled(200 * time.Millisecond))
	s.keys("C-c")
	s.line("echo code=$?")
	s.shows("code=130")

	s.line("clear; sleep 100")
	time.Sleep(fixture.Scaled(200 * time.Millisecond))
	s.keys("C-z")
	s.shows("Stopped")
	s.line("clear; jobs")
	s.shows("sleep 100")
	s.line("fg")
	time.Sleep(fixture.Scaled(200 * time.Millisecond))
	s.keys("C-c")

	s.line("clear; seq 500 > /tmp/long; busybox vi /tmp/long")
	s.shows("/tmp/long 1/500")
	s.keys("G")
	s.shows("/tmp/long 500/500")
	s.tmux("resize-window", "-x", "90", "-y", "25")
	s.keys(":q!", "Enter")
	s.shows("guest>")
	s.line("clear; stty size; echo $TERM")
	s.shows("25 90\nscreen")

	s.line("clear; busybox top -d 1")
	s.shows("Load average")
	s.keys("q")
	s.line("clear; exit 7")
	s.shows("host>") // what is typed before is still the guest's
	s.line("echo status=$?; stty -a > " + r.src + "/after; echo writ''ten")
	s.shows("status=7")
	eventually(t, slow(3*time.Second), "stty wrote", func() bool { return strings.Contains(s.text(), "written") })
	expect(t, "the terminal's modes", modes(t, r, "after"), modes(t, r, "before"))
}

// modes is what stty said without the size.
func modes(t *testing.T, r *root, name string) string {
	t.Helper()
	_, rest, _ := strings.Cut(readFile(t, filepath.Join(r.src, name)), "\n")
	return rest
}

// The terminal is what the guest gives, so what is pressed reaches the shell
// there; a connection whose guest dies gives the terminal back.
func TestEnterEndsWithItsGuest(t *testing.T) {
	r := newRoot(t)
	r.simple("")
	s := newScreen(t, r)
	s.line(bin + " enter g")
	s.shows("#")                               // the guest's own prompt
	s.line("PS1='gue''st> '; clear; stty raw") // what is typed is not what is printed
	s.shows("guest>")
	r.must("kill", "g")
	s.shows("host>")
	s.line("stty -a | grep -o ' icanon'")
	s.shows("icanon")
}

// exec -t gives a command a terminal of the guest's own.
func TestExecOnATerminal(t *testing.T) {
	r := newRoot(t)
	r.simple("")
	s := newScreen(t, r)
	s.line("clear; " + bin + " exec -t g sh -c 'tty; stty size; exit 4'; echo status=$?")
	s.shows("/dev/pts/0\n30 100\nstatus=4")
	s.line("clear; " + bin + " exec g tty; echo status=$?")
	s.shows("status=1")
}
