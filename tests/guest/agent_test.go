package guest

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// agentName is the path of this binary inside guests; started by that name it
// is a tool that does there what no command of a small system does.
const agentName = "/agent"

// agent runs one verb and gives the exit status.
func agent(args []string) int {
	verbs := map[string]func([]string) error{
		"alloc": agentAlloc, "burn": agentBurn, "serve": agentServe, "dial": agentDial, "bind": agentBind,
		"udp": agentUDP, "mmap": agentMmap, "probe": agentProbe, "maps": agentMaps, "abstract": agentAbstract,
		"spew": agentSpew, "peek": agentPeek, "unmask": agentUnmask,
		"without-fsync": agentWithoutFsync,
		"ports":         agentPorts,
	}
	maps.Copy(verbs, hostileVerbs)
	f, ok := verbs[args[0]]
	if !ok {
		fmt.Fprintln(os.Stderr, "agent: unknown verb", args[0])
		return 2
	}
	if err := f(args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		return 1
	}
	return 0
}

// agentWithoutFsync becomes another program, for which every fsync(2) fails.
func agentWithoutFsync(args []string) error {
	runtime.LockOSThread() // the filter is the thread's, until it is the program's
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // seccomp_data.nr
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_FSYNC},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EIO)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
		return err
	}
	return unix.Exec(args[0], args, os.Environ())
}

// agentPorts binds as many ports as it gets, bounded by its argument, prints how many
// and why not more, and holds them until its input ends.
func agentPorts(args []string) error {
	most, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	n := 0
	for ; n < most && err == nil; n++ {
		var l net.Listener
		if l, err = net.Listen("tcp4", "0.0.0.0:0"); err != nil {
			break
		}
		defer l.Close()
	}
	fmt.Println(n, err)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// agentAlloc takes and touches that many megabytes, bounded by its argument.
func agentAlloc(args []string) error {
	mb, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	for i := range mb {
		b, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		if err != nil {
			return fmt.Errorf("after %d MB: %w", i, err)
		}
		for p := 0; p < len(b); p += 4096 {
			b[p] = 1
		}
	}
	fmt.Println("allocated", mb)
	return nil
}

// agentBurn runs for a time of the clock and prints the milliseconds of CPU it got.
func agentBurn(args []string) error {
	d, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	begin, err := cpuTime()
	if err != nil {
		return err
	}
	for end := time.Now().Add(d); time.Now().Before(end); {
	}
	now, err := cpuTime()
	fmt.Println((now - begin).Milliseconds())
	return err
}

func cpuTime() (time.Duration, error) {
	var ru unix.Rusage
	err := unix.Getrusage(unix.RUSAGE_SELF, &ru)
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano()), err
}

// agentServe listens on addresses and tells each client its name, and what it
// sees of the connection's ends.
func agentServe(args []string) error {
	failed := make(chan error)
	for _, addr := range args[1:] {
		network := "tcp4"
		if addr[0] == '[' {
			network = "tcp6" // IPv6 only
		}
		l, err := net.Listen(network, addr)
		if err != nil {
			return err
		}
		fmt.Println("listening on", l.Addr())
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					failed <- err
					return
				}
				fmt.Fprintf(c, "%s local=%s peer=%s", args[0], c.LocalAddr(), c.RemoteAddr())
				c.Close()
			}
		}()
	}
	return <-failed
}

// agentDial connects and prints both ends and what the server says.
func agentDial(args []string) error {
	c, err := net.DialTimeout("tcp", args[0], 2*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Printf("me=%s to=%s ", host(c.LocalAddr()), c.RemoteAddr())
	_, err = io.Copy(os.Stdout, c)
	return err
}

func host(a net.Addr) string {
	h, _, _ := net.SplitHostPort(a.String())
	return h
}

// agentBind binds a TCP socket and says what it is bound to.
func agentBind(args []string) error {
	l, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return l.Close()
}

// agentUDP sends a datagram from a socket neither bound nor connected and prints the answer's
// source; with "serve" it answers with the sender's address.
func agentUDP(args []string) error {
	if args[0] == "serve" {
		pc, err := net.ListenPacket("udp4", args[1])
		if err != nil {
			return err
		}
		buf := make([]byte, 64)
		for {
			_, from, err := pc.ReadFrom(buf)
			if err != nil {
				return err
			}
			if _, err := pc.WriteTo([]byte(host(from)), from); err != nil {
				return err
			}
		}
	}
	to, err := netip.ParseAddrPort(args[0])
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	if err := unix.Sendto(fd, []byte("who am I"), 0, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != nil {
		return err
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2}); err != nil {
		return err
	}
	buf := make([]byte, 64)
	n, from, err := unix.Recvfrom(fd, buf, 0)
	for err == unix.EINTR { // the runtime's preemption: signal(7)
		n, from, err = unix.Recvfrom(fd, buf, 0)
	}
	if err != nil {
		return err
	}
	fmt.Printf("seen=%s from=%s", buf[:n], netip.AddrFrom4(from.(*unix.SockaddrInet4).Addr))
	return nil
}

// agentMmap maps a file's first page, prints where, and waits for the end of
// its input.
func agentMmap(args []string) error {
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	b, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	fmt.Printf("%d %x\n", b[0], addrOf(b))
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// agentAbstract listens on an abstract UNIX socket, or connects to one. With
// "both" it does the second from a child of the first, for ever.
func agentAbstract(args []string) error {
	name := "@" + args[1]
	if args[0] == "dial" {
		c, err := net.Dial("unix", name)
		if err != nil {
			return err
		}
		return c.Close()
	}
	l, err := net.Listen("unix", name)
	if err != nil {
		return err
	}
	child := exec.Command(agentName, "abstract", "dial", args[1])
	child.Args[0] = agentName
	out, err := child.CombinedOutput()
	fmt.Printf("own child: %v %s\n", err, out)
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		c.Close()
	}
}

// agentSpew writes that many megabytes of numbered lines.
func agentSpew(args []string) error {
	mb, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	line := make([]byte, 1024)
	for i := range line {
		line[i] = 'x'
	}
	for i := range mb * 1024 {
		copy(line, fmt.Sprintf("%08d ", i))
		line[len(line)-1] = '\n'
		if _, err := os.Stdout.Write(line); err != nil {
			return err
		}
	}
	fmt.Println("the last line")
	time.Sleep(time.Hour) // so that it still runs when it is seen to be ready
	return nil
}
