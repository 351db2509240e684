package guest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// hostileVerbs are what the agent does to others. Each is bounded.
var hostileVerbs = map[string]func([]string) error{
	"inotify": agentInotify, "trace": agentTrace, "flood": agentFlood, "swap": agentSwap,
	"hold":     agentHold,
	"output":   agentOutput,
	"peculiar": agentPeculiar,
	"queue":    agentQueue,
	"grab":     agentGrab,
}

// agentInotify takes all inotify instances that there are, and holds them until
// its input ends.
func agentInotify([]string) error {
	n := 0
	for ; n < 100_000; n++ {
		if _, err := unix.InotifyInit1(0); err != nil {
			break
		}
	}
	fmt.Println(n)
	_, err := os.Stdin.Read(make([]byte, 1))
	_ = err
	return nil
}

// agentTrace becomes the tracer of every process with a word in its command
// line, for 30 seconds, and waits for none of them.
func agentTrace(args []string) error {
	self := strconv.Itoa(os.Getpid())
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		dirs, err := os.ReadDir("/proc")
		if err != nil {
			return err
		}
		for _, d := range dirs {
			pid, err := strconv.Atoi(d.Name())
			if err != nil || d.Name() == self {
				continue
			}
			if data, _ := os.ReadFile("/proc/" + d.Name() + "/cmdline"); bytes.Contains(data, []byte(args[0])) {
				_ = unix.PtraceSeize(pid) // again and again: the first time does it
			}
		}
	}
	return nil
}

// agentFlood sends notifications without an end, but not READY=1, for 40 seconds.
func agentFlood([]string) error {
	c, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return err
	}
	msg := []byte("STATUS=\x1b]0;owned\x07" + strings.Repeat("x", 100) + "\n")
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); {
		_, _ = c.Write(msg) // the receiver may be gone
	}
	return nil
}

// agentSwap makes of a name a folder, a link and a mount in turn, for a minute: its
// arguments are the name and what the links and mounts lead to.
func agentSwap(args []string) error {
	name, other := args[0], args[0]+".other"
	if err := os.MkdirAll(name, 0o777); err != nil {
		return err
	}
	bind := func() error { return unix.Mount("/etc", name, "", unix.MS_BIND, "") }
	for end, i := time.Now().Add(time.Minute), 0; time.Now().Before(end); i++ {
		_ = os.Remove(other)
		if err := os.Symlink(args[1+i%(len(args)-1)], other); err != nil {
			return err
		}
		for n := range 200 { // an even number: the folder ends where it began
			if err := unix.Renameat2(unix.AT_FDCWD, name, unix.AT_FDCWD, other, unix.RENAME_EXCHANGE); err != nil {
				return err
			}
			if n == 100 {
				time.Sleep(time.Millisecond) // so that others, too, find the link, however seldom they run
			}
		}
		for range 20 {
			_ = bind()
			time.Sleep(time.Millisecond)
			_ = unix.Unmount(name, unix.MNT_DETACH)
		}
	}
	return nil
}

// agentQueue leaves that many megabytes of TCP data unread in connections to itself,
// as far as it gets with 400 of them in ten seconds, and prints how many it were.
func agentQueue(args []string) error {
	mb, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	to := &unix.SockaddrInet4{Port: l.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
	chunk, total := make([]byte, 64<<10), 0
	for i, end := 0, time.Now().Add(10*time.Second); i < 400 && total < mb<<20 && time.Now().Before(end); i++ {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		if err := unix.Connect(fd, to); err != nil {
			break // it gets no memory for one more
		}
		if err := unix.SetNonblock(fd, true); err != nil {
			return err
		}
		for idle := 0; idle < 5 && total < mb<<20; {
			n, err := unix.Write(fd, chunk)
			if total += max(0, n); err != nil {
				time.Sleep(time.Millisecond)
				idle++
			}
		}
	}
	fmt.Println(total >> 20)
	return nil
}

// agentOutput tells what can be done to the output of pid 1 besides writing to it.
func agentOutput([]string) error {
	const path = "/proc/1/fd/1"
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	fd := f.Fd()
	_, lease := unix.FcntlInt(fd, unix.F_SETLEASE, unix.F_RDLCK)
	_, seek := unix.Seek(int(fd), 0, 0)
	truncate := unix.Ftruncate(int(fd), 0)
	to, err := os.Readlink(path)
	what, _, _ := strings.Cut(to, ":")
	fmt.Printf("lease %s, seek %s, truncate %s, %s\n", errname(lease), errname(seek), errname(truncate), what)
	return err
}
