//go:build linux

package rootfs

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"vsl/engine/internal/sys"
)

// A few kilobytes of an archive may say that there is a lot of nothing: it takes
// no room, in each of the ways in which tar says so, and when it does not know.
func TestUnpackLeavesHoles(t *testing.T) {
	src := t.TempDir()
	big := filepath.Join(src, "big")
	f, err := os.Create(big)
	if err != nil {
		t.Fatal(err)
	}
	const size = 256 << 20
	pieces := map[int64]string{0: "begin", 100<<20 + 5: "middle", 200 << 20: strings.Repeat("x", 10000)}
	for off, data := range pieces {
		if _, err := f.WriteAt([]byte(data), off); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"old gnu": {"--format=gnu", "--sparse"}, "0.0": {"--format=posix", "--sparse", "--sparse-version=0.0"},
		"0.1": {"--format=posix", "--sparse", "--sparse-version=0.1"}, "1.0": {"--format=posix", "--sparse", "--sparse-version=1.0"},
		"not said": nil,
	} {
		t.Run(name, func(t *testing.T) {
			c := exec.Command("tar", append(args, "--owner=0", "--group=0", "-C", src, "-cf", "-", "big")...)
			out, err := c.StdoutPipe()
			if err == nil {
				err = c.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			in, _ := cell(t)
			if err := Unpack(context.Background(), out, in, 0, nil); err != nil {
				t.Fatal(err)
			}
			if err := c.Wait(); err != nil {
				t.Fatal(err)
			}
			st, err := sys.StatAt(sys.Cwd, filepath.Join(in, "big"))
			if err != nil || st.Size != size || st.Blocks*512 > 1<<20 {
				t.Errorf("%d bytes in %d blocks: %v", st.Size, st.Blocks, err)
			}
			got, err := os.Open(filepath.Join(in, "big"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = got.Close() }()
			for off, data := range pieces {
				b := make([]byte, len(data)+1)
				if _, err := got.ReadAt(b, off); err != nil || string(b) != data+"\x00" {
					t.Errorf("at %d: %v", off, err)
				}
			}
		})
	}
}

// endless is a tar archive without an end that is cheap to make.
func endless(entry func(i int, w *tar.Writer) error) io.Reader {
	r, w := io.Pipe()
	go func() {
		t := tar.NewWriter(w)
		for i := 0; ; i++ {
			if err := entry(i, t); err != nil {
				w.CloseWithError(err)
				return
			}
		}
	}()
	return r
}

func TestUnpackStopsAtItsBounds(t *testing.T) {
	head := func(name string, size int64) *tar.Header {
		return &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, Uid: os.Getuid(), Gid: os.Getgid()}
	}
	text := bytes.Repeat([]byte("text"), 256<<10)
	tests := map[string]struct {
		in   io.Reader
		max  int64
		want string
		done int64 // at most, on disk
	}{
		"one file": {endless(func(_ int, w *tar.Writer) error { return w.WriteHeader(head("big", 1<<40)) }), 0, "max_size", 1 << 20},
		"many files": {endless(func(i int, w *tar.Writer) error {
			if err := w.WriteHeader(head(fmt.Sprint(i), int64(len(text)))); err != nil {
				return err
			}
			_, err := w.Write(text)
			return err
		}), 20 << 20, "max_size", 21 << 20},
		"depth": {bytes.NewReader(makeTar(t, dir(strings.Repeat("d/", 300)))), 0, "folders in one name", 1 << 20},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			in, _ := cell(t)
			err := Unpack(context.Background(), tt.in, in, tt.max, nil)
			if c, ok := tt.in.(*io.PipeReader); ok {
				_ = c.Close()
			}
			if !errors.Is(err, ErrTooLarge) || !strings.Contains(fmt.Sprint(err), tt.want) {
				t.Errorf("unpacked with %v", err)
			}
			if size, _, err := measure(in); err != nil || size > tt.done {
				t.Errorf("%d bytes on disk: %v", size, err)
			}
		})
	}
}

