// Command bench measures vsl side by side with other programs that start guests
// or copy trees, on this machine, in one run. It is started by run.sh in mount
// and network namespaces of its own. The peers get the cheapest configuration
// that does comparable work: no user namespace, no network setup, no image
// handling, a root file system that is already there.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"vsl/tests/fixture"
)

// bench is what the experiments share.
type bench struct {
	ctx    context.Context
	vsl    string // path of the binary
	dir    string // everything that is made here is below
	rounds int
	many   int
	triv   string // a root file system with a static busybox
	deb    string // a Debian root file system
	debTar string
}

func main() {
	b := &bench{}
	flag.StringVar(&b.vsl, "vsl", "bin/vsl", "the binary to measure")
	flag.StringVar(&b.dir, "dir", "", "folder for everything that is made")
	flag.IntVar(&b.rounds, "rounds", 15, "rounds of each quick experiment; slow ones take a third")
	flag.IntVar(&b.many, "many", 200, "guests of the experiment with many")
	only := flag.String("only", "", "keys of the experiments to run, separated by commas")
	fetch := flag.Bool("fetch", false, "only see to it that the Debian tree is there: measuring has no network")
	within := flag.Duration("within", 30*time.Minute, "no round begins after this time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	b.ctx = ctx
	if *fetch {
		if _, err := b.fixture(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if err := b.run(*only, time.Now().Add(*within)); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b *bench) run(only string, deadline time.Time) (err error) {
	if err := b.prepare(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.cleanUp()) }()
	fmt.Printf("vsl benchmark: %s, %d CPUs, %s\n", kernelRelease(), runtime.NumCPU(), time.Now().UTC().Format(time.DateOnly))
	fmt.Println("medians; contenders take turns; vsl/this below 1 means that vsl takes less")
	if busy := load(); busy > 0.5 {
		fmt.Printf("this machine is not quiet (load %.1f): whoever uses more threads loses more of them to others\n", busy)
	}
	all := []func() *experiment{b.start, b.boot, b.trivial, b.clone, b.debian, b.manyGuests, b.walls}
	for _, makeOne := range all {
		e := makeOne()
		if only != "" && !strings.Contains(","+only+",", ","+e.key+",") {
			continue
		}
		e.run(deadline)
		e.finish()
		e.print(os.Stdout)
		if b.ctx.Err() != nil {
			return b.ctx.Err()
		}
	}
	return nil
}

// prepare makes the trees and a private /run, where peers keep their state.
func (b *bench) prepare() error {
	if b.dir == "" {
		return errors.New("use run.sh, which gives -dir")
	}
	for _, c := range [][]string{
		{"mount", "--make-rprivate", "/"},
		{"mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"},
		{"mkdir", "-p", "/run/lock"},
		{"ip", "link", "set", "lo", "up"},
		{"sh", "-c", "ip link add bench0 type dummy || ip link add bench0 type veth || ip tuntap add bench0 mode tap"},
		{"ip", "link", "set", "bench0", "up"},
		{"ip", "address", "add", "198.51.100.1/24", "dev", "bench0"},
		{"ip", "address", "add", "2001:db8::1/64", "dev", "bench0", "nodad"},
	} {
		if _, err := b.sh(c...); err != nil {
			return err
		}
	}
	tar, err := b.fixture()
	if err != nil {
		return err
	}
	b.debTar = tar
	b.deb = filepath.Join(b.dir, "deb")
	b.triv = filepath.Join(b.dir, "triv")
	if err := os.Mkdir(b.deb, 0o755); err != nil {
		return err
	}
	if _, err := b.sh("tar", "--zstd", "--numeric-owner", "--xattrs", "-xpf", tar, "-C", b.deb); err != nil {
		return err
	}
	return b.trivialTree()
}

func (b *bench) fixture() (string, error) {
	return fixture.Systemd.Path(b.ctx, func(f string, a ...any) { fmt.Printf(f+"\n", a...) })
}

func (b *bench) trivialTree() error {
	for _, d := range []string{"bin", "sbin", "proc", "sys", "dev", "etc", "run", "tmp", "usr/bin", "var"} {
		if err := os.MkdirAll(filepath.Join(b.triv, d), 0o755); err != nil {
			return err
		}
	}
	if _, err := b.sh("cp", filepath.Join(b.deb, "bin/busybox"), filepath.Join(b.triv, "bin/busybox")); err != nil {
		return err
	}
	for _, name := range []string{"sh", "sleep", "true"} {
		if err := os.Symlink("busybox", filepath.Join(b.triv, "bin", name)); err != nil {
			return err
		}
	}
	err := os.WriteFile(filepath.Join(b.triv, "etc/os-release"), []byte("ID=bench\n"), 0o644) // nspawn wants one
	return errors.Join(err, os.WriteFile(filepath.Join(b.triv, "etc/passwd"), []byte("root:x:0:0::/:/bin/sh\n"), 0o644))
}

// cleanUp takes down what a failed round left and removes the control groups
// that peers never remove. Mounts and addresses go with the namespaces.
func (b *bench) cleanUp() error {
	b.ctx = context.WithoutCancel(b.ctx)
	b.killPeers()
	if roots, _ := filepath.Glob(filepath.Join(b.dir, "vsl-*")); len(roots) > 0 {
		for _, r := range roots {
			b.sh(b.vsl, "--root", r, "down", "--all")
			b.sh(b.vsl, "--root", r, "gc")
		}
	}
	return removePeerGroups()
}

// sh runs a command and returns what it printed; an error has its last words.
func (b *bench) sh(argv ...string) (string, error) {
	ctx, cancel := context.WithTimeout(b.ctx, 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.WaitDelay = time.Second
	out, err := os.CreateTemp(b.dir, "out-") // a file, not a pipe: daemons keep it open
	if err != nil {
		return "", err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	text, _ := os.ReadFile(out.Name())
	said := strings.TrimSpace(string(text))
	if err != nil {
		if len(said) > 600 {
			said = "…" + said[len(said)-600:]
		}
		return said, fmt.Errorf("%s: %w: %s", filepath.Base(argv[0]), err, said)
	}
	return said, nil
}

// timed runs a command and gives its wall-clock time.
func (b *bench) timed(argv ...string) (time.Duration, error) {
	begin := time.Now()
	_, err := b.sh(argv...)
	return time.Since(begin), err
}

// load is the machine's load average of the last minute.
func load() (busy float64) {
	data, _ := os.ReadFile("/proc/loadavg")
	_, _ = fmt.Sscan(string(data), &busy)
	return busy
}

func kernelRelease() string {
	data, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return "Linux " + strings.TrimSpace(string(data))
}
