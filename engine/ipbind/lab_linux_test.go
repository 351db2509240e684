//go:build linux

package ipbind

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"vsl/tests/fixture"
)

func TestMain(m *testing.M) {
	if os.Getenv(agentEnv) != "" {
		agentMain()
	}
	os.Exit(m.Run())
}

func requireRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("VSL_TEST_REQUIRE") == "1" {
		t.Fatal("needs root")
	}
	t.Skip("needs root")
}

// need skips a test when the kernel says that it lacks something.
func need(t testing.TB, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if os.Getenv("VSL_TEST_REQUIRE") == "1" {
		t.Fatal(err)
	}
	t.Skip(err)
}

func bytesPtr(b []byte) uintptr { return uintptr(unsafe.Pointer(&b[0])) }

func errnoOrNil(e unix.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

// lab is a network namespace with addresses on its loopback device, below which
// contexts are made. The thread that made it is thrown away after the test.
type lab struct {
	t      testing.TB
	bounds Bounds // of the guests to come
	base   string
	groups []string
	agents []*agent
}

const (
	hostIP4, hostIP6 = "198.51.100.1", "2001:db8::1"
)

// ownRun gives the test's thread a /run of its own, for what Attach pins there.
// The thread is never unlocked: it ends with the test's goroutine.
func ownRun(t testing.TB) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
}

func newLab(t testing.TB) *lab {
	t.Helper()
	requireRoot(t)
	ownRun(t)
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	if err := linkUp("lo"); err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 12; i++ {
		addAddr(t, fmt.Sprintf("198.51.100.%d", i))
		addAddr(t, fmt.Sprintf("2001:db8::%x", i))
	}
	settle(t)
	l := &lab{t: t, bounds: Bounds{8192, 4096}, base: filepath.Join(unified(t), fmt.Sprintf("vsl-test-%d", os.Getpid()))}
	if err := os.MkdirAll(l.base, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, a := range l.agents {
			a.close()
		}
		for _, d := range append(l.groups, l.base) {
			if err := unix.Rmdir(d); err != nil {
				t.Error(d, err)
			}
		}
	})
	return l
}

// unified is where the v2 hierarchy is mounted.
func unified(t testing.TB) string {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if head, tail, ok := strings.Cut(line, " - "); ok && strings.HasPrefix(tail, "cgroup2 ") {
			return strings.Fields(head)[4]
		}
	}
	t.Fatal("no cgroup2 mount")
	return ""
}

func linkUp(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
}

// addAddr puts an address on the loopback device by one RTM_NEWADDR message.
func addAddr(t testing.TB, s string) {
	a := netip.MustParseAddr(s)
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	raw := a.AsSlice()
	family := byte(unix.AF_INET)
	if a.Is6() {
		family = unix.AF_INET6
	}
	body := []byte{family, byte(a.BitLen()), unix.IFA_F_NODAD, 0, 1, 0, 0, 0} // ifaddrmsg; lo is 1
	for _, kind := range []uint16{unix.IFA_LOCAL, unix.IFA_ADDRESS} {
		body = binary.NativeEndian.AppendUint16(body, uint16(4+len(raw)))
		body = binary.NativeEndian.AppendUint16(body, kind)
		body = append(body, raw...)
	}
	msg := binary.NativeEndian.AppendUint32(nil, uint32(16+len(body)))
	msg = binary.NativeEndian.AppendUint16(msg, unix.RTM_NEWADDR)
	msg = binary.NativeEndian.AppendUint16(msg, unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE)
	msg = append(msg, make([]byte, 8)...)
	msg = append(msg, body...)
	if err := unix.Sendto(fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 512)
	if _, _, err := unix.Recvfrom(fd, b, 0); err != nil {
		t.Fatal(err)
	}
	if e := int32(binary.NativeEndian.Uint32(b[16:])); e != 0 {
		t.Fatal(s, unix.Errno(-e))
	}
}

