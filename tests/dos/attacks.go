package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// attacks are what a hostile root of a guest does to use up the machine. Each goes
// on until its deadline and ends by itself; what it makes is in the guest, and goes
// with it. None gives up at the first error: being refused is what is hoped for.
var attacks = map[string]func(deadline time.Time){
	"fork bomb":         forkBomb,
	"memory":            memory,
	"tmpfs":             func(end time.Time) { fill(end, "/dev/shm", "/run") },
	"page cache":        pageCache,
	"socket memory":     socketMemory,
	"ports":             ports,
	"busy loops":        spin,
	"real-time spinner": realTime,
	"dirty writer":      func(end time.Time) { write(end, nil) },
	"fsync storm":       func(end time.Time) { write(end, (*os.File).Sync) },
	"sync storm":        func(end time.Time) { repeat(end, func(int) { unix.Sync() }) },
	"inode filler":      func(end time.Time) { repeat(end, func(i int) { touch(fmt.Sprintf("/var/tmp/i%d", i%200_000)) }) },
	"descriptors":       descriptors,
	"ptys": func(end time.Time) {
		hold(end, func(int) (int, error) { return unix.Open("/dev/ptmx", unix.O_RDWR, 0) })
	},
	"inotify": inotify,
	"IPC":     ipc,
	"mounts":  mounts,
	"cgroups": func(end time.Time) {
		repeat(end, func(i int) { _ = os.Mkdir(fmt.Sprintf("/sys/fs/cgroup/a%d", i), 0o755) })
	},
	"namespaces":        func(end time.Time) { again(end, "nest") },
	"signal storm":      signals,
	"exec storm":        func(end time.Time) { again(end, "true") },
	"negative dentries": func(end time.Time) { repeat(end, func(i int) { _, _ = os.Lstat(fmt.Sprintf("/usr/none%d", i)) }) },
	"log flood":         logFlood,
	"deep trees":        deepTree,
	"UDP flood":         func(end time.Time) { flood(end, "udp4") },
	"TCP flood":         func(end time.Time) { flood(end, "tcp4") },
	"mount namespaces":  func(end time.Time) { again(end, "mntns") },
	"leases and locks":  leases,
}

// repeat calls f with a count until the deadline.
func repeat(end time.Time, f func(i int)) {
	for i := 0; ; i++ {
		if i%16 == 0 && time.Now().After(end) {
			return
		}
		f(i)
	}
}

// hold opens as many descriptors as it can and keeps them.
func hold(end time.Time, open func(i int) (int, error)) {
	repeat(end, func(i int) {
		if _, err := open(i); err != nil {
			time.Sleep(time.Millisecond)
		}
	})
}

// parallel runs as many of this program as pids allow, up to n.
func parallel(n int, args ...string) []*exec.Cmd {
	var all []*exec.Cmd
	for range n {
		c := exec.Command("/proc/self/exe", args...)
		if c.Start() == nil {
			all = append(all, c)
		}
	}
	return all
}

func forkBomb(end time.Time) {
	repeat(end, func(int) {
		c := exec.Command("/bin/sleep", "1")
		if c.Start() == nil {
			go c.Wait()
		}
	})
}

func memory(end time.Time) {
	var kept [][]byte
	repeat(end, func(int) {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		if kept = append(kept, b); len(kept) > 220 { // just below the limit, over and over
			kept = nil
			runtime.GC()
		}
	})
}

func fill(end time.Time, dirs ...string) {
	block := make([]byte, 1<<20)
	repeat(end, func(i int) {
		f, err := os.OpenFile(filepath.Join(dirs[i%len(dirs)], fmt.Sprint("fill", i%64)), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err == nil {
			_, err = f.Write(block)
			f.Close()
		}
		if err != nil {
			time.Sleep(time.Millisecond)
		}
	})
}

func pageCache(end time.Time) {
	block := make([]byte, 1<<20)
	f, err := os.Create("/var/tmp/cache")
	if err != nil {
		return
	}
	for range 512 {
		_, _ = f.Write(block)
	}
	repeat(end, func(i int) { _, _ = f.ReadAt(block, int64(i%512)<<20) })
}

func socketMemory(end time.Time) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return
	}
	block := make([]byte, 1<<20)
	for range 64 {
		c, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			break
		}
		go func() {
			_ = c.SetWriteDeadline(end)
			for {
				if _, err := c.Write(block); err != nil {
					return
				}
			}
		}()
	}
	time.Sleep(time.Until(end))
}

