package frame

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-dap"
)

func TestRead(t *testing.T) {
	for _, c := range []struct{ in, want, err string }{
		{"Content-Length: 2\r\n\r\n{}", "{}", ""},
		{"content-length:2\r\nContent-Type: x; y\r\n\r\n{}rest", "{}", ""},
		{"Content-Length: 0\r\n\r\n", "", ""},
		{"", "", "EOF"},
		{"Content-Length: 2\r\n\r\n{", "", "unexpected EOF"},
		{"Content-Length: 2\r\n", "", "unexpected EOF"},
		{"Content-", "", "unexpected EOF"},
		{"\r\n", "", "no header"},
		{"Content-Type: x\r\n\r\n", "", "without Content-Length"},
		{"Content-Length: -1\r\n\r\n", "", "no length"},
		{"Content-Length: 99999999999999999999\r\n\r\n", "", "no length"},
		{"Content-Length: 999999999\r\n\r\n", "", "more than"},
		{strings.Repeat("x", 10000), "", "longer than"},
		{strings.Repeat("a: b\n", 17), "", "more than 16 lines"},
	} {
		got, err := Read(bufio.NewReader(strings.NewReader(c.in)))
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || err == nil && string(got) != c.want {
			t.Errorf("%.40q: %q, %v", c.in, got, err)
		}
	}
}

// What one side writes the other reads, whatever is in it.
func TestWrite(t *testing.T) {
	var b bytes.Buffer
	e := &dap.OutputEvent{}
	e.Body.Output = "ä\x00\xff<>\u2028"
	for range 2 {
		if err := Write(&b, e); err != nil {
			t.Fatal(err)
		}
	}
	r := bufio.NewReader(&b)
	for range 2 {
		if _, err := Read(r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Read(r); err != io.EOF {
		t.Errorf("then %v", err)
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{"Content-Length: 2\r\n\r\n{}", "Content-Length: 5\n\n{}", "a: b\r\nContent-Length: 1\r\n\r\nx", "Content-Length: 16777217\r\n\r\n", ":\n\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bufio.NewReader(bytes.NewReader(in))
		for range 100 {
			got, err := Read(r)
			if err != nil {
				return
			}
			var again bytes.Buffer
			again.WriteString("Content-Length: " + strconv.Itoa(len(got)) + "\r\n\r\n")
			again.Write(got)
			if back, err := Read(bufio.NewReader(&again)); err != nil || !bytes.Equal(back, got) {
				t.Fatalf("%q is read back as %q, %v", got, back, err)
			}
			if m, err := dap.DecodeProtocolMessage(got); err == nil && m == nil {
				t.Fatalf("%q is nothing", got)
			}
		}
	})
}
