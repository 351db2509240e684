package guest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"vsl/engine"
	"vsl/tests/fixture"
)

// inode is what a descriptor is open on, as stat prints it below.
func inode(t *testing.T, f *os.File) string {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

// pair gives a connected pair of stream sockets.
func pair(t *testing.T) (a, b *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fds[0]), "a"), os.NewFile(uintptr(fds[1]), "b")
}

// Nothing that the caller has open is ever a descriptor of the guest.
func TestWhatTheCallerHasOpenIsNeverTheGuests(t *testing.T) {
	r := newRoot(t)
	r.simple("")
	file := func(flags int) *os.File {
		f, err := os.OpenFile(filepath.Join(t.TempDir(), "file"), flags|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for name, open := range map[string]func() (in, out, errOut *os.File, more []*os.File){
		"pipes": func() (*os.File, *os.File, *os.File, []*os.File) {
			r1, w1, _ := os.Pipe()
			r2, w2, _ := os.Pipe()
			r3, w3, _ := os.Pipe()
			return r1, w2, w3, []*os.File{w1, r2, r3}
		},
		"files": func() (*os.File, *os.File, *os.File, []*os.File) {
			return file(os.O_RDONLY), file(os.O_WRONLY), file(os.O_WRONLY | os.O_APPEND), nil
		},
		"files for both": func() (*os.File, *os.File, *os.File, []*os.File) {
			return file(os.O_RDWR), file(os.O_RDWR), file(os.O_RDWR), nil
		},
		"sockets": func() (*os.File, *os.File, *os.File, []*os.File) {
			a, b := pair(t)
			c, d := pair(t)
			e, f := pair(t)
			return a, c, e, []*os.File{b, d, f}
		},
	} {
		t.Run(name, func(t *testing.T) {
			in, out, errOut, more := open()
			mine := []string{inode(t, in), inode(t, out), inode(t, errOut)}
			c := r.cmd("exec", "g", "sh", "-c", "stat -L -c 'fd %d:%i' /proc/self/fd/[012] > /seen")
			c.Stdin, c.Stdout, c.Stderr = in, out, errOut
			if err := c.Run(); err != nil {
				t.Fatal(err)
			}
			seen := r.sh("g", "cat /seen")
			expect(t, "descriptors looked at", strings.Count(seen, "fd "), 3)
			for i, m := range mine {
				if strings.Contains(seen, "fd "+m+"\n") || strings.HasSuffix(seen, "fd "+m) {
					t.Errorf("the guest has our descriptor %d, %s:\n%s", i, m, seen)
				}
			}
			for i, f := range []*os.File{in, out, errOut} {
				var st syscall.Stat_t
				if err := syscall.Fstat(int(f.Fd()), &st); err != nil || st.Uid != 0 || st.Gid != 0 {
					t.Errorf("descriptor %d now belongs to %d:%d, %v", i, st.Uid, st.Gid, err)
				}
			}
			for _, f := range append(more, in, out, errOut) {
				f.Close()
			}
		})
	}
}

// What a command leaves behind holds nothing of the caller's: whoever reads its
// output sees the end of it.
func TestLeftoversHoldNothingOfTheCallers(t *testing.T) {
	r := newRoot(t)
	r.simple("")
	c := r.cmd("exec", "g", "sh", "-c", "sleep 60 & echo started")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(fixture.Scaled(10*time.Second), func() { r.vsl("kill", "g") })
	defer timer.Stop()
	all, err := io.ReadAll(out) // to its end
	if err != nil || string(all) != "started\n" {
		t.Errorf("read %q, %v", all, err)
	}
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	if !timer.Stop() {
		t.Error("the output had no end while what was left behind lived")
	}
	if _, err := in.Write([]byte("x")); err == nil {
		t.Error("what was left behind still has our input")
	}
	expect(t, "it lives", r.out("g", "pgrep", "-c", "-f", "sleep 60"), "1")
}

// A command takes of the input what it reads, as it would on the host.
func TestExecLeavesTheInputThatTheCommandDoesNotRead(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	r.simple("")
	text := strings.Repeat("0123456789\n", 3000)
	for _, argv := range [][]string{
		{"true"},
		{"sleep", "0.2"},
		{"dd", "bs=1", "count=25", "status=none"},
		{"dd", "bs=1", "count=10000", "status=none"},
		{"sh", "-c", "exec <&-; sleep 0.2"},
		{"dd", "bs=512", "count=9", "status=none"},
		{"sh", "-c", "sleep 30 & exit 0"},
		{"cat"},
	} {
		for _, kind := range []string{"file", "pipe"} {
			t.Run(kind+" "+strings.Join(argv, " "), func(t *testing.T) {
				var in *os.File
				if kind == "file" {
					p := filepath.Join(t.TempDir(), "in")
					if err := os.WriteFile(p, []byte("head"+text), 0o600); err != nil {
						t.Fatal(err)
					}
					in, _ = os.Open(p)
					in.Seek(4, io.SeekStart)
				} else {
					pr, pw, _ := os.Pipe()
					go func() { pw.WriteString(text); pw.Close() }()
					in = pr
				}
				defer in.Close()
				c := r.cmd(append([]string{"exec", "g"}, argv...)...)
				var took bytes.Buffer
				c.Stdin, c.Stdout = in, &took
				if err := c.Run(); err != nil {
					t.Fatal(err)
				}
				rest, err := io.ReadAll(in)
				if err != nil || took.String()+string(rest) != text {
					t.Errorf("it took %d bytes and left %d of %d, %v", took.Len(), len(rest), len(text), err)
				}
			})
		}
	}
	// as in a script
	script := `printf 'a\nb\nc\n' > list; while read x; do "$0" exec g echo $x; done < list; printf 'd\ne\n' | while read x; do "$0" exec g echo $x; done`
	c := exec.Command("sh", "-c", script, bin)
	c.Env, c.Dir = append(os.Environ(), "VSL_ROOT="+r.dir), t.TempDir()
	out, err := c.CombinedOutput()
	if err != nil || string(out) != "a\nb\nc\nd\ne\n" {
		t.Errorf("%v: %q", err, out)
	}
}

// Much data goes through unchanged, from and to whatever there is.
func TestExecCopiesAnyStreams(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	r.simple("")
	data := make([]byte, 3<<20+17)
	rand.Read(data)
	dir := t.TempDir()
	inFile := filepath.Join(dir, "in")
	if err := os.WriteFile(inFile, data, 0o600); err != nil {
		t.Fatal(err)
	}
	ins := map[string]func() io.Reader{
		"file": func() io.Reader { f, _ := os.Open(inFile); return f },
		"pipe": func() io.Reader {
			pr, pw, _ := os.Pipe()
			go func() { pw.Write(data); pw.Close() }()
			return pr
		},
		"socket": func() io.Reader {
			a, b := pair(t)
			go func() { b.Write(data); b.Close() }()
			return a
		},
		"reader": func() io.Reader { return bytes.NewReader(data) },
	}
	outs := map[string]func() (io.Writer, func() []byte){
		"file": func() (io.Writer, func() []byte) {
			f, _ := os.Create(filepath.Join(dir, "out"))
			return f, func() []byte { f.Close(); b, _ := os.ReadFile(f.Name()); return b }
		},
		"appended": func() (io.Writer, func() []byte) {
			os.Remove(filepath.Join(dir, "log"))
			f, _ := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
			return f, func() []byte { f.Close(); b, _ := os.ReadFile(f.Name()); return b }
		},
		"pipe": func() (io.Writer, func() []byte) {
			pr, pw, _ := os.Pipe()
			got := make(chan []byte, 1)
			go func() { time.Sleep(100 * time.Millisecond); b, _ := io.ReadAll(pr); got <- b }()
			return pw, func() []byte { pw.Close(); return <-got }
		},
		"socket": func() (io.Writer, func() []byte) {
			a, b := pair(t)
			conn, _ := net.FileConn(b)
			got := make(chan []byte, 1)
			go func() { all, _ := io.ReadAll(conn); got <- all }()
			return a, func() []byte { a.Close(); b.Close(); return <-got }
		},
		"writer": func() (io.Writer, func() []byte) { var b bytes.Buffer; return &b, b.Bytes },
	}
	g := r.guest("g")
	for in, open := range ins {
		for out, make := range outs {
			ctx, cancel := context.WithTimeout(context.Background(), fixture.Scaled(20*time.Second))
			w, got := make()
			from := open()
			res, err := g.Exec(ctx, engine.ExecArgs{Argv: []string{"cat"}, Stdin: from, Stdout: w})
			cancel()
			if c, ok := from.(io.Closer); ok {
				c.Close()
			}
			if b := got(); err != nil || res.Code != 0 || !bytes.Equal(b, data) {
				t.Errorf("%s to %s: %v, exit %d, %d of %d bytes, equal %v", in, out, err, res.Code, len(b), len(data), bytes.Equal(b, data))
			}
		}
	}
}

// Pipes end as pipes do, at both ends.
func TestExecPipesEnd(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	r.simple("")
	for _, c := range []struct{ name, line, want string }{
		{"the input's end", `printf 'a\nb\n' | "$0" exec g wc -l`, "2\n"},
		{"an empty input", `"$0" exec g cat < /dev/null; echo $?`, "0\n"},
		{"an empty file", `: > empty; "$0" exec g cat < empty; echo $?`, "0\n"},
		{"a closed input", `"$0" exec g cat <&-; echo $?`, "0\n"},
		{"a command that stops reading", `yes | "$0" exec g head -n 1; echo $?`, "y\n0\n"},
		{"whoever reads has had enough", `("$0" exec g yes; echo $? > code) | head -n 1; sleep 0.1; cat code`, "y\n141\n"},
		{"nobody reads any more, and it prints nothing", `("$0" exec g sh -c 'exec tail -f /dev/null'; echo $? > code) | true; cat code`, "141\n"},
		{"the order of both outputs", `"$0" exec g sh -c 'for i in 1 2 3 4 5; do echo o$i; echo e$i >&2; done' 2>&1`, "o1\ne1\no2\ne2\no3\ne3\no4\ne4\no5\ne5\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), fixture.Scaled(20*time.Second))
			defer cancel()
			cmd := exec.CommandContext(ctx, "sh", "-c", c.line, bin)
			cmd.Env, cmd.Dir = append(os.Environ(), "VSL_ROOT="+r.dir), t.TempDir()
			cmd.WaitDelay = time.Second
			out, err := cmd.CombinedOutput()
			if err != nil || string(out) != c.want {
				t.Errorf("%v: %q, want %q", err, out, c.want)
			}
		})
	}
}
