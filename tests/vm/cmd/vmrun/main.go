// Command vmrun runs a shell command inside the test VM and exits with its code:
//
//	go run ./tests/vm/cmd/vmrun -- uname -a
//
// Without a command it opens a shell. The checkout's bin/ is /srv/payload/bin
// inside; nothing that is written there survives.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"vsl/tests/fixture"
	"vsl/tests/vm"
)

func main() {
	within := flag.Duration("within", time.Hour, "the machine is stopped after this time")
	with := flag.String("with", "", "more files or folders to copy to /srv/payload, separated by commas")
	flag.Parse()
	code, err := run(flag.Args(), *within, *with)
	if err != nil {
		fmt.Fprintln(os.Stderr, "vmrun:", err)
		code = 125
	}
	os.Exit(code)
}

func run(argv []string, within time.Duration, with string) (int, error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	logf := func(format string, args ...any) { fmt.Fprintf(os.Stderr, "vmrun: "+format+"\n", args...) }
	img, err := vm.BuildImage(ctx, logf)
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "vmrun-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	payload := filepath.Join(dir, "payload")
	if err := fill(payload, argv, with); err != nil {
		return 0, err
	}
	disk := filepath.Join(dir, "payload.ext4")
	if err := vm.PayloadDisk(ctx, payload, disk); err != nil {
		return 0, err
	}
	cfg := vm.Config{Image: img, Disk: disk, Dir: dir, Within: within, Output: &quiet{out: os.Stdout}}
	if fd := int(os.Stdin.Fd()); term.IsTerminal(fd) {
		cfg.Stdin = os.Stdin
		if len(argv) == 0 {
			old, err := term.MakeRaw(fd)
			if err != nil {
				return 0, err
			}
			defer func() { _ = term.Restore(fd, old) }()
		}
	}
	res, err := vm.Run(ctx, cfg)
	if err != nil {
		return 0, fmt.Errorf("%w\n%s", err, vm.Console(dir, 20))
	}
	logf("%s, %s: ready after %.1fs, %.1fs in all", res.Kernel, res.Accel, res.Ready.Seconds(), res.Total.Seconds())
	if res.Code < 0 {
		return 0, fmt.Errorf("the machine went down:\n%s", vm.Console(dir, 40))
	}
	return res.Code, nil
}

func fill(payload string, argv []string, with string) error {
	if err := os.Mkdir(payload, 0o755); err != nil {
		return err
	}
	script := "stty sane; exec setsid -c bash -i\n"
	if len(argv) > 0 {
		script = strings.Join(argv, " ") + "\n"
	}
	top, err := fixture.RepoRoot()
	if err != nil {
		return err
	}
	files := []string{}
	if bin := filepath.Join(top, "bin"); exists(bin) {
		files = append(files, bin)
		script = "export PATH=/srv/payload/bin:$PATH\n" + script
	}
	if with != "" {
		files = append(files, strings.Split(with, ",")...)
	}
	for _, f := range files {
		if out, err := exec.Command("cp", "-a", f, payload+"/").CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	return os.WriteFile(filepath.Join(payload, "run"), []byte(script), 0o644)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// quiet keeps the harness's own lines from the user: those that begin with @vm,
// be it after a newline or after the byte that begins a line anywhere.
type quiet struct {
	out  *os.File
	held []byte // what may yet become a line of the harness
	mid  bool   // in the middle of a line of the user's
}

func (q *quiet) Write(p []byte) (int, error) {
	for _, b := range p {
		if b == 0x16 {
			q.mid = false
			continue
		}
		q.held = append(q.held, b)
		isMark := !q.mid && (strings.HasPrefix("@vm ", string(q.held)) || strings.HasPrefix(string(q.held), "@vm "))
		if isMark && b != '\n' {
			continue
		}
		if !isMark {
			if _, err := q.out.Write(q.held); err != nil {
				return 0, err
			}
		}
		q.mid = b != '\n'
		q.held = q.held[:0]
	}
	return len(p), nil
}
