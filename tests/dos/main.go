// Command dos measures what a hostile guest does to its neighbour and to the host:
// for each attack, the latency of a fixed probe in both, before and during it.
// `make dos` runs it, as root, in mount and network namespaces of its own; it is no
// test, since what it prints depends on what else the machine does.
//
//	dos VSL [ATTACK…]         all of it, with the vsl at that path
//	dos probe DURATION        the probe
//	dos attack NAME DURATION  one attack, as run inside the guest
package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	neighbourAddress = "127.77.66.12"
	attackTime       = 5 * time.Second
	probeTime        = 3 * time.Second
	maxRatio         = 2 // what a guest within its limits may cost the others
)

// recipe has an attacker with limits and one without a cpu limit. Both have addresses.
const recipe = `
local box = template "box" { from = host(), build = function(t) t:copy_in("dos", "/dos") end }
local function one(name, limit, ip) guest(name) { template = box, command = { "sleep", "infinity" }, limit = limit, ip = ip } end
one("limited", { memory = "256M", swap = 0, cpu = 0.5, pids = 256 }, "127.77.66.11")
one("unlimited", { memory = "256M", swap = 0, pids = 256 }, "127.77.66.13")
one("neighbour", {}, "` + neighbourAddress + `")
`

func main() {
	args := os.Args[1:]
	if err := run(args); err != nil {
		fmt.Fprintln(os.Stderr, "dos:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "true":
		return nil
	case len(args) == 1 && args[0] == "nest":
		return unix.Unshare(unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS)
	case len(args) == 1 && args[0] == "mntns":
		return unix.Unshare(unix.CLONE_NEWNS)
	case len(args) == 2 && args[0] == "probe", len(args) == 2 && args[0] == "hold":
		d, err := time.ParseDuration(args[1])
		if err != nil {
			return err
		}
		if args[0] == "hold" {
			hold(time.Now().Add(d), func(int) (int, error) { return unix.Eventfd(0, 0) })
			return nil
		}
		return json.NewEncoder(os.Stdout).Encode(probe(d))
	case len(args) == 3 && args[0] == "attack":
		d, err := time.ParseDuration(args[2])
		if err != nil || attacks[args[1]] == nil {
			return fmt.Errorf("no attack %q, or no duration %q", args[1], args[2])
		}
		attacks[args[1]](time.Now().Add(d))
		return nil
	case len(args) >= 1 && strings.Contains(args[0], "/"):
		return table(args[0], args[1:])
	}
	return fmt.Errorf("usage: dos VSL [ATTACK…]")
}

// latency of the probe, in microseconds.
type latency struct{ P50, P99, Runs int }

// probe does a little of what servers do, again and again: it starts a process,
// writes and reads a file, passes a byte over TCP, and touches fresh memory.
func probe(d time.Duration) latency {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return latency{}
	}
	go echo(l)
	var all []int
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		begin := time.Now()
		_ = exec.Command("/proc/self/exe", "true").Run()
		path := filepath.Join(os.TempDir(), fmt.Sprint("probe", os.Getpid()))
		if os.WriteFile(path, make([]byte, 4096), 0o600) == nil {
			_, _ = os.ReadFile(path)
			_ = os.Remove(path)
		}
		if c, err := net.Dial("tcp4", l.Addr().String()); err == nil {
			b := []byte{1}
			_, _ = c.Write(b)
			_, _ = c.Read(b)
			c.Close()
		}
		fresh, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		if err == nil {
			for i := 0; i < len(fresh); i += 4096 {
				fresh[i] = 1
			}
			_ = unix.Munmap(fresh)
		}
		all = append(all, int(time.Since(begin).Microseconds()))
	}
	slices.Sort(all)
	return latency{all[len(all)/2], all[len(all)*99/100], len(all)}
}

func echo(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			b := make([]byte, 1)
			if _, err := c.Read(b); err == nil {
				_, _ = c.Write(b)
			}
			c.Close()
		}()
	}
}

// bench is one run of the whole.
type bench struct{ vsl, dir string }

