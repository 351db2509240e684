//go:build linux

package spawn

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"vsl/engine/internal/sys"
)

var update = flag.Bool("update", false, "write the golden files anew")

// builders call every method that adds steps to a Program.
var builders = map[string]func(*Program){
	"Call":             func(p *Program) { p.Call("sethostname", sys.NrSethostname, 0, 0) },
	"Add":              func(p *Program) { p.Add("join", sys.NrWrite, FD(Unopened).Named("tasks"), Str("0"), Int(1)) },
	"Mount":            func(p *Program) { p.Mount("", "/a \"b\"", "tmpfs", sys.MsNosuid|sys.MsRdonly, "size=1m") },
	"Umount":           func(p *Program) { p.Umount(".", sys.MntDetach) },
	"Mkdir":            func(p *Program) { p.Mkdir("/d", 0o755) },
	"MkdirOK":          func(p *Program) { p.MkdirOK("/d", 0) },
	"Symlink":          func(p *Program) { p.Symlink("pts/0", "/dev/console") },
	"SymlinkOK":        func(p *Program) { p.SymlinkOK("a", "/b") },
	"Open":             func(p *Program) { p.Open("/f", sys.O_WRONLY|sys.O_CREAT|sys.O_EXCL, 0o600) },
	"Unlink":           func(p *Program) { p.Unlink("/f") },
	"Chdir":            func(p *Program) { p.Chdir("/") },
	"Fchdir":           func(p *Program) { p.Fchdir(p.Open("/f", sys.O_PATH|sys.O_DIRECTORY, 0).Result()) },
	"Chroot":           func(p *Program) { p.Chroot(".") },
	"PivotRoot":        func(p *Program) { p.PivotRoot(".", ".") },
	"Unshare":          func(p *Program) { p.Unshare(sys.CLONE_NEWNS | sys.CLONE_NEWTIME | 1) },
	"SetNS":            func(p *Program) { p.SetNS(Unopened, sys.CLONE_NEWPID) },
	"SetHostname":      func(p *Program) { p.SetHostname("web1") },
	"SetSid":           func(p *Program) { p.SetSid() },
	"SetIDs":           func(p *Program) { p.SetIDs(33, 34, 4, 27) },
	"Rlimit":           func(p *Program) { p.Rlimit(7, 77, ^uint64(0)); p.Rlimit(99, 0, 1) },
	"Nice":             func(p *Program) { p.Nice(-5) },
	"Scheduler":        func(p *Program) { p.Scheduler(1, 10) },
	"OomScoreAdj":      func(p *Program) { p.OomScoreAdj(-10) },
	"DropBounding":     func(p *Program) { p.DropBounding([]int{25}) },
	"NoNewPrivs":       func(p *Program) { p.NoNewPrivs() },
	"Seccomp":          func(p *Program) { p.Seccomp(make([]byte, 16), 0) },
	"LandlockRestrict": func(p *Program) { p.LandlockRestrict(Unopened) },
	"Dup3":             func(p *Program) { p.Dup3(7, 0) },
	"Close":            func(p *Program) { p.Close(Int(9)) },
	"CloseRange":       func(p *Program) { p.CloseRange(3) },
	"LoUp":             func(p *Program) { p.LoUp() },
	"Exec":             func(p *Program) { p.Exec("/bin/sh", []string{"sh", "-c", "a\nb"}, []string{"TOKEN=tell-nobody"}) },
	"ExecFD":           func(p *Program) { p.ExecFD(Unopened, []string{"vsl-reaper", "idle"}, nil) },
	"ExecSearch":       func(p *Program) { p.ExecSearch([]string{"id"}, []string{"TOKEN=tell-nobody"}, "/sbin:/bin") },
	"Confine":          func(p *Program) { p.Confine(Confinement{DropCaps: []int{1}, LandlockFD: -1, NoNewPrivs: true}) },
	"Sync":             func(p *Program) { p.Sync("root") },
	"OpenPTY":          func(p *Program) { p.OpenPTY(1000) },
	"GivePTY":          func(p *Program) { p.GivePTY() },
}

// Whatever a program can be made of is shown, and shown as the system call that
// it is: no method and no step falls through to a number.
func TestEveryStepIsShown(t *testing.T) {
	asks := map[string]bool{"KeepFD": true, "Len": true, "String": true} // which add no step
	var b strings.Builder
	program := reflect.TypeFor[*Program]()
	for i := range program.NumMethod() {
		name := program.Method(i).Name
		build := builders[name]
		if asks[name] {
			continue
		}
		if build == nil {
			t.Errorf("Program.%s is not looked at: add it to builders", name)
			continue
		}
		p := &Program{}
		build(p)
		b.WriteString(name + "\n" + p.String())
		for _, s := range p.steps {
			if _, ok := forms[s.nr]; s.kind == sys.ForkSyscall && !ok {
				t.Errorf("%s: system call %d has no form", name, s.nr)
			}
		}
	}
	golden(t, "steps.golden", b.String())
	if strings.Contains(b.String(), "tell-nobody") {
		t.Error("the value of an environment variable is shown")
	}
}

// What Start adds of its own is shown by the steps that it adds.
func TestPreludeIsShown(t *testing.T) {
	var b strings.Builder
	hard, err := sys.HardLimit(7)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		attr *Attr
	}{
		{"plain", &Attr{CgroupFD: -1, noShare: true}},
		{"guest", &Attr{CgroupFD: Unopened, noShare: true, CloneFlags: sys.CLONE_NEWUSER | sys.CLONE_NEWPID, IDMap: &IDMap{HostID: 1, Size: 1}}},
		{"join", &Attr{CgroupFD: Unopened, Join: &Join{pidfd: 9, flags: sys.CLONE_NEWUSER | sys.CLONE_NEWNS}}},
	} {
		c.attr.Program = &Program{}
		c.attr.Program.Exec("/bin/true", []string{"true"}, nil)
		b.WriteString(c.name + "\n")
		for _, call := range c.attr.Calls([]string{"", "log"}) {
			if _, limits, ok := strings.Cut(call.Text, "rlim_max="); ok && !strings.HasPrefix(limits, rlimitText(hard)+"}") {
				t.Errorf("%s: %s; the hard limit is %d", c.name, call.Text, hard)
			} else if ok {
				call.Text = "prlimit64, as this process has it"
			}
			b.WriteString("    " + call.Text + "\n")
		}
	}
	golden(t, "prelude.golden", b.String())
}

// A program that was made to be shown does not start.
func TestUnopenedDoesNotStart(t *testing.T) {
	p := &Program{}
	p.ExecFD(Unopened, []string{"x"}, nil)
	proc, err := Start(&Attr{Name: "x", Program: p, CgroupFD: -1})
	if err == nil {
		proc.Close()
		t.Fatal("it started")
	}
	if !strings.Contains(err.Error(), "made to be shown") {
		t.Error(err)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		os.MkdirAll("testdata", 0o755)
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
