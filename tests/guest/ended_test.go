package guest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"vsl/tests/fixture"
)

// alive tells whether a process runs; a zombie does not.
func alive(pid int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// A state root has one name, by whichever link it is reached and whether it
// exists yet or not: the first command made groups that later ones did not find.
func TestRootBehindALinkIsTheSameForEachCommand(t *testing.T) {
	fixture.HostTierOnly(t)
	top := t.TempDir()
	for _, d := range []string{"disk/a", "disk/b"} {
		if err := os.MkdirAll(filepath.Join(top, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"link": "disk/a", "dangling": "disk/b/later"} {
		if err := os.Symlink(to, filepath.Join(top, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range []string{"link/new", "link/deep/er", "dangling", "link"} {
		for _, verb := range [][]string{{"down", "g"}, {"rm", "-f", "g"}, {"kill", "g"}} {
			t.Run(at+" "+verb[0], func(t *testing.T) {
				r := newRootAt(t, filepath.Join(top, at))
				r.simple(`net = "none"`)
				pid := r.status("g").PID
				r.must(verb...)
				if alive(pid) {
					t.Errorf("vsl %v is done and pid 1, process %d, runs on", verb, pid)
				}
			})
		}
	}
}

// Whatever became of the folder or of the group, no verb that ends a guest is
// done while its pid 1 lives.
func TestNothingIsDoneWhilePid1Lives(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(t *testing.T, r *root, pid int) (mend func())
	}{
		{"the folder was renamed", func(t *testing.T, r *root, pid int) func() {
			was := r.dir
			r.dir += "-renamed"
			rename(t, was, r.dir)
			return func() { rename(t, r.dir, was); r.dir = was }
		}},
		{"its processes were moved", func(t *testing.T, r *root, pid int) func() {
			group := r.status("g").CGroup
			top := group
			for filepath.Base(filepath.Dir(top)) != "vsl.slice" && strings.Contains(top, "/vsl-") {
				top = filepath.Dir(top)
			}
			other := filepath.Join(top, "other") // a v2 group that has groups below takes no processes
			if err := os.Mkdir(other, 0o755); err != nil {
				t.Fatal(err)
			}
			moveAll(t, group, other)
			return func() {
				moveAll(t, other, group)
				if err := os.Remove(other); err != nil {
					t.Error(err)
				}
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRoot(t)
			r.simple(`net = "none"`)
			pid := r.status("g").PID
			mend := tc.spoil(t, r, pid)
			for _, verb := range [][]string{{"down", "g"}, {"kill", "g"}, {"rm", "-f", "g"}} {
				r.fails(1, []string{"lives outside of its context", strconv.Itoa(pid)}, verb...)
				if !alive(pid) {
					t.Fatalf("vsl %v ended pid 1 and says that it did not", verb)
				}
			}
			expect(t, "state", string(r.status("g").State), "running")
			mend()
			r.must("down", "g")
			eventually(t, slow(5*time.Second), "pid 1 is gone", func() bool { return !alive(pid) })
		})
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func moveAll(t *testing.T, from, to string) {
	t.Helper()
	for _, pid := range strings.Fields(readFile(t, filepath.Join(from, "cgroup.procs"))) {
		n, err := strconv.Atoi(pid)
		if err != nil {
			t.Fatal(err)
		}
		moveOne(t, n, to)
	}
}

func moveOne(t *testing.T, pid int, to string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(to, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
		t.Fatal(err)
	}
}

// Why a guest ended is told after its end, and still after gc has taken its
// context away; what nobody knows is not made up.
func TestStatusSaysWhyAGuestEnded(t *testing.T) {
	for _, tc := range []struct {
		name, command, extra string
		verb                 []string
		words                string
	}{
		{"down", `"sleep", "infinity"`, "", []string{"down", "g"}, "shut down by vsl"},
		{"kill", `"sleep", "infinity"`, "", []string{"kill", "g"}, "killed by vsl"},
		{"a signal", `"sleep", "infinity"`, "", []string{"kill", "-s", "KILL", "g"}, "after vsl sent it SIGKILL"},
		{"by itself", `"sleep", "0.5"`, "", nil, "by itself; its status is not known"},
		{"out of memory", `"sh", "-c", "sleep 0.5; exec tail /dev/zero"`, `limit = { memory = "24M", swap = "0" },`, nil, "out of memory"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRoot(t)
			r.up(`guest "g" { template = box, command = { ` + tc.command + ` }, net = "none", ` + tc.extra + ` }`)
			if end := r.status("g").Ended; end != nil && tc.verb != nil {
				t.Errorf("it runs, and ended %s", end)
			}
			if tc.verb != nil {
				r.must(tc.verb...)
			}
			eventually(t, slow(20*time.Second), "it ended", func() bool { return r.vsl("status", "g").code == 3 })
			for _, when := range []string{"at once", "after gc"} {
				if text := r.vsl("status", "g").out; !strings.Contains(text, tc.words) {
					t.Errorf("%s status does not say %q:\n%s", when, tc.words, text)
				}
				if text := r.must("ls", "--json"); !strings.Contains(text, `"ended": {`) {
					t.Errorf("%s ls --json does not say how it ended:\n%s", when, text)
				}
				r.must("gc")
			}
			r.must("rm", "g")
		})
	}
}
