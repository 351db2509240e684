// Command work does a fixed amount of one kind of work and prints the
// milliseconds that it took. The benchmark runs it in a guest and on the bare host,
// and on the host behind one wall of a guest's at a time.
//
//	work [-wall seccomp|userns|overlay] KIND DIR
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"vsl/engine/spawn"
)

var kinds = map[string]func(dir string) error{
	"calls": calls, "processes": processes, "files": files, "memory": memory, "compile": compile,
}

func main() {
	args := os.Args[1:]
	if len(args) == 4 && args[0] == "-wall" {
		runtime.LockOSThread()
		if err := wall(args[1], args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "work:", err)
			os.Exit(1)
		}
		args = args[2:]
	}
	if len(args) != 2 || kinds[args[0]] == nil {
		fmt.Fprintln(os.Stderr, "usage: work [-wall seccomp|userns|overlay] KIND DIR")
		os.Exit(2)
	}
	begin := time.Now()
	if err := kinds[args[0]](args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "work:", err)
		os.Exit(1)
	}
	fmt.Println(float64(time.Since(begin).Microseconds()) / 1000)
}

// wall puts this process, and what it starts, behind one of a guest's walls. The
// user namespace is entered by starting again, since threads cannot be moved.
func wall(kind string, args []string) error {
	switch kind {
	case "seccomp":
		filter, err := spawn.Filter(spawn.FilterOptions{})
		if err != nil {
			return err
		}
		prog := unix.SockFprog{Len: uint16(len(filter) / 8), Filter: (*unix.SockFilter)(unsafe.Pointer(&filter[0]))}
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return err
		}
		if _, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog))); e != 0 {
			return e
		}
		return nil
	case "userns":
		c := exec.Command("/proc/self/exe", args...)
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{Size: 65536}}, GidMappings: []syscall.SysProcIDMap{{Size: 65536}}}
		if err := c.Run(); err != nil {
			return err
		}
		os.Exit(0)
	case "overlay":
		dir := args[1]
		for _, d := range []string{"lower", "upper", "work", "merged"} {
			if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
				return err
			}
		}
		merged := filepath.Join(dir, "merged")
		opts := fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", dir)
		if err := unix.Mount("overlay", merged, "overlay", 0, opts); err != nil {
			return err
		}
		args[1] = merged
		return nil
	}
	return fmt.Errorf("no wall %q", kind)
}

// calls makes system calls that do next to nothing.
func calls(string) error {
	var st unix.Stat_t
	for range 300_000 {
		unix.Getppid()
		unix.Getuid()
		if err := unix.Stat("/usr/bin/env", &st); err != nil {
			return err
		}
		fd, err := unix.Open("/dev/null", unix.O_RDWR, 0)
		if err != nil {
			return err
		}
		_, _ = unix.Write(fd, []byte{1})
		unix.Close(fd)
	}
	return nil
}

func processes(string) error {
	for range 500 {
		if err := exec.Command("/bin/true").Run(); err != nil {
			return err
		}
	}
	return nil
}

// files makes, lists, reads and removes a tree, as untar, git status and rm do.
func files(dir string) error {
	block := make([]byte, 8192)
	for d := range 60 {
		sub := filepath.Join(dir, "files", fmt.Sprint(d))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			return err
		}
		for f := range 100 {
			if err := os.WriteFile(filepath.Join(sub, fmt.Sprint(f)), block, 0o644); err != nil {
				return err
			}
		}
	}
	for range 4 {
		err := filepath.Walk(filepath.Join(dir, "files"), func(p string, info os.FileInfo, err error) error {
			if err == nil && info.Mode().IsRegular() {
				_, err = os.ReadFile(p)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return os.RemoveAll(filepath.Join(dir, "files"))
}

// memory takes fresh pages from the kernel and gives them back.
func memory(string) error {
	for range 8 {
		b, err := unix.Mmap(-1, 0, 128<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		if err != nil {
			return err
		}
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		if err := unix.Munmap(b); err != nil {
			return err
		}
	}
	return nil
}

// compile has the C compiler make an object of the same small text a few times.
func compile(dir string) error {
	src := filepath.Join(dir, "x.c")
	text := "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <math.h>\n"
	for i := range 60 {
		text += fmt.Sprintf("int f%d(int x) { char b[64]; snprintf(b, sizeof b, \"%%d\", x); return (int)strlen(b) + %d; }\n", i, i)
	}
	if err := os.WriteFile(src, []byte(text), 0o644); err != nil {
		return err
	}
	for range 8 {
		if out, err := exec.Command("gcc", "-O2", "-c", "-o", filepath.Join(dir, "x.o"), src).CombinedOutput(); err != nil {
			return fmt.Errorf("gcc: %w: %s", err, out)
		}
	}
	return nil
}
