package rootfs

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"vsl/engine/internal/sys"
)

// debianStages are the beginnings of what mmdebstrap says, in order, and how far
// the build is then, in percent: its own bar needs a terminal.
var debianStages = []struct {
	says, stage string
	percent     int64
}{
	{"running apt-get update", "package lists", 5},
	{"downloading packages with apt", "downloading", 15},
	{"extracting archives", "extracting", 35},
	{"installing essential packages", "essential packages", 45},
	{"installing remaining packages", "packages", 60},
	{"cleaning package lists", "cleaning", 95},
}

var (
	debianWord    = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9+.:~=/_-]*$`)
	debianPackage = regexp.MustCompile(`^[a-z0-9?][a-zA-Z0-9+.:~=/()?_,!|-]*$`)
)

// debianTree makes a Debian tree with mmdebstrap. lock stays open in mmdebstrap,
// so that the build counts as running for as long as that runs, even when we
// are killed.
func (s *Store) debianTree(ctx context.Context, t *Template, lock *os.File, progress Progress) error {
	tool, err := exec.LookPath("mmdebstrap")
	if err != nil {
		return &sys.OpError{Op: "build template", Target: t.Name, Err: fmt.Errorf("mmdebstrap is not installed"),
			Hint: "apt-get install mmdebstrap"}
	}
	args, err := s.debianArgs(t)
	if err != nil {
		return sys.Op("build template", t.Name, err)
	}
	cmd := exec.CommandContext(ctx, tool, args...)
	sys.OwnGroup(cmd)
	cmd.Env = debianEnv()
	cmd.ExtraFiles = []*os.File{lock}
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.StderrPipe()
	if err != nil {
		return sys.Op("run", tool, err)
	}
	if err := cmd.Start(); err != nil {
		return sys.Op("run", tool, unwrapPath(err))
	}
	tail := followDebian(out, progress)
	err = cmd.Wait()
	if e := ctx.Err(); e != nil {
		return sys.Op("build template", t.Name, e)
	}
	if err != nil {
		return &sys.OpError{Op: "build template", Target: t.Name, Err: fmt.Errorf("mmdebstrap: %w:\n%s", err, strings.Join(tail, "\n"))}
	}
	progress("cleaning", 97, 100)
	return cleanDebian(t.RootFS())
}

func debianEnv() []string {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/root",
		"DEBIAN_FRONTEND=noninteractive"}
	for _, k := range []string{"http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "TMPDIR"} {
		if v, ok := os.LookupEnv(k); ok {
			env = append(env, k+"="+v)
		}
	}
	return env
}

// debianArgs are mmdebstrap's arguments; it also writes the two hooks that share
// downloaded packages between builds.
func (s *Store) debianArgs(t *Template) ([]string, error) {
	src := t.Source
	variant := src.Variant
	if variant == "" {
		variant = "minbase"
	}
	for _, w := range []string{src.Suite, variant} {
		if !debianWord.MatchString(w) {
			return nil, fmt.Errorf("%q is no name of a suite or variant", w)
		}
	}
	for _, p := range src.Packages {
		if !debianPackage.MatchString(p) {
			return nil, fmt.Errorf("%q is no name of a package", p)
		}
	}
	cache := filepath.Join(filepath.Dir(s.Dir), "cache", "apt")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return nil, unwrapPath(err)
	}
	in, out := filepath.Join(filepath.Dir(t.dir), "cache-in"), filepath.Join(filepath.Dir(t.dir), "cache-out")
	for path, text := range map[string]string{
		// A link or a rename is whole or not there: two builds cannot disturb
		// each other, and neither sees half a package.
		in: `dir="$1/var/cache/apt/archives"
mkdir -p "$dir"
for f in "$cache"/*.deb; do
	[ -f "$f" ] || continue
	ln "$f" "$dir/" 2>/dev/null || cp "$f" "$dir/"
done
`,
		out: `for f in "$1"/var/cache/apt/archives/*.deb; do
	[ -f "$f" ] || continue
	to="$cache/${f##*/}"
	[ -e "$to" ] && continue
	ln "$f" "$to" 2>/dev/null || { cp "$f" "$cache/.$$" && mv "$cache/.$$" "$to"; }
