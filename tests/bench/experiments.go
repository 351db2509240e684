package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// start compares what every command pays before it does anything.
func (b *bench) start() *experiment {
	just := func(argv ...string) func() ([]time.Duration, error) {
		return func() ([]time.Duration, error) {
			d, err := b.timed(argv...)
			return []time.Duration{d}, err
		}
	}
	return &experiment{
		key: "start", title: "Starting the program", phases: []string{"time"}, rounds: b.rounds * 3,
		contenders: []*contender{
			{name: "vsl version", round: just(b.vsl, "version")},
			{name: "vsl plan hello", note: "reads the recipe and compares it with the host", round: just(b.vsl, "--root", filepath.Join(b.dir, "none"), "plan", "hello")},
			{name: "empty static Go binary", round: just(filepath.Join(b.dir, "empty"))},
			{name: "lua5.1 on an empty file", round: just("lua5.1", "/dev/null")},
			{name: "runc --version", round: just("runc", "--version")},
		},
	}
}

// trivial compares starting and stopping a guest that only sleeps.
func (b *bench) trivial() *experiment {
	return &experiment{
		key: "trivial", title: "A trivial guest (static busybox tree, sleep)",
		phases: []string{"start", "stop", "both"}, rounds: b.rounds,
		contenders: []*contender{
			b.vslTrivial(),
			b.lxcTrivial(),
			b.ociOnce("runc"),
			b.oci("runc"),
			b.oci("crun"),
			b.once("systemd-nspawn", "runs true to its end, there is no detached start; no user namespace",
				nspawnArgs(b.triv, "--as-pid2", "/bin/true")...),
			b.once("bwrap", "runs true to its end; no cgroup, no limits, nothing to stop or list",
				"bwrap", "--bind", b.triv, "/", "--proc", "/proc", "--dev", "/dev",
				"--unshare-pid", "--unshare-ipc", "--unshare-uts", "--", "/bin/true"),
		},
	}
}

// debian compares the way from the command to nginx's first answer, and back
// down in order, on the same Debian tree.
func (b *bench) debian() *experiment {
	return &experiment{
		key: "debian", title: "Debian 12 with systemd and nginx: command to HTTP 200, and shut down in order",
		phases: []string{"to 200", "down", "both"}, rounds: max(3, b.rounds/3),
		contenders: []*contender{b.vslDebian(), b.lxcDebian(), b.nspawnDebian()},
	}
}

func (b *bench) vslDebian() *contender {
	const addr, addr6 = "198.51.100.10", "2001:db8::10" // in the subnets of bench0, which prepare makes
	var s *state
	return &contender{
		name: "vsl up", note: "user namespace, overlay and addresses of its own included; up waits for systemd's word",
		setup: func() (err error) {
			s, err = b.state("debian", fmt.Sprintf(`guest "deb" { template = template "deb" { from = tar { path = %q } }, ip = { %q, %q } }
`, b.debTar, addr, addr6))
			if err != nil {
				return err
			}
			if _, err := s.up(); err != nil { // builds the template
				return err
			}
			_, err = s.down()
			return err
		},
		round: func() ([]time.Duration, error) {
			served := awaitHTTP(addr + ":80")
			_, err := s.up()
			to200 := <-served
			if err != nil {
				return nil, err
			}
			down, err := s.down()
			if to200 == 0 {
				return nil, fmt.Errorf("no answer from %s", addr)
			}
			return []time.Duration{to200, down, to200 + down}, err
		},
	}
}

func (b *bench) lxcDebian() *contender {
	var who []string
	return &contender{
		name: "lxc-start -d", note: "overlay; host's network; no user namespace",
		setup: func() (err error) {
			who, err = b.lxcConfig("vslbench-deb", b.deb, true, "")
			return err
		},
		round: func() ([]time.Duration, error) {
			served := awaitHTTP("127.0.0.1:80")
			_, err := b.sh(append([]string{"lxc-start", "-d"}, who...)...)
			to200 := <-served
			if err != nil {
				return nil, err
			}
			down, err := b.timed(append([]string{"lxc-stop", "-t", "30"}, who...)...)
			if to200 == 0 {
				return nil, fmt.Errorf("no answer")
			}
			return []time.Duration{to200, down, to200 + down}, err
		},
	}
}

