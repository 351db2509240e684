//go:build linux

package rootfs

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"vsl/engine/internal/sys"
	"vsl/tests/fixture"
)

// ent is one entry of a test archive; data is the content or the link's target.
type ent struct {
	typ  byte
	name string
	data string
	edit func(*tar.Header)
}

func makeTar(t testing.TB, ents ...ent) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range ents {
		h := &tar.Header{Typeflag: e.typ, Name: e.name, Mode: 0o755, Uid: os.Getuid(), Gid: os.Getgid(), Format: tar.FormatPAX}
		switch e.typ {
		case tar.TypeReg:
			h.Size = int64(len(e.data))
		case tar.TypeSymlink, tar.TypeLink:
			h.Linkname = e.data
		}
		if e.edit != nil {
			e.edit(h)
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if e.typ == tar.TypeReg {
			if _, err := w.Write([]byte(e.data)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func reg(name, data string) ent       { return ent{typ: tar.TypeReg, name: name, data: data} }
func dir(name string) ent             { return ent{typ: tar.TypeDir, name: name} }
func symlink(name, target string) ent { return ent{typ: tar.TypeSymlink, name: name, data: target} }
func link(name, target string) ent    { return ent{typ: tar.TypeLink, name: name, data: target} }

// cell is a folder to unpack into, with something beside it that must not change.
func cell(t testing.TB) (in, outside string) {
	t.Helper()
	top := t.TempDir()
	in, outside = filepath.Join(top, "in"), filepath.Join(top, "outside")
	for _, d := range []string{in, outside} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	return in, outside
}

// listing gives every path below root with its type and content.
func listing(t testing.TB, root string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		switch {
		case d.Type().IsRegular():
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			out = append(out, rel+"="+string(b))
		case d.Type()&fs.ModeSymlink != 0:
			l, _ := os.Readlink(p)
			out = append(out, rel+"->"+l)
		case rel != ".":
			out = append(out, rel+"/")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestUnpackHostile(t *testing.T) {
	fixture.HostTierOnly(t)
	for _, c := range []struct {
		name string
		ents func(outside string) []ent
		want string // listing, or "error"
	}{
		{"absolute name", func(o string) []ent { return []ent{reg("/a", "x")} }, "a=x"},
		{"dot dot", func(o string) []ent { return []ent{reg("../outside/secret", "x")} }, "error"},
		{"dot dot inside", func(o string) []ent { return []ent{reg("a/../../outside/x", "x")} }, "error"},
		{"through an absolute link", func(o string) []ent { return []ent{symlink("l", o), reg("l/secret", "x")} }, "error"},
		{"through a relative link", func(o string) []ent { return []ent{dir("outside"), symlink("l", "../outside"), reg("l/secret", "x")} },
			"l->../outside outside/ outside/secret=x"},
		{"through a link to the root", func(o string) []ent { return []ent{symlink("l", "/"), reg("l/a", "x")} }, "a=x l->/"},
		{"through a link inside", func(o string) []ent { return []ent{dir("usr/lib"), symlink("lib", "usr/lib"), reg("lib/a", "x")} },
			"lib->usr/lib usr/ usr/lib/ usr/lib/a=x"},
		{"onto a link", func(o string) []ent { return []ent{symlink("f", o+"/secret"), reg("f", "x")} }, "f=x"},
		{"folder onto a link", func(o string) []ent { return []ent{symlink("d", o), dir("d"), reg("d/secret", "x")} }, "d/ d/secret=x"},
		{"folder replaced by a link", func(o string) []ent { return []ent{dir("d"), reg("d/a", "x"), symlink("d", o), reg("d/secret", "y")} }, "error"},
		{"hard link out", func(o string) []ent { return []ent{link("h", "../outside/secret"), reg("h", "x")} }, "error"},
		{"hard link to an absolute name", func(o string) []ent { return []ent{link("h", o+"/secret")} }, "error"},
		{"hard link through a link", func(o string) []ent { return []ent{symlink("l", o), link("h", "l/secret")} }, "error"},
		{"hard link to a link", func(o string) []ent { return []ent{symlink("l", o+"/secret"), link("h", "l"), reg("h", "x")} }, "h=x l->OUT/secret"},
		{"hard link to itself", func(o string) []ent { return []ent{reg("a", "x"), link("a", "a")} }, "error"},
		{"hard link twice", func(o string) []ent { return []ent{reg("a", "x"), link("b", "a"), link("b", "./a")} }, "a=x b=x"},
		{"hard link to a folder", func(o string) []ent { return []ent{dir("d"), link("h", "d")} }, "error"},
		{"same name twice", func(o string) []ent { return []ent{reg("a", "x"), reg("a", "yy")} }, "a=yy"},
		{"file over a full folder", func(o string) []ent { return []ent{reg("d/a/b", "x"), reg("d", "y"), reg("e", "z")} }, "d=y e=z"},
		{"device", func(o string) []ent {
			return []ent{{typ: tar.TypeBlock, name: "sda"}, {typ: tar.TypeChar, name: "wh"}, reg("a", "x")}
		}, "a=x"},
		{"fifo", func(o string) []ent { return []ent{{typ: tar.TypeFifo, name: "p"}} }, "p/"},
		{"id too high", func(o string) []ent {
			return []ent{{typ: tar.TypeReg, name: "a", edit: func(h *tar.Header) { h.Uid = 65536 }}}
		}, "error"},
		{"root as a file", func(o string) []ent { return []ent{reg(".", "")} }, "error"},
		{"link loop", func(o string) []ent { return []ent{symlink("a", "b"), symlink("b", "a"), reg("a/x", "y")} }, "error"},
		{"link to /proc", func(o string) []ent { return []ent{symlink("p", "/proc/self/root"), reg("p/tmp/vsl-escaped", "y")} }, "error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in, outside := cell(t)
			err := Unpack(context.Background(), bytes.NewReader(makeTar(t, c.ents(outside)...)), in, 0, nil)
			got := strings.ReplaceAll(strings.Join(listing(t, in), " "), outside, "OUT")
			if (err != nil) != (c.want == "error") || (err == nil && got != c.want) {
				t.Errorf("Unpack gave %v and %q, want %q", err, got, c.want)
			}
			if o := listing(t, outside); !slices.Equal(o, []string{"secret=secret"}) {
				t.Errorf("outside has %v", o)
			}
		})
	}
}

func TestUnpackCompressed(t *testing.T) {
	fixture.HostTierOnly(t)
	plain := makeTar(t, dir("./"), reg("./a", "hello"))
	pack := map[string]func() []byte{
		"plain": func() []byte { return plain },
		"gzip": func() []byte {
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			_, _ = w.Write(plain)
			_ = w.Close()
			return b.Bytes()
		},
		"xz": func() []byte {
			var b bytes.Buffer
			w, _ := xz.NewWriter(&b)
			_, _ = w.Write(plain)
			_ = w.Close()
			return b.Bytes()
		},
		"zstd": func() []byte {
			w, _ := zstd.NewWriter(nil)
			return w.EncodeAll(plain, nil)
		},
		"bzip2": func() []byte {
			c := exec.Command("bzip2", "-c")
			c.Stdin = bytes.NewReader(plain)
			b, err := c.Output()
			if err != nil {
				t.Fatalf("bzip2: %v", err)
			}
			return b
		},
	}
	for name, f := range pack {
		t.Run(name, func(t *testing.T) {
			in, _ := cell(t)
			if err := Unpack(context.Background(), bytes.NewReader(f()), in, 0, nil); err != nil {
				t.Fatal(err)
			}
			if got := listing(t, in); !slices.Equal(got, []string{"a=hello"}) {
				t.Errorf("unpacked %v", got)
			}
			if err := Unpack(context.Background(), bytes.NewReader(f()[:len(f())/2]), in, 0, nil); err == nil && name != "plain" {
				t.Error("half an archive is no error")
			}
		})
	}
}

func TestUnpackMeta(t *testing.T) {
	fixture.HostTierOnly(t)
	requireRoot(t)
	in, _ := cell(t)
	when := time.Unix(1234567890, 123456789)
	capability := string([]byte{1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	edit := func(mode int64, attrs map[string]string) func(*tar.Header) {
		return func(h *tar.Header) {
			h.Mode, h.Uid, h.Gid, h.ModTime, h.PAXRecords = mode, 42, 43, when, map[string]string{}
			for k, v := range attrs {
				h.PAXRecords["SCHILY.xattr."+k] = v
			}
		}
	}
	err := Unpack(context.Background(), bytes.NewReader(makeTar(t,
		ent{typ: tar.TypeDir, name: "d", edit: edit(0o2750, nil)},
		ent{typ: tar.TypeReg, name: "d/suid", data: "x", edit: edit(0o6755, map[string]string{
			"security.capability": capability, "user.note": "n", "trusted.overlay.opaque": "y", "security.selinux": "z"})},
		ent{typ: tar.TypeSymlink, name: "d/l", data: "suid", edit: edit(0o777, nil)},
	)), in, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]uint32{"d": sys.SIfdir | 0o2750, "d/suid": sys.SIfreg | 0o6755, "d/l": sys.SIflnk | 0o777} {
		st, err := sys.StatAt(sys.Cwd, filepath.Join(in, name))
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode != mode || st.UID != 42 || st.GID != 43 || !st.Mtime.Equal(when) {
			t.Errorf("%s: mode %o, owner %d:%d, time %v", name, st.Mode, st.UID, st.GID, st.Mtime)
		}
	}
	f, err := os.Open(filepath.Join(in, "d/suid"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	attrs, err := sys.Xattrs(int(f.Fd()))
	if err != nil || len(attrs) != 2 || string(attrs["security.capability"]) != capability || string(attrs["user.note"]) != "n" {
		t.Errorf("attributes %q, %v", attrs, err)
	}
}

func TestUnpackCancelled(t *testing.T) {
	fixture.HostTierOnly(t)
	in, _ := cell(t)
	ctx, cancel := context.WithCancel(context.Background())
	data := makeTar(t, reg("a", strings.Repeat("x", 1<<20)), reg("b", strings.Repeat("x", 1<<20)))
	err := Unpack(ctx, bytes.NewReader(data), in, 0, func(int64) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Unpack gave %v", err)
	}
}

// randomTar makes an archive of links, folders and files that lie on each
// other's way as often as can be.
func randomTar(t testing.TB, seed uint64, outside string) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	names := []string{"a", "b", "a/b", "b/a", "a/b/c", "/a", "./b", "..", "a/..", "../outside/secret", "a/../../outside/new", outside + "/secret"}
	targets := append([]string{"/", ".", "../..", outside, "../outside", "../outside/secret", "/proc/self/cwd", "/proc/self/root"}, names...)
	var ents []ent
	for range r.IntN(24) + 2 {
		name, target := names[r.IntN(len(names))], targets[r.IntN(len(targets))]
		switch r.IntN(5) {
		case 0:
			ents = append(ents, dir(name))
		case 1, 2:
			ents = append(ents, reg(name, "evil"))
		case 3:
			ents = append(ents, symlink(name, target))
		case 4:
			ents = append(ents, link(name, target))
		}
	}
	return makeTar(t, ents...)
}

// FuzzUnpack checks the one promise that matters: nothing outside the folder is
// touched or can be read from inside it.
func FuzzUnpack(f *testing.F) {
	for i := range uint64(200) {
		f.Add(i, []byte(nil))
	}
	f.Add(uint64(0), makeTar(f, reg("a", "x"), symlink("b", "/etc")))
	f.Fuzz(func(t *testing.T, seed uint64, raw []byte) {
		in, outside := cell(t)
		data := raw
		if len(data) == 0 {
			data = randomTar(t, seed, outside)
		}
		_ = Unpack(context.Background(), bytes.NewReader(data), in, 0, nil)
		if o := listing(t, outside); !slices.Equal(o, []string{"secret=secret"}) {
			t.Errorf("outside has %v", o)
		}
		if top, _ := os.ReadDir(filepath.Dir(in)); len(top) != 2 {
			t.Errorf("beside the folder: %v", top)
		}
		secret, err := sys.StatAt(sys.Cwd, filepath.Join(outside, "secret"))
		if err != nil || secret.Nlink != 1 || secret.Mode&0o777 != 0o600 {
			t.Errorf("the secret is now %+v, %v", secret, err)
		}
	})
}

func ExampleUnpack() {
	_, err := cleanName("../etc/shadow")
	fmt.Println(err)
	// Output: a name with ".." is not allowed
}