func table(vsl string, names []string) error {
	dir, err := os.MkdirTemp("", "vsl-dos-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{vsl, dir}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{"dos": self, "recipe.lua": []byte(recipe)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o755); err != nil {
			return err
		}
	}
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(attacks))
	}
	defer b.run("rm", "-f", "--all")
	fmt.Println("Milliseconds of the probe, p50/p99; limits of the attacker: 256 MB, 0.5 cpu, 256 pids.")
	fmt.Printf("%-26s %-34s %-34s\n", "", "neighbour: idle, during, ratios", "host: idle, during, ratios")
	rows, slower, jumpier := 0, 0, 0
	for _, name := range names {
		guests := []string{"limited"}
		if name == "busy loops" {
			guests = append(guests, "unlimited")
		}
		for _, guest := range guests {
			p50, p99, err := b.row(name, guest)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			rows++
			if p50 > maxRatio {
				slower++
			}
			if p99 > maxRatio {
				jumpier++
			}
		}
	}
	fmt.Printf("Of %d attacks, %d take the p50 of the neighbour or of the host beyond %d times idle, and %d the p99.\n", rows, slower, maxRatio, jumpier)
	return nil
}

// row makes guests anew, so that no attack finds what an earlier one left. It gives
// the worse of the neighbour's and the host's ratios.
func (b *bench) row(name, guest string) (p50, p99 float64, err error) {
	if out, err := b.run("up", filepath.Join(b.dir, "recipe.lua")); err != nil {
		return 0, 0, fmt.Errorf("up: %w: %s", err, out)
	}
	defer b.run("rm", "-f", "--all")
	idleNeighbour, idleHost, err := b.both()
	if err != nil {
		return 0, 0, err
	}
	attack := b.cmd("exec", guest, "/dos", "attack", name, attackTime.String())
	if err := attack.Start(); err != nil {
		return 0, 0, err
	}
	bound := time.AfterFunc(4*attackTime, func() { attack.Process.Kill() })
	defer bound.Stop()
	time.Sleep((attackTime - probeTime) / 2)
	neighbour, host, err := b.both()
	_ = attack.Wait() // an attacker may well be killed
	if err != nil {
		return 0, 0, err
	}
	if guest != "limited" {
		name += ", no cpu limit"
	}
	fmt.Printf("%-26s %-34s %-34s\n", name, words(idleNeighbour, neighbour), words(idleHost, host))
	n50, n99 := ratios(idleNeighbour, neighbour)
	h50, h99 := ratios(idleHost, host)
	return max(n50, h50), max(n99, h99), nil
}

func words(idle, during latency) string {
	ms := func(n int) float64 { return float64(n) / 1000 }
	p50, p99 := ratios(idle, during)
	return fmt.Sprintf("%.1f/%.1f, %.1f/%.1f, %.1f %.1f", ms(idle.P50), ms(idle.P99), ms(during.P50), ms(during.P99), p50, p99)
}

func ratios(idle, during latency) (p50, p99 float64) {
	return float64(during.P50) / float64(idle.P50), float64(during.P99) / float64(idle.P99)
}

// both probes the neighbour and the host at the same time.
func (b *bench) both() (neighbour, host latency, err error) {
	done := make(chan error, 1)
	go func() {
		out, err := b.cmd("exec", "neighbour", "/dos", "probe", probeTime.String()).Output()
		if err == nil {
			err = json.Unmarshal(out, &neighbour)
		}
		done <- err
	}()
	out, err := exec.Command("/proc/self/exe", "probe", probeTime.String()).Output()
	if err == nil {
		err = json.Unmarshal(out, &host)
	}
	if e := <-done; err == nil {
		err = e
	}
	return neighbour, host, err
}

func (b *bench) cmd(args ...string) *exec.Cmd {
	c := exec.Command(b.vsl, args...)
	c.Env = append(os.Environ(), "VSL_ROOT="+filepath.Join(b.dir, "root"))
	return c
}

func (b *bench) run(args ...string) (string, error) {
	out, err := b.cmd(args...).CombinedOutput()
	return string(out), err
}