// settle waits until no IPv6 address is tentative: the kernel finishes adding
// one in the background.
func settle(t testing.TB) {
	for end := time.Now().Add(fixture.Patience(5 * time.Second)); ; time.Sleep(time.Millisecond) {
		b, err := os.ReadFile("/proc/thread-self/net/if_inet6")
		if err != nil {
			t.Fatal(err)
		}
		busy := false
		for line := range strings.Lines(string(b)) { // address, device, prefix, scope, flags, name
			flags, _ := strconv.ParseUint(strings.Fields(line)[4], 16, 32)
			busy = busy || flags&unix.IFA_F_TENTATIVE != 0
		}
		if !busy {
			return
		}
		if time.Now().After(end) {
			t.Fatal("addresses stay tentative")
		}
	}
}

// guest makes a context with the addresses and starts an agent in it; userns
// gives it the user namespace that a real guest has.
func (l *lab) guest(xid int, userns bool, addrs ...string) *agent {
	l.t.Helper()
	c := Config{XID: xid, Loopback: netip.AddrFrom4([4]byte{127, byte(xid >> 8), byte(xid), 1}), Bounds: l.bounds}
	for _, s := range addrs {
		if a := netip.MustParseAddr(s); a.Is4() {
			c.IP4 = append(c.IP4, a)
		} else {
			c.IP6 = append(c.IP6, a)
		}
	}
	if len(c.IP6) > 0 {
		c.Loopback6 = netip.MustParseAddr(fmt.Sprintf("fd76:736c:6c6f::%x", xid))
		addAddr(l.t, c.Loopback6.String())
		settle(l.t)
	}
	dir := fmt.Sprintf("%s/%d", l.base, xid)
	if err := os.Mkdir(dir, 0o755); err != nil {
		l.t.Fatal(err)
	}
	l.groups = append(l.groups, dir)
	f, err := os.Open(dir)
	if err != nil {
		l.t.Fatal(err)
	}
	defer f.Close()
	c.CgroupFD = int(f.Fd())
	if err := Attach(c); err != nil {
		l.t.Fatalf("%+v", err)
	}
	// The agent lives in a group below, as everything in a guest with systemd.
	if err := os.Mkdir(dir+"/below", 0o755); err != nil {
		l.t.Fatal(err)
	}
	l.groups = append([]string{dir + "/below"}, l.groups...)
	below, err := os.Open(dir + "/below")
	if err != nil {
		l.t.Fatal(err)
	}
	defer below.Close()
	attr := &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(below.Fd()), Pdeathsig: syscall.SIGKILL}
	if userns {
		attr.Cloneflags = unix.CLONE_NEWUSER
		ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: xid << 16, Size: 65536}}
		attr.UidMappings, attr.GidMappings = ids, ids
		attr.Credential = &syscall.Credential{Uid: 0, Gid: 0}
		attr.GidMappingsEnableSetgroups = true
	}
	return l.agent(attr)
}

// host starts an agent that is in no context.
func (l *lab) host() *agent { return l.agent(&syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}) }

type agent struct {
	t   testing.TB
	cmd *exec.Cmd
	in  *json.Encoder
	out *json.Decoder
	end func()
	got *os.File // the test's end of what the agent has as passFD
}

func (l *lab) agent(attr *syscall.SysProcAttr) *agent {
	l.t.Helper()
	cmd := exec.Command("/proc/self/exe")
	// The runtime preempts by a signal, which ends a system call on a socket that
	// has a timeout with EINTR: signal(7).
	cmd.Env = append(os.Environ(), agentEnv+"=1", "GODEBUG=asyncpreemptoff=1")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = attr
	in, err := cmd.StdinPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		l.t.Fatal(err)
	}
	got, pass := os.NewFile(uintptr(pair[0]), "got"), os.NewFile(uintptr(pair[1]), "pass")
	cmd.ExtraFiles = []*os.File{pass}
	err = cmd.Start()
	pass.Close()
	if err != nil {
		l.t.Fatal(err)
	}
	a := &agent{t: l.t, cmd: cmd, got: got, in: json.NewEncoder(in), out: json.NewDecoder(out)}
	a.end = func() { in.Close(); cmd.Wait(); got.Close() }
	l.agents = append(l.agents, a)
	return a
}

func (a *agent) close() { a.end() }

func (a *agent) do(q request) (int, string, error) {
	a.t.Helper()
	if err := a.in.Encode(q); err != nil {
		a.t.Fatal(err)
	}
	var r reply
	if err := a.out.Decode(&r); err != nil {
		a.t.Fatal(q, err)
	}
	return r.N, r.Text, errnoOrNil(unix.Errno(r.Errno))
}