func TestBudgetCountsEntries(t *testing.T) {
	for name, most := range map[string]int{"n": maxEntries, strings.Repeat("n", 4000): maxNames / 4000} {
		b := newBudget(t.TempDir(), 0)
		for i := range most {
			if err := b.entry(name, &tar.Header{Typeflag: tar.TypeDir}); err != nil {
				t.Fatalf("entry %d: %v", i, err)
			}
		}
		if err := b.entry(name, &tar.Header{Typeflag: tar.TypeDir}); !errors.Is(err, ErrTooLarge) {
			t.Errorf("one more gave %v", err)
		}
	}
}

// What would fill the disk is told before it does.
func TestUnpackLeavesTheDiskSomeRoom(t *testing.T) {
	requireRoot(t)
	err := OnMountThread(func() error {
		top := t.TempDir()
		if err := sys.Mount("tmpfs", top, "tmpfs", 0, "size=256m"); err != nil {
			return err
		}
		text := bytes.Repeat([]byte("text"), 256<<10)
		err := Unpack(context.Background(), endless(func(i int, w *tar.Writer) error {
			if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprint(i), Size: int64(len(text)), Mode: 0o644}); err != nil {
				return err
			}
			_, err := w.Write(text)
			return err
		}), top, 0, nil)
		st, e := sys.Statfs(top)
		if err == nil || !strings.Contains(err.Error(), "nearly full") || errors.Is(err, sys.ENOSPC) || st.Free == 0 {
			t.Errorf("unpacked with %v, %d bytes are free", err, st.Free)
		}
		return e
	})
	if err != nil {
		t.Fatal(err)
	}
}

// An archive cannot make its decoder take gigabytes, wherever in it that is asked.
func TestUnpackBoundsItsDecoders(t *testing.T) {
	data := makeTar(t, reg("f", strings.Repeat("text ", 1000)))
	// The first block's header says what the decoder is to take: it is made to say so.
	pack := func(bits byte, data []byte) []byte {
		var b bytes.Buffer
		w, err := xz.WriterConfig{DictCap: 1 << 20, BlockSize: 1000}.NewWriter(&b)
		if err == nil {
			_, err = w.Write(data)
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		head := b.Bytes()[12:]
		head = head[:4*(int(head[0])+1)]
		at := bytes.Index(head, []byte{0x21, 1})
		head[at+2] = bits
		binary.LittleEndian.PutUint32(head[len(head)-4:], crc32.ChecksumIEEE(head[:len(head)-4]))
		return b.Bytes()
	}
	const mb1, mb64, gb1 = 16, 28, 36
	zst := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 19 << 3} // a window of 2^(10+19) bytes; then one block as it is
	zst = append(append(zst, byte(len(data)<<3|1), byte(len(data)>>5), byte(len(data)>>13)), data...)
	half := len(data) / 2
	for name, tt := range map[string]struct {
		in   []byte
		want string
	}{
		"xz":             {pack(mb64, data), ""},
		"two streams":    {append(append(pack(mb1, data[:half]), 0, 0, 0, 0), pack(mb1, data[half:])...), ""},
		"large":          {pack(gb1, data), "dictionary"},
		"large one last": {append(pack(mb1, data[:half]), pack(gb1, data[half:])...), "dictionary"},
		"zstd":           {zst, "window"},
		"xz(1)":          {byXZ(t, data), ""},
	} {
		in, _ := cell(t)
		err := Unpack(context.Background(), bytes.NewReader(tt.in), in, 0, nil)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: unpacked with %v", name, err)
		}
	}
}

// byXZ packs with the program, whose blocks say how long they are.
func byXZ(t *testing.T, data []byte) []byte {
	if _, err := exec.LookPath("xz"); err != nil {
		return data
	}
	c := exec.Command("xz", "-9", "-T2", "--block-size=3000", "-c")
	c.Stdin = bytes.NewReader(data)
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}
