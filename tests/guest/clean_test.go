package guest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc64"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// baseline is what the machine looked like before a test.
type baseline struct{ mounts, addrs []string }

func takeBaseline(t testing.TB) baseline {
	t.Helper()
	return baseline{mountLines(t), addrLines(t)}
}

// mountLines are the mounts of this namespace, but for the one file system that
// all of vsl shares for as long as the host runs: the pins of its LSM guard.
func mountLines(t testing.TB) []string {
	t.Helper()
	var out []string
	for line := range strings.Lines(readFile(t, "/proc/self/mountinfo")) {
		if f := strings.Fields(line); f[4] != "/run/vsl/bpf" {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return out
}

// addrLines are the addresses of all devices of this network namespace.
func addrLines(t testing.TB) []string {
	t.Helper()
	ifs, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, i := range ifs {
		addrs, err := i.Addrs()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range addrs {
			if !strings.HasPrefix(a.String(), "fe80") { // the kernel's own, when it likes
				out = append(out, i.Name+" "+a.String())
			}
		}
	}
	slices.Sort(out)
	return out
}

// clean fails the test for everything of this root that should not be there
// when no guest runs.
func (r *root) clean() {
	r.t.Helper()
	var left []string
	for end := time.Now().Add(slow(2 * time.Second)); ; time.Sleep(20 * time.Millisecond) {
		if left = r.leaks(); len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			break
		}
	}
	r.t.Errorf("left behind:\n  %s", strings.Join(left, "\n  "))
}

func (r *root) leaks() []string {
	var left []string
	add := func(what string, list []string) {
		for _, s := range list {
			left = append(left, what+" "+s)
		}
	}
	add("cgroup", r.cgroups())
	add("mount", newMounts(r.base.mounts, mountLines(r.t)))
	add("address", differ(r.base.addrs, addrLines(r.t)))
	add("file", r.litter())
	add("process", processes(r.t))
	return left
}

// newMounts gives the mounts that were not there before, by their id, device and
// root. Ones that are gone or have another path were copied from a neighbour on
// this machine, who renames and removes what is below them.
func newMounts(before, after []string) []string {
	known := map[string]bool{}
	key := func(line string) string {
		f := strings.Fields(line)
		return f[0] + " " + f[2] + " " + f[3]
	}
	for _, line := range before {
		known[key(line)] = true
	}
	var out []string
	for _, line := range after {
		if !known[key(line)] {
			out = append(out, line)
		}
	}
	return out
}

// differ gives what is only in one of two lists.
func differ(before, after []string) []string {
	var out []string
	for _, s := range after {
		if !slices.Contains(before, s) {
			out = append(out, "new: "+s)
		}
	}
	for _, s := range before {
		if !slices.Contains(after, s) {
			out = append(out, "gone: "+s)
		}
	}
	return out
}

// groupName is what this root's contexts are below, in every hierarchy.
func (r *root) groupName() string {
	dir := r.dir
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	sum := sha256.Sum256([]byte(dir))
	return "vsl-" + hex.EncodeToString(sum[:4])
}

// hierarchies are the places where cgroup file systems are mounted.
func hierarchies(t testing.TB) []string {
	t.Helper()
	var out []string
	for _, line := range mountLines(t) {
		head, tail, ok := strings.Cut(line, " - ")
		if ok && strings.HasPrefix(tail, "cgroup") {
			out = append(out, strings.Fields(head)[4])
		}
	}
	return out
}

// cgroups finds the groups of this root wherever they are.
func (r *root) cgroups() []string {
	var out []string
	name := r.groupName()
	for _, top := range hierarchies(r.t) {
		for _, pattern := range []string{"*", "*/*", "*/*/*"} {
			found, _ := filepath.Glob(filepath.Join(top, pattern))
			for _, p := range found {
				if base := filepath.Base(p); base == name || base == name+".log" {
					out = append(out, p)
				}
			}
		}
	}
	return out
}

// litter finds files that belong to no guest or template: everything in run/,
// temporary and doomed entries, xids without a guest.
func (r *root) litter() []string {
	var out []string
	run, _ := os.ReadDir(filepath.Join(r.dir, "run"))
	for _, e := range run {
		out = append(out, "run/"+e.Name())
	}
	for _, pattern := range []string{".*", "guests/.*", "templates/.*", "xids/.*", "guests/*/.*"} {
		found, _ := filepath.Glob(filepath.Join(r.dir, pattern))
		for _, p := range found {
			if b := filepath.Base(p); b != "." && b != ".." {
				out = append(out, p)
			}
		}
	}
	xids, _ := os.ReadDir(filepath.Join(r.dir, "xids"))
	for _, x := range xids {
		owner, err := os.Readlink(filepath.Join(r.dir, "xids", x.Name()))
		if err != nil {
			out = append(out, "xids/"+x.Name())
		} else if _, err := os.Stat(filepath.Join(r.dir, "guests", owner)); err != nil {
			out = append(out, "xids/"+x.Name()+" of "+owner)
		}
	}
	return out
}

// processes finds our own dead children and every process that runs vsl.
func processes(t testing.TB) []string {
	t.Helper()
	var out []string
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	for _, p := range tasks {
		data, _ := os.ReadFile(p)
		for _, pid := range strings.Fields(string(data)) {
			out = append(out, "child "+pid+" "+comm(pid))
		}
	}
	return append(out, vslProcesses()...)
}

// vslProcesses are the processes that run this test's vsl binary.
func vslProcesses() []string {
	var out []string
	dirs, _ := os.ReadDir("/proc")
	for _, d := range dirs {
		if _, err := strconv.Atoi(d.Name()); err != nil {
			continue
		}
		if exe, err := os.Readlink("/proc/" + d.Name() + "/exe"); err == nil && exe == bin {
			cmd, _ := os.ReadFile("/proc/" + d.Name() + "/cmdline")
			out = append(out, d.Name()+" "+string(bytes.ReplaceAll(cmd, []byte{0}, []byte{' '})))
		}
	}
	return out
}

func comm(pid string) string {
	data, _ := os.ReadFile("/proc/" + pid + "/comm")
	state, _ := os.ReadFile("/proc/" + pid + "/stat")
	if i := bytes.LastIndexByte(state, ')'); i >= 0 && len(state) > i+2 {
		return fmt.Sprintf("%s (%c)", strings.TrimSpace(string(data)), state[i+2])
	}
	return strings.TrimSpace(string(data))
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// hashTree is a digest of every file, its type, mode, owner and content below a
// folder.
func hashTree(t testing.TB, dir string) string {
	t.Helper()
	h := crc64.New(crc64.MakeTable(crc64.ECMA)) // nobody fakes it here, and it is fast everywhere
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%s %s %v\n", p, info.Mode(), owner(info))
		switch info.Mode().Type() {
		case fs.ModeSymlink:
			to, err := os.Readlink(p)
			fmt.Fprintln(h, to)
			return err
		case 0:
			data, err := os.ReadFile(p)
			h.Write(data)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// shared is closed when all tests are over.
var shared sharedRoots

type sharedRoots struct{ closers []func() error }

func (s *sharedRoots) close() error {
	var errs []error
	for _, f := range s.closers {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// owner gives a file's owner and group.
func owner(info fs.FileInfo) string {
	st := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d", st.Uid, st.Gid)
}

// runHost runs a command on the host that has to succeed, and gives its output.
func runHost(t testing.TB, argv ...string) string {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", argv, err, out)
	}
	return string(out)
}
