//go:build linux

package rootfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"vsl/engine/internal/sys"
	"vsl/tests/fixture"
)

// fakeMmdebstrap puts a script of that name first in PATH. The real one needs an
// archive and half a minute; what is tested here is how we treat it.
func fakeMmdebstrap(t *testing.T, script string) *Store {
	t.Helper()
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "mmdebstrap"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	return &Store{Dir: filepath.Join(t.TempDir(), "templates")}
}

var fakeSource = Source{Kind: "debian", Suite: "bookworm", Mirror: "http://archive.example/debian", Packages: []string{"a", "b"}}

// fakeRoot finds the target folder among the arguments and calls it $root.
const fakeRoot = `for a; do case $a in */rootfs) root=$a;; --setup-hook=*) in=${a#*=};; --customize-hook=*) out=${a#*=};; esac; done
`

func TestDebianBuild(t *testing.T) {
	requireRoot(t)
	s := fakeMmdebstrap(t, fakeRoot+`
		mkdir -p "$root/etc/ssh" "$root/lib/systemd/system" "$root/dev" "$root/var/lib/apt/lists"
		"$in" "$root"
		echo "$@" > "$root/args"
		ls "$root/var/cache/apt/archives" > "$root/had"
		echo deb > "$root/var/cache/apt/archives/x_1.deb"
		"$out" "$root"
		echo "I: downloading packages with apt..." >&2
		touch "$root/lib/systemd/system/ssh.service" "$root/etc/ssh/ssh_host_rsa_key" "$root/etc/hostname" "$root/etc/resolv.conf" "$root/var/lib/apt/lists/x"
		mknod "$root/dev/null" c 1 3`)
	for i, had := range []string{"", "x_1.deb\n"} {
		var stages []string
		tm, err := s.Build(context.Background(), "d"+strconv.Itoa(i), fakeSource, "", nil, func(st string, _, _ int64) { stages = append(stages, st) })
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(stages, ","); got != "downloading,cleaning" {
			t.Errorf("stages %s", got)
		}
		args, _ := os.ReadFile(filepath.Join(tm.RootFS(), "args"))
		if !strings.Contains(string(args), "--include=a b bookworm ") || !strings.Contains(string(args), "deb http://archive.example/debian bookworm main") {
			t.Errorf("arguments %s", args)
		}
		if b, _ := os.ReadFile(filepath.Join(tm.RootFS(), "had")); string(b) != had {
			t.Errorf("build %d found %q in the cache", i, b)
		}
		for _, n := range []string{"etc/ssh/ssh_host_rsa_key", "etc/hostname", "etc/resolv.conf", "dev/null", "var/lib/apt/lists/x", "var/cache/apt/archives/x_1.deb"} {
			if _, err := os.Lstat(filepath.Join(tm.RootFS(), n)); err == nil {
				t.Errorf("%s is left", n)
			}
		}
		if st, err := os.Stat(filepath.Join(tm.RootFS(), "etc/machine-id")); err != nil || st.Size() != 0 {
			t.Errorf("machine-id: %v, %v", st, err)
		}
		if _, err := os.Stat(filepath.Join(tm.RootFS(), "etc/systemd/system/ssh.service.d/vsl-host-keys.conf")); err != nil {
			t.Error(err)
		}
	}
}

func TestDebianFails(t *testing.T) {
	requireRoot(t)
	s := fakeMmdebstrap(t, "echo 'E: Unable to locate package a' >&2; exit 25")
	_, err := s.Build(context.Background(), "d", fakeSource, "", nil, nil)
	if err == nil || !strings.Contains(err.Error(), "exit status 25") || !strings.Contains(err.Error(), "Unable to locate package a") {
		t.Errorf("Build gave %v", err)
	}
	checkStore(t, s, 0)
	t.Setenv("PATH", t.TempDir())
	_, err = s.Build(context.Background(), "d", fakeSource, "", nil, nil)
	if err == nil || !strings.Contains(err.Error(), "apt-get install mmdebstrap") {
		t.Errorf("without mmdebstrap Build gave %v", err)
	}
	checkStore(t, s, 0)
}

// TestDebianCancelled wants the whole process group gone, and all files.
func TestDebianCancelled(t *testing.T) {
	requireRoot(t)
	pidFile := filepath.Join(t.TempDir(), "pid")
	s := fakeMmdebstrap(t, fmt.Sprintf("PATH=/usr/bin:/bin\nsleep 600 & echo $! > %s.tmp; mv %s.tmp %s; wait", pidFile, pidFile, pidFile))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(pidFile); err == nil {
				cancel()
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	if _, err := s.Build(ctx, "d", fakeSource, "", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Build gave %v", err)
	}
	checkStore(t, s, 0)
	b, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(fixture.Patience(2 * time.Second)); time.Now().Before(end); {
		st, err := os.ReadFile("/proc/" + strings.TrimSpace(string(b)) + "/stat")
		if err != nil || strings.Contains(string(st), ") Z ") {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("process %s is still there", b)
}

func TestFullDisk(t *testing.T) {
	requireRoot(t)
	top := t.TempDir()
	err := OnMountThread(func() error {
		if err := sys.Mount("tmpfs", top, "tmpfs", 0, "size=1m"); err != nil {
			return err
		}
		s := &Store{Dir: filepath.Join(top, "templates")}
		archive := filepath.Join(os.TempDir(), fmt.Sprintf("vsl-test-%d.tar", os.Getpid()))
		if err := os.WriteFile(archive, makeTar(t, reg("a", strings.Repeat("x", 4<<20))), 0o600); err != nil {
			return err
		}
		defer func() { _ = os.Remove(archive) }()
		_, err := s.Build(context.Background(), "t", Source{Kind: "tar", Path: archive}, "", nil, nil)
		if !errors.Is(err, sys.ENOSPC) {
			t.Errorf("Build on a full disk gave %v", err)
		}
		checkStore(t, s, 0)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
