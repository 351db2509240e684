package engine

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSecretRead(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	t.Setenv("TEST_SECRET", "from the environment")
	t.Setenv("TEST_EMPTY", "")
	for _, tt := range []struct {
		s         Secret
		want, err string
	}{
		{Secret{File: file("plain", "text\n")}, "text\n", ""},
		{Secret{File: file("long", strings.Repeat("x", secretMax))}, strings.Repeat("x", secretMax), ""},
		{Secret{File: file("longer", strings.Repeat("x", secretMax+1))}, "", "more than 65536 bytes"},
		{Secret{File: file("empty", "")}, "", "it is empty"},
		{Secret{File: dir}, "", "is a directory"},
		{Secret{File: filepath.Join(dir, "none")}, "", "no such file"},
		{Secret{Env: "TEST_SECRET"}, "from the environment", ""},
		{Secret{Env: "TEST_EMPTY"}, "", "the variable is not set"},
		{Secret{Env: "TEST_NONE"}, "", "the variable is not set"},
	} {
		got, err := tt.s.read()
		if string(got) != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %d bytes, error %v; want %d, %q", tt.s, len(got), err, len(tt.want), tt.err)
		}
	}
}

func TestSecretKeyIsMadeOnce(t *testing.T) {
	e, err := Open(Options{Root: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if key, err := e.secretKey(false); key != nil || err != nil {
		t.Errorf("a key without one being made: %v, %v", key, err)
	}
	first, err := e.secretKey(true)
	if err != nil {
		t.Fatal(err)
	}
	again, err := e.secretKey(true)
	if err != nil || string(again) != string(first) {
		t.Errorf("another key: %v", err)
	}
	info, err := os.Stat(e.paths.SecretKey())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its file: %v, %v", info, err)
	}
	a := secretMAC(first, "web1", "pw", []byte("x"))
	for what, other := range map[string]string{
		"guest": secretMAC(first, "web2", "pw", []byte("x")), "name": secretMAC(first, "web1", "pww", []byte("x")),
		"text": secretMAC(first, "web1", "pw", []byte("y")), "key": secretMAC([]byte("other"), "web1", "pw", []byte("x")),
	} {
		if a == other {
			t.Errorf("the %s makes no difference", what)
		}
	}
	if err := os.WriteFile(e.paths.SecretKey(), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if key, err := e.secretKey(true); err != nil || bytes.Equal(key, first) {
		t.Errorf("a key that is cut off: %x, %v; want another one", key, err)
	}
	if put, err := os.ReadFile(e.paths.SecretKey() + ".damaged"); err != nil || len(put) == 0 {
		t.Errorf("what was there is %x, %v; want it put aside", put, err)
	}
	key, _ := e.secretKey(false)
	if !sameSecret(key, "web1", "pw", []byte("y"), a) {
		t.Error("a secret counts as changed that nobody can tell of, as its key is lost")
	}
	if !sameSecret(first, "web1", "pw", []byte("x"), a[strings.Index(a, ":")+1:]) {
		t.Error("a MAC of before they named their key is not known")
	}
}

func TestRedact(t *testing.T) {
	if got := Redact("nothing is secret yet"); got != "nothing is secret yet" {
		t.Errorf("without secrets: %q", got)
	}
	redactSecret("pw", []byte("a \"b\" and c\nsecond line\n"))
	redactSecret("longer", []byte("second line and more"))
	redactSecret("short", []byte("abcde"))
	redactSecret("words", []byte("name\nstate\nsecret name\n"))
	for in, want := range map[string]string{
		"it is a \"b\" and c\nsecond line\n!": "it is [secret pw]\n!",
		"only second line here":               "only [secret pw] here",
		`{"x": "a \"b\" and c"}`:              `{"x": "[secret pw]"}`,
		`{"x": "a \"b\" and c\nsecond line"}`: `{"x": "[secret pw]"}`,
		"second line and more":                "[secret longer]",
		"abcde and abcdef":                    "abcde and abcdef",
		`{"name": 1, "state": 2}`:             `{"name": 1, "state": 2}`,
		"a secret name":                       "a [secret words]",
	} {
		if got := Redact(in); got != want {
			t.Errorf("Redact(%q) = %q, want %q", in, got, want)
		}
	}
}