func (b *bench) nspawnDebian() *contender {
	return &contender{
		name: "systemd-nspawn -b", note: "--volatile=overlay; host's network; no user namespace",
		round: func() ([]time.Duration, error) {
			argv := nspawnArgs(b.deb, "--volatile=overlay", "-b")
			cmd := exec.CommandContext(b.ctx, argv[0], argv[1:]...)
			served := awaitHTTP("127.0.0.1:80")
			if err := cmd.Start(); err != nil {
				return nil, err
			}
			to200 := <-served
			begin := time.Now()
			cmd.Process.Signal(syscall.SIGTERM) // an orderly power-off
			stop := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
			cmd.Wait()
			stop.Stop()
			if to200 == 0 {
				return nil, fmt.Errorf("no answer")
			}
			down := time.Since(begin)
			return []time.Duration{to200, down, to200 + down}, nil
		},
	}
}

// awaitHTTP asks every 2 ms and sends how long it took until the first 200, or
// 0 after 30 s.
func awaitHTTP(addr string) <-chan time.Duration {
	result := make(chan time.Duration, 1)
	begin := time.Now()
	go func() {
		for time.Since(begin) < 30*time.Second {
			if answers(addr) {
				result <- time.Since(begin)
				return
			}
			time.Sleep(2 * time.Millisecond)
		}
		result <- 0
	}()
	return result
}

func answers(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := io.WriteString(c, "GET / HTTP/1.0\r\nHost: bench\r\n\r\n"); err != nil {
		return false
	}
	line, _ := bufio.NewReader(c).ReadString('\n')
	return strings.Contains(line, " 200 ")
}

// manyGuests compares many guests at once: time, and memory while all are up.
func (b *bench) manyGuests() *experiment {
	memory := map[string][]int64{}
	e := &experiment{
		key: "many", title: fmt.Sprintf("%d trivial guests", b.many),
		phases: []string{"start", "stop", "both"}, rounds: max(1, b.rounds/7),
		contenders: []*contender{b.vslMany(memory), b.lxcMany(memory, 1), b.lxcMany(memory, 2*runtime.NumCPU())},
	}
	e.extra = func(w io.Writer) {
		for _, c := range e.contenders {
			if m := memory[c.name]; len(m) > 0 && len(c.times[0]) > 0 {
				fmt.Fprintf(w, "  %s: per guest %s to start, %d KiB of memory\n",
					c.name, ms(median(c.times[0])/time.Duration(b.many)), m[len(m)-1]/int64(b.many))
			}
		}
	}
	return e
}

func (b *bench) vslMany(memory map[string][]int64) *contender {
	var s *state
	c := &contender{name: "vsl up", setup: func() error {
		recipe, err := b.trivialRecipe(b.many)
		if err != nil {
			return err
		}
		s, err = b.state("many", recipe)
		return err
	}}
	c.round = func() ([]time.Duration, error) {
		before := used()
		up, err := s.up()
		if err != nil {
			s.down()
			return nil, err
		}
		memory[c.name] = append(memory[c.name], used()-before)
		down, err := s.down()
		return []time.Duration{up, down, up + down}, err
	}
	return c
}

// lxcMany starts and stops them par at a time.
func (b *bench) lxcMany(memory map[string][]int64, par int) *contender {
	var base string
	each := func(script string) (time.Duration, error) {
		return b.timed("sh", "-c", "seq "+strconv.Itoa(b.many)+" | xargs -P "+strconv.Itoa(par)+" -I{} "+script)
	}
	c := &contender{
		name: fmt.Sprintf("lxc-start -d, %d at a time", par),
		setup: func() (err error) {
			for i := range b.many {
				who, err := b.lxcConfig(fmt.Sprintf("vslbench-m%d", i+1), b.triv, false, "/bin/sleep 100000")
				if err != nil {
					return err
				}
				base = who[1]
			}
			return nil
		},
	}
	c.round = func() ([]time.Duration, error) {
		before := used()
		up, err := each("lxc-start -d -P " + base + " -n vslbench-m{}")
		if err == nil {
			memory[c.name] = append(memory[c.name], used()-before)
		}
		down, err2 := each("lxc-stop -k -P " + base + " -n vslbench-m{}")
		if err == nil {
			err = err2
		}
		return []time.Duration{up, down, up + down}, err
	}
	return c
}

// used is what processes and the kernel hold, in KiB, without the page cache.
func used() int64 {
	data, _ := os.ReadFile("/proc/meminfo")
	var sum int64
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		switch f[0] {
		case "AnonPages:", "Shmem:", "Slab:", "KernelStack:", "PageTables:", "Percpu:":
			n, _ := strconv.ParseInt(f[1], 10, 64)
			sum += n
		}
	}
	return sum
}
