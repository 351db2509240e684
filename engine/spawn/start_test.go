//go:build linux

package spawn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"vsl/engine/internal/sys"
)

// requireRoot skips a test that needs root, unless VSL_TEST_REQUIRE demands it.
func requireRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("VSL_TEST_REQUIRE") != "" {
		t.Fatal("needs root, and VSL_TEST_REQUIRE is set")
	}
	t.Skip("needs root")
}

// run starts a, collects its output and waits for its end.
func run(t testing.TB, a *Attr) (string, Status) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	a.Files = []*os.File{nil, w, w}
	p, err := Start(a)
	w.Close()
	if err != nil {
		t.Fatalf("Start: %v\n%s", err, a.Program)
	}
	defer p.Close()
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	st, err := p.Wait(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out)), st
}

// shell is a program that ends in a shell command.
func shell(p *Program, script string) *Program {
	p.Exec("/bin/sh", []string{"sh", "-c", script}, []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"})
	return p
}

func TestNamespaces(t *testing.T) {
	requireRoot(t)
	proc := func(p *Program) *Program {
		p.Mount("", "/", "", 1<<14|1<<18, "") // MS_REC|MS_PRIVATE
		p.Mount("proc", "/proc", "proc", 0, "")
		return p
	}
	ids := &IDMap{HostID: 5000 << 16, Size: 65536}
	const all = sys.CLONE_NEWUSER | sys.CLONE_NEWNS | sys.CLONE_NEWPID | sys.CLONE_NEWUTS | sys.CLONE_NEWIPC | sys.CLONE_NEWNET | sys.CLONE_NEWCGROUP
	tests := []struct {
		name   string
		attr   Attr
		build  func(*Program) *Program
		script string
		want   string
	}{
		{"nothing", Attr{}, nil, "echo $((1+1))", "2"},
		{"pid", Attr{CloneFlags: sys.CLONE_NEWPID}, nil, "echo $$", "1"},
		{"uts", Attr{CloneFlags: sys.CLONE_NEWUTS}, func(p *Program) *Program { p.SetHostname("web1"); return p }, "hostname", "web1"},
		{"net", Attr{CloneFlags: sys.CLONE_NEWNET}, func(p *Program) *Program { p.LoUp(); return p }, "cat /sys/class/net/lo/flags; grep -c : /proc/net/dev", "0x9\n1"},
		{"user", Attr{CloneFlags: sys.CLONE_NEWUSER, IDMap: ids}, nil, "id -u; id -g; id -G; cat /proc/self/uid_map /proc/self/gid_map", "0\n0\n0\n         0  327680000      65536\n         0  327680000      65536"},
		{"all", Attr{CloneFlags: all, IDMap: ids}, proc, "echo $$; ls /proc | grep -c '^[0-9]'; hostname", ""},
		{"time", Attr{TimeNS: true, CloneFlags: sys.CLONE_NEWPID}, nil, "cut -d. -f1 /proc/uptime", "0"},
		{"rlimit", Attr{}, func(p *Program) *Program { p.Rlimit(7, 77, 88); return p }, "ulimit -n; ulimit -Hn", "77\n88"},
		{"nice", Attr{}, func(p *Program) *Program { p.Nice(7); return p }, "nice", "7"},
		{"signals", Attr{}, nil, "grep -E '^Sig(Blk|Ign)' /proc/self/status", "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000"},
		{"files", Attr{}, nil, "ls /proc/self/fd | tr '\\n' ' '", "0 1 2 3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := tt.attr
			a.CgroupFD = -1
			a.Program = &Program{}
			if tt.build != nil {
				tt.build(a.Program)
			}
			shell(a.Program, tt.script)
			out, st := run(t, &a)
			if tt.want != "" && out != tt.want || st.ShellCode() != 0 {
				t.Errorf("got %q, %v; want %q\n%s", out, st, tt.want, a.Program)
			}
		})
	}
}

func TestChildErrors(t *testing.T) {
	requireRoot(t)
	tests := []struct {
		name  string
		build func(p *Program)
		want  string
		errno error
	}{
		{"mount", func(p *Program) {
			p.Call("getpid", sys.NrGetpid)
			p.Mount("proc", "/nonexistent", "proc", 0, "")
		}, "start test: mount proc (step 2): no such file or directory", sys.ENOENT},
		{"exec", func(p *Program) { p.Exec("/sbin/nonexistent", []string{"x"}, nil) },
			"start test: exec /sbin/nonexistent: there is no such file in the guest, or what its first line or its loader asks for is missing", sys.ENOENT},
		{"search", func(p *Program) { p.ExecSearch([]string{"nginy"}, nil, "/bin:/usr/bin") },
			"start test: exec nginy: the command was not found in the guest", sys.ENOENT},
		{"not executable", func(p *Program) { p.Exec("/etc/passwd", []string{"x"}, nil) },
			"start test: exec /etc/passwd: permission denied", sys.EACCES},
		{"hook missing", func(p *Program) { p.Sync("nobody") }, "start test: run the hook nobody: nobody waits for it", nil},
		{"killed", func(p *Program) { p.Call("exit", sys.NrExitGroup, 3) }, "start test: the child died: exit status 3", errDied},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := &Program{}
			tt.build(p)
			_, err := Start(&Attr{Name: "test", Program: p, CgroupFD: -1})
			if err == nil || err.Error() != tt.want {
				t.Fatalf("got %v; want %s", err, tt.want)
			}
			if tt.errno != nil && !errors.Is(err, tt.errno) {
				t.Errorf("%v is no %v", err, tt.errno)
			}
		})
	}
}

func TestHooks(t *testing.T) {
	p := &Program{}
	p.Sync("one")
	p.Call("getpid", sys.NrGetpid)
	p.Sync("two")
	shell(p, "exit 7")
	var seen []string
	hook := func(name string, err error) func(int, int) error {
		return func(pid, pidfd int) error {
			alive, aerr := sys.ProcessAlive(pidfd)
			seen = append(seen, fmt.Sprint(name, alive, aerr))
			return err
		}
	}
	a := &Attr{Program: p, CgroupFD: -1, Hooks: map[string]func(int, int) error{"one": hook("one", nil), "two": hook("two", nil)}}
	_, st := run(t, a)
	if st.Code != 7 || fmt.Sprint(seen) != "[onetrue <nil> twotrue <nil>]" {
		t.Errorf("got %v, %v", st, seen)
	}
	a.Files = nil
	boom := errors.New("boom")
	a.Hooks["two"] = hook("two", boom)
	var pid int
	a.Hooks["one"] = func(p, _ int) error { pid = p; return nil }
	if _, err := Start(a); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil {
		t.Errorf("child %d is still there", pid)
	}
}