done
`,
	} {
		head := "#!/bin/sh\nset -e\ncache=" + shellQuote(cache) + "\n"
		if err := writeFile(path, []byte(head+text), 0o700); err != nil {
			return nil, err
		}
	}
	args := []string{"--mode=root", "--format=directory", "--variant=" + variant,
		"--skip=download/empty,essential/unlink", "--setup-hook=" + in, "--customize-hook=" + out,
		`--aptopt=Acquire::Languages "none"`, `--aptopt=Acquire::Retries "3"`,
		"--dpkgopt=force-unsafe-io"} // the whole tree is synced at the end
	if len(src.Packages) > 0 {
		args = append(args, "--include="+strings.Join(src.Packages, " "))
	}
	args = append(args, src.Suite, t.RootFS())
	return append(args, debianSources(src, os.ReadFile)...), nil
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// followDebian reports mmdebstrap's progress and gives the last lines that it
// said, which explain a failure.
func followDebian(r io.Reader, progress Progress) []string {
	const keep = 15
	var tail []string
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		line := strings.TrimRight(sc.Text(), " \r")
		text, info := strings.CutPrefix(line, "I: ")
		if info {
			for _, s := range debianStages {
				if strings.HasPrefix(text, s.says) {
					progress(s.stage, s.percent, 100)
				}
			}
			continue
		}
		if line == "" || line == "done" {
			continue
		}
		if tail = append(tail, line); len(tail) > keep {
			tail = tail[1:]
		}
	}
	_, _ = io.Copy(io.Discard, r) // a line too long to scan must not block it
	return tail
}

// debianSources are the archives, as lines of sources.list(5): the mirror of
// the recipe, or the host's own for this suite, or Debian's.
func debianSources(src Source, read func(string) ([]byte, error)) []string {
	if src.Mirror != "" {
		return []string{"deb " + src.Mirror + " " + src.Suite + " main"}
	}
	if lines := hostSources(src.Suite, read); len(lines) > 0 {
		return lines
	}
	lines := []string{"deb http://deb.debian.org/debian " + src.Suite + " main"}
	switch src.Suite {
	case "sid", "unstable", "experimental":
		return lines
	}
	return append(lines, "deb http://deb.debian.org/debian "+src.Suite+"-updates main",
		"deb http://deb.debian.org/debian-security "+src.Suite+"-security main")
}

// cleanDebian takes out of a tree what belongs to the build or to one machine.
// A guest's ssh keys are made when its sshd first starts, by the drop-in.
func cleanDebian(rootfs string) error {
	for _, pattern := range []string{
		"dev/*", "run/*", "tmp/*", "tmp/.[!.]*", "etc/hostname", "etc/resolv.conf", "etc/ssh/ssh_host_*",
		"etc/apt/apt.conf.d/99mmdebstrap", "etc/dpkg/dpkg.cfg.d/99mmdebstrap",
		"var/cache/apt/*.bin", "var/cache/apt/archives/*.deb", "var/lib/apt/lists/*", "var/lib/dbus/machine-id",
		"var/cache/ldconfig/aux-cache", "var/log/bootstrap.log", "var/log/dpkg.log", "var/log/alternatives.log", "var/log/apt/*",
	} {
		names, err := filepath.Glob(filepath.Join(globQuote(rootfs), pattern))
		if err != nil {
			return sys.Op("clean", pattern, err)
		}
		for _, n := range names {
			if err := RemoveTree(n); err != nil {
				return err
			}
		}
	}
	// Empty means: not set up yet. systemd and Seed fill it in.
	if err := writeFile(filepath.Join(rootfs, "etc/machine-id"), nil, 0o444); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(rootfs, "lib/systemd/system/ssh.service")); err != nil {
		return nil
	}
	dir := filepath.Join(rootfs, "etc/systemd/system/ssh.service.d")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return sys.Op("make folder", dir, unwrapPath(err))
	}
	return writeFile(filepath.Join(dir, "vsl-host-keys.conf"), []byte("[Service]\nExecStartPre=\n"+
		"ExecStartPre=/usr/bin/ssh-keygen -A\nExecStartPre=/usr/sbin/sshd -t\n"), 0o644)
}

func globQuote(s string) string {
	return regexp.MustCompile(`[\\*?\[]`).ReplaceAllString(s, `\$0`)
}
