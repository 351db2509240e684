package vm

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Config says what one machine runs.
type Config struct {
	Image  Image
	Disk   string        // the second disk, of PayloadDisk: any number of machines may share it
	Dir    string        // for the console log and what the machine writes
	Accel  string        // of Accelerator; empty is asked for
	Within time.Duration // wall-clock bound, from start to power-off
	Stdin  io.Reader     // the run script's terminal input; nil is empty
	Output io.Writer     // the run script's terminal output, with the @vm lines
}

// Result is how a machine ended.
type Result struct {
	Accel   string        // kvm or tcg
	Ready   time.Duration // from starting QEMU until the run script began; 0 when it never did
	Total   time.Duration
	Kernel  string // uname -r
	Code    int    // the run script's exit code, -1 when it did not end
	Console string // the kernel's console log
}

// Run boots a machine and returns when it has powered off. Code -1 without an
// error means that the machine went down by itself, as it does after a panic.
func Run(ctx context.Context, c Config) (Result, error) {
	res := Result{Code: -1, Accel: c.Accel}
	if res.Accel == "" {
		res.Accel = Accelerator(ctx, c.Image)
	}
	console := filepath.Join(c.Dir, "console.log")
	// timeout(1) outlives us when we are killed, so QEMU always ends.
	args := append([]string{"-k", "5", strconv.Itoa(int(c.Within.Seconds()) + 1), "qemu-system-x86_64"}, qemuArgs(c.Image, res.Accel, c.Disk, console)...)
	ctx, cancel := context.WithTimeout(ctx, c.Within)
	defer cancel()
	cmd := exec.CommandContext(ctx, "timeout", append([]string{"--foreground"}, args...)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+c.Dir) // snapshot=on writes there
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	var stderr bytes.Buffer
	begin := time.Now()
	watch := &watcher{out: c.Output, begin: begin, res: &res}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, watch, &stderr
	err := cmd.Run()
	res.Total = time.Since(begin)
	if ctx.Err() != nil {
		return res, fmt.Errorf("vm: not done within %s", c.Within)
	}
	if err != nil {
		return res, fmt.Errorf("qemu: %w: %s", err, lastLines(stderr.String(), 5))
	}
	return res, nil
}

// Console returns the last lines that a machine's kernel printed.
func Console(dir string, lines int) string {
	data, _ := os.ReadFile(filepath.Join(dir, "console.log"))
	return lastLines(string(data), lines)
}

func qemuArgs(img Image, accel, disk, console string) []string {
	cpu := "max"
	if accel == "kvm" {
		cpu = "host"
	} else {
		accel = "tcg,thread=multi"
	}
	args := []string{
		"-accel", accel, "-cpu", cpu, "-M", "q35", "-smp", "2", "-m", "2048",
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-nic", "none",
		"-kernel", img.Kernel, "-initrd", img.Initrd,
		"-append", "console=ttyS0 panic=-1 loglevel=4 mitigations=off random.trust_cpu=on " +
			"systemd.unified_cgroup_hierarchy=1 systemd.unit=vsl-vm.target systemd.show_status=0",
		"-serial", "file:" + console, "-serial", "stdio",
		"-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng",
	}
	for _, file := range []string{img.Root, disk} {
		args = append(args, "-drive", "if=virtio,format=raw,cache=unsafe,snapshot=on,file="+strings.ReplaceAll(file, ",", ",,"))
	}
	return args
}

// Accelerator is kvm where it really runs a kernel: the device alone proves
// nothing, and nested machines often have one that fails or crawls.
func Accelerator(ctx context.Context, img Image) string {
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return "tcg"
	}
	f.Close()
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64",
		"-accel", "kvm", "-cpu", "host", "-M", "q35", "-smp", "2", "-m", "256",
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-nic", "none",
		"-kernel", img.Kernel, "-initrd", img.Initrd, "-append", "console=ttyS0 panic=-1 quiet vsl_probe",
		"-serial", "stdio")
	cmd.WaitDelay = time.Second
	out, _ := cmd.Output()
	if bytes.Contains(out, []byte("@vm probe ok")) {
		return "kvm"
	}
	return "tcg"
}

// PayloadDisk makes the second disk of a machine: the files below dir, of which
// "run" is started by sh, and room for what that writes beside them.
func PayloadDisk(ctx context.Context, dir, file string) error {
	var bytes int64
	err := filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil {
			bytes += info.Size() + 4096
		}
		return err
	})
	if err != nil {
		return err
	}
	return MakeExt4(ctx, file, dir, fmt.Sprintf("%dM", bytes*5/4>>20+256))
}

// lineStart stands before a marker that may follow an unfinished line. The Go
// test runner does the same with -test.v=test2json.
const lineStart = 0x16

// watcher passes the terminal's bytes on and picks up the @vm lines that tell
// how the machine is.
type watcher struct {
	out   io.Writer
	begin time.Time
	res   *Result
	line  []byte
}

func (w *watcher) Write(p []byte) (int, error) {
	for _, b := range p {
		if b != '\n' && b != lineStart {
			if len(w.line) < 4096 {
				w.line = append(w.line, b)
			}
			continue
		}
		w.see(strings.TrimSuffix(string(w.line), "\r"))
		w.line = w.line[:0]
	}
	return w.out.Write(p)
}

func (w *watcher) see(line string) {
	f := strings.Fields(line)
	switch {
	case len(f) == 4 && f[0] == "@vm" && f[1] == "ready":
		w.res.Ready = time.Since(w.begin)
		w.res.Kernel = f[3]
	case len(f) == 3 && f[0] == "@vm" && f[1] == "exit":
		if code, err := strconv.Atoi(f[2]); err == nil {
			w.res.Code = code
		}
	}
}

func lastLines(s string, n int) string {
	all := strings.Split(strings.TrimRight(s, "\r\n"), "\n")
	return strings.Join(all[max(0, len(all)-n):], "\n")
}