func ports(end time.Time) {
	hold(end, func(int) (int, error) {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			return fd, err
		}
		if err = unix.Bind(fd, &unix.SockaddrInet4{}); err != nil {
			unix.Close(fd)
		}
		return fd, err
	})
}

func spin(end time.Time) {
	for range 8 {
		go func() {
			for time.Now().Before(end) {
			}
		}()
	}
	time.Sleep(time.Until(end))
}

func realTime(end time.Time) {
	param := [1]int32{99}
	_, _, _ = unix.RawSyscall(unix.SYS_SCHED_SETSCHEDULER, 0, 1, uintptr(unsafe.Pointer(&param))) // SCHED_FIFO
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, -20)
	spin(end)
}

func write(end time.Time, after func(*os.File) error) {
	f, err := os.Create("/var/tmp/dirty")
	if err != nil {
		return
	}
	size := 1 << 20
	if after != nil {
		size = 4096
	}
	block := make([]byte, size)
	repeat(end, func(i int) {
		_, _ = f.WriteAt(block, int64(i%1024)*int64(size))
		if after != nil {
			_ = after(f)
		}
	})
}

func touch(path string) {
	if f, err := os.Create(path); err == nil {
		f.Close()
	}
}

func descriptors(end time.Time) {
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20})
	for _, c := range parallel(32, "hold", time.Until(end).String()) {
		defer c.Wait()
	}
	time.Sleep(time.Until(end))
}

func inotify(end time.Time) {
	hold(end, func(i int) (int, error) {
		fd, err := unix.InotifyInit()
		for j := range 100 {
			_, _ = unix.InotifyAddWatch(fd, fmt.Sprint("/proc/self/fd/", j), unix.IN_ALL_EVENTS)
		}
		return fd, err
	})
}

func ipc(end time.Time) {
	repeat(end, func(i int) {
		_, _ = unix.SysvShmGet(unix.IPC_PRIVATE, 1<<20, unix.IPC_CREAT|0o600)
		_, _, _ = unix.RawSyscall(unix.SYS_MSGGET, 0, 0o1600, 0)
		_, _, _ = unix.RawSyscall(unix.SYS_SEMGET, 0, 250, 0o1600)
	})
}

func mounts(end time.Time) {
	_ = os.MkdirAll("/tmp/m", 0o755)
	repeat(end, func(i int) { _ = unix.Mount("none", "/tmp/m", "tmpfs", 0, "size=4k") })
}

// again runs this program over and over for what one process cannot do twice.
func again(end time.Time, what string) {
	repeat(end, func(int) { _ = exec.Command("/proc/self/exe", what).Run() })
}

func signals(end time.Time) {
	list := parallel(64, "hold", time.Until(end).String())
	repeat(end, func(i int) {
		for _, c := range list {
			_ = c.Process.Signal(syscall.SIGCONT)
		}
	})
	for _, c := range list {
		_ = c.Process.Kill()
		_ = c.Wait()
	}
}

func logFlood(end time.Time) {
	f, err := os.OpenFile("/proc/1/fd/1", os.O_WRONLY, 0)
	if err != nil {
		f = os.Stdout
	}
	line := make([]byte, 1<<16)
	for i := range line {
		line[i] = 'x'
	}
	line[len(line)-1] = '\n'
	repeat(end, func(int) { _, _ = f.Write(line) })
}

func deepTree(end time.Time) {
	if os.Chdir("/var/tmp") != nil {
		return
	}
	repeat(end, func(int) {
		if os.Mkdir("d", 0o755) == nil {
			_ = os.Chdir("d")
		}
	})
}

func flood(end time.Time, network string) {
	block := make([]byte, 1024)
	for range 4 {
		go repeat(end, func(int) {
			c, err := net.DialTimeout(network, neighbourAddress+":9", 100*time.Millisecond)
			if err != nil {
				return
			}
			for range 200 {
				if _, err := c.Write(block); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
					break
				}
			}
			c.Close()
		})
	}
	time.Sleep(time.Until(end))
}

func leases(end time.Time) {
	repeat(end, func(i int) {
		f, err := os.Open("/bin/true")
		if err != nil {
			return
		}
		_, _ = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK)
		_ = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		time.Sleep(10 * time.Millisecond)
		f.Close()
	})
}
