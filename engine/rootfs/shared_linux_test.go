package rootfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// holderName is what this binary is called where it is the guest's program.
const holderName = "/opt/holder"

func TestMain(m *testing.M) {
	if os.Args[0] == holderName {
		if err := hold(os.Args[1], os.Args[2], os.Args[3]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// hold takes a lease, a lock or a watch on a file, says so by a file "held" in
// the folder talk, and goes on until there is one called "done" or a minute is over.
func hold(kind, path, talk string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	watch := -1
	switch kind {
	case "lease":
		_, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK)
	case "flock":
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	case "ofd lock":
		err = unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_RDLCK})
	case "lock":
		err = unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_RDLCK})
	case "watch":
		if watch, err = unix.InotifyInit1(unix.IN_NONBLOCK); err == nil {
			_, err = unix.InotifyAddWatch(watch, path, unix.IN_ALL_EVENTS)
		}
	}
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(talk, "held"), nil, 0o666); err != nil {
		return err
	}
	for range 6000 {
		if _, err := os.Stat(filepath.Join(talk, "done")); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if watch >= 0 {
		if n, _ := unix.Read(watch, make([]byte, 4096)); n > 0 {
			return fmt.Errorf("saw the host use the file: %d bytes of events", n)
		}
	}
	return nil
}

// Guest root owns the host's files in /usr as far as the kernel is concerned.
// What it takes on them must be on inodes of its own.
func TestHostFilesAreNotTheGuestsToHold(t *testing.T) {
	requireRoot(t)
	dir := t.TempDir()
	for p := dir; len(p) > len(os.TempDir()); p = filepath.Dir(p) { // the guest goes through
		if err := os.Chmod(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	shared, talk := filepath.Join(dir, "shared"), filepath.Join(dir, "talk")
	for _, d := range []string{shared, talk} {
		if err := os.Mkdir(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	prog, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"holder": prog, "file": []byte("text")} {
		if err := os.WriteFile(filepath.Join(shared, name), data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(talk, 0o777); err != nil {
		t.Fatal(err)
	}
	tmpl := hostTemplate(t, dir)
	for _, clone := range []CloneKind{Overlay, Copy} {
		r := newGuest(t, tmpl, dir, clone)
		r.Binds = append(r.Binds, Bind{Source: shared, Target: "/opt", ReadOnly: true, IDMap: true}, Bind{Source: talk, Target: "/srv"})
		for _, kind := range []string{"lease", "flock", "ofd lock", "lock", "watch"} {
			t.Run(string(clone)+" "+kind, func(t *testing.T) {
				if err := os.RemoveAll(filepath.Join(talk, "done")); err != nil {
					t.Fatal(err)
				}
				ended := make(chan error)
				go func() {
					out, err := tryGuest(t, r, fmt.Sprintf("exec %s '%s' /opt/file /srv", holderName, kind))
					if err != nil {
						err = fmt.Errorf("%w: %s", err, strings.TrimSpace(out))
					}
					ended <- err
				}()
				awaitHeld(t, filepath.Join(talk, "held"), ended)
				useFreely(t, filepath.Join(shared, "file"))
				if err := os.WriteFile(filepath.Join(talk, "done"), nil, 0o644); err != nil {
					t.Fatal(err)
				}
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func awaitHeld(t *testing.T, held string, ended chan error) {
	t.Helper()
	for end := time.After(time.Minute); ; {
		if os.Remove(held) == nil {
			return
		}
		select {
		case err := <-ended:
			t.Fatalf("the guest holds nothing: %v", err)
		case <-end:
			t.Fatal("the guest does not say that it holds anything")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// useFreely opens, reads and locks a file as the host does, waiting for nobody.
func useFreely(t *testing.T, path string) {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Errorf("open by the host: %v", err) // EAGAIN: there is a lease
		return
	}
	defer unix.Close(fd)
	if _, err := unix.Read(fd, make([]byte, 4)); err != nil {
		t.Errorf("read by the host: %v", err)
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Errorf("flock by the host: %v", err)
	}
	for what, cmd := range map[string]int{"lock": unix.F_SETLK, "ofd lock": unix.F_OFD_SETLK} {
		// one by one: those two are in each other's way
		if err := unix.FcntlFlock(uintptr(fd), cmd, &unix.Flock_t{Type: unix.F_WRLCK}); err != nil {
			t.Errorf("%s by the host: %v", what, err)
		}
		if err := unix.FcntlFlock(uintptr(fd), cmd, &unix.Flock_t{Type: unix.F_UNLCK}); err != nil {
			t.Errorf("%s by the host: %v", what, err)
		}
	}
}
