package guest

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"vsl/engine"
)

// While vsl reads, writes, copies in, makes and removes below a folder, the guest swaps
// that for links to the host's folders and mounts over it. Nothing outside the guest's
// root is read or written.
func TestHostileSwapsLeadNowhere(t *testing.T) {
	r := newRoot(t)
	r.simple("")
	marks, tree := hostsFolder(t), filepath.Join(t.TempDir(), "tree")
	writeTree(t, tree, map[string]string{"keep": "vsl", "sub/keep": "vsl"})
	before, etc := hashTree(t, marks), hashTree(t, "/etc")
	r.sh("g", "echo guest > /etc/marked; mkdir -p /srv/m; mount --bind /etc /srv/m; cat /srv/m/marked; umount /srv/m")
	pid := r.background("g", agentName, "swap", "/srv/x", "/etc", marks, "/etc", "/proc/1/root"+marks, "/etc", "../../../../../../../.."+marks, "/proc/1/cwd/etc")
	g, calls, swapped, plain := r.guest("g"), 0, 0, 0 // the last two: what a read met
	ops := map[string]func(context.Context) error{
		"read": func(ctx context.Context) error {
			data, err := g.ReadFile(ctx, "/srv/x/marked")
			switch {
			case bytes.Contains(data, []byte("the host's")):
				t.Error("read the host's file")
			case err == nil:
				swapped++
			case errors.Is(err, fs.ErrNotExist):
				plain++
			}
			return err
		},
		"glob": func(ctx context.Context) error {
			names, err := g.Glob(ctx, "/srv/x/*")
			if strings.Contains(strings.Join(names, " "), "of-the-host") {
				t.Error("listed the host's folder")
			}
			return err
		},
		"write": func(ctx context.Context) error {
			return g.WriteFile(ctx, "/srv/x/y", []byte("vsl"), engine.WriteArgs{Mode: 0o666})
		},
		"append": func(ctx context.Context) error {
			return g.WriteFile(ctx, "/srv/x/y", []byte("vsl"), engine.WriteArgs{Append: true})
		},
		"mkdir":       func(ctx context.Context) error { return g.Mkdir(ctx, "/srv/x/vsl-d/e", 0o777) },
		"copy in":     func(ctx context.Context) error { return g.CopyIn(ctx, tree, "/srv/x/t") },
		"remove":      func(ctx context.Context) error { return g.Remove(ctx, "/srv/x/y") },
		"remove tree": func(ctx context.Context) error { return g.Remove(ctx, "/srv/x/t") },
	}
	for end := time.Now().Add(min(slow(4*time.Second), 20*time.Second)); time.Now().Before(end) && !t.Failed(); {
		for what, op := range ops {
			ctx, cancel := context.WithTimeout(t.Context(), slow(5*time.Second))
			if err := op(ctx); ctx.Err() != nil {
				t.Errorf("%s does not end: %v", what, err)
			}
			cancel()
			calls++
		}
	}
	t.Logf("%d calls; reads met the folder %d times, a link or a mount %d times", calls, plain, swapped)
	if err := syscall.Kill(pid, 0); err != nil || plain == 0 || swapped == 0 {
		t.Errorf("the guest did not swap to the end: %v", err)
	}
	expect(t, "the host's folder", hashTree(t, marks), before)
	expect(t, "the host's /etc", hashTree(t, "/etc"), etc)
}

// hostsFolder is a folder of the host that everybody could write, with all the names
// in it that vsl uses in the guest.
func hostsFolder(t *testing.T) string {
	dir := filepath.Join(t.TempDir(), "etc")
	text := "the host's"
	writeTree(t, dir, map[string]string{"marked": text, "y": text, "of-the-host": text, "t/keep": text, "t/sub/keep": text, "vsl-d/keep": text})
	if err := filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error { return errors.Join(err, os.Chmod(p, 0o777)) }); err != nil {
		t.Fatal(err)
	}
	for p := dir; len(p) > len(os.TempDir()); p = filepath.Dir(p) { // the way there, too
		if err := os.Chmod(p, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func writeTree(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		p := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o777), os.WriteFile(p, []byte(text), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
}
