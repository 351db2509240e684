//go:build linux

package spawn

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vsl/engine/internal/sys"
)

var testEnv = []string{"PATH=/usr/local/bin:/usr/bin:/bin"}

// startReaper runs the reaper as pid 1 of a pid namespace, its output on w.
func startReaper(t *testing.T, w *os.File, argv []string, more ...*os.File) *Process {
	t.Helper()
	requireRoot(t)
	reaper, err := Reaper()
	if err != nil {
		t.Fatal(err)
	}
	p := &Program{}
	p.CloseRange(3 + len(more))
	p.ExecFD(int(reaper.Fd()), argv, testEnv)
	proc, err := Start(&Attr{Name: "reaper", Program: p, CgroupFD: -1, CloneFlags: sys.CLONE_NEWPID,
		Files: append([]*os.File{nil, w, w}, more...)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		proc.Signal(sys.SIGKILL)
		proc.Close()
	})
	return proc
}

func TestReaperExit(t *testing.T) {
	tests := []struct {
		name string
		argv []string
		code int
		out  string
	}{
		{"code", []string{"sh", "-c", "echo $PPID $$; exit 7"}, 7, "1 2\n"},
		{"signal", []string{"sh", "-c", "kill -9 $$"}, 137, ""},
		{"path", []string{"/bin/echo", "a b", "c"}, 0, "a b c\n"},
		{"environment", []string{"env"}, 0, testEnv[0] + "\n"},
		{"not found", []string{"vsl-no-such"}, 127, "vsl: exec vsl-no-such: no such file or directory\n"},
		{"not executable", []string{"/etc/passwd"}, 126, "vsl: exec /etc/passwd: permission denied\n"},
		{"directory", []string{"/etc"}, 126, "vsl: exec /etc: permission denied\n"},
		{"orphans", []string{"sh", "-c", "(sleep 0.05 & sleep 0.05 & ) ; sleep 0.2; ls -d /proc/1/task/1/children >/dev/null; exit 3"}, 3, ""},
		{"mask", []string{"grep", "^SigBlk", "/proc/self/status"}, 0, "SigBlk:\t0000000000000000\n"},
		{"descriptors", []string{"sh", "-c", "echo /proc/self/fd/*"}, 0, "/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/10 /proc/self/fd/2 /proc/self/fd/3\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			proc := startReaper(t, w, ReaperArgv(tt.argv, false))
			w.Close()
			out, _ := io.ReadAll(r)
			st, err := proc.Wait(t.Context())
			if err != nil || st.ShellCode() != tt.code {
				t.Errorf("got %v, %v; want %d", st, err, tt.code)
			}
			if tt.name != "descriptors" && string(out) != tt.out || strings.Count(string(out), "/fd/") > 5 {
				t.Errorf("got %q; want %q", out, tt.out)
			}
		})
	}
}

func TestReaperForwards(t *testing.T) {
	const hup, intr, quit, usr1, usr2, term = 1, 2, 3, 10, 12, 15
	for _, sig := range []int{hup, intr, quit, usr1, usr2, term} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		script := "trap 'echo got; exit 9' HUP INT QUIT USR1 USR2 TERM; echo ready; while :; do sleep 0.01; done"
		proc := startReaper(t, w, ReaperArgv([]string{"sh", "-c", script}, false))
		w.Close()
		b := make([]byte, 6)
		if _, err := io.ReadFull(r, b); err != nil {
			t.Fatal(err)
		}
		if err := proc.Signal(sig); err != nil {
			t.Fatal(err)
		}
		st, err := proc.Wait(t.Context())
		out, _ := io.ReadAll(r)
		r.Close()
		if err != nil || st.Code != 9 || string(out) != "got\n" {
			t.Errorf("signal %d: got %v, %v, %q", sig, st, err, out)
		}
	}
}

func TestReaperIdle(t *testing.T) {
	for _, sig := range []int{sys.SIGTERM, sys.SIGINT} {
		proc := startReaper(t, nil, ReaperArgv(nil, false))
		if err := proc.Signal(sys.SIGHUP); err != nil { // means nothing to it
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
		if alive, err := sys.ProcessAlive(proc.PidFD()); err != nil || !alive {
			t.Fatal("ended early", err)
		}
		if err := proc.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if st, err := proc.Wait(t.Context()); err != nil || st.ShellCode() != 0 {
			t.Errorf("got %v, %v", st, err)
		}
	}
}

// ringFiles opens two log files as the engine does.
func ringFiles(t *testing.T) (paths [2]string, files []*os.File) {
	t.Helper()
	dir := t.TempDir()
	for i, name := range []string{"console.log", "console.log.1"} {
		paths[i] = filepath.Join(dir, name)
		f, err := os.OpenFile(paths[i], os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		files = append(files, f)
	}
	return paths, files
}

func readAll(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReaperLog(t *testing.T) {
	paths, files := ringFiles(t)
	proc := startReaper(t, nil, ReaperArgv([]string{"sh", "-c", "echo one; echo two >&2"}, true), files...)
	if st, err := proc.Wait(t.Context()); err != nil || st.Code != 0 {
		t.Fatalf("got %v, %v", st, err)
	}
	if got := string(readAll(t, paths[0])); got != "one\ntwo\n" {
		t.Errorf("got %q", got)
	}
}

// A command that writes without end must neither stop nor fill the disk.
func TestReaperRing(t *testing.T) {
	paths, files := ringFiles(t)
	argv := []string{"vsl-reaper", "-l", "3", "4", "10000", "run", "sh", "-c", "seq 1 200000; echo last; exit 5"}
	proc := startReaper(t, nil, argv, files...)
	if st, err := proc.Wait(t.Context()); err != nil || st.Code != 5 {
		t.Fatalf("got %v, %v", st, err)
	}
	a, b := readAll(t, paths[0]), readAll(t, paths[1])
	if len(a) > 10000 || len(b) > 10000 || len(a)+len(b) < 10000 {
		t.Errorf("sizes %d and %d", len(a), len(b))
	}
	if bytes.HasSuffix(a, []byte("last\n")) {
		a, b = b, a
	}
	all := string(a) + string(b) // the older, then the newer
	if !strings.HasSuffix(all, "199999\n200000\nlast\n") {
		t.Errorf("the end is %q", all[max(0, len(all)-40):])
	}
	_, all, _ = strings.Cut(all, "\n")
	first, _, _ := strings.Cut(all, "\n")
	if want := "\n199000\n"; !strings.Contains(all, want) || first < "1" {
		t.Errorf("no %q in a log that begins with %q", want, first)
	}
}

// An orphan that keeps writing must not keep a guest whose command has ended.
func TestReaperChattyOrphan(t *testing.T) {
	_, files := ringFiles(t)
	proc := startReaper(t, nil, ReaperArgv([]string{"sh", "-c", "yes & exit 4"}, true), files...)
	if st, err := proc.Wait(t.Context()); err != nil || st.Code != 4 {
		t.Errorf("got %v, %v", st, err)
	}
}
