package vm

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func parseAll(text string) []Package {
	var got []Package
	p := &parser{done: func(pkg Package) { got = append(got, pkg) }}
	text = strings.ReplaceAll(text, "^", "\x16")
	for _, r := range strings.SplitAfter(text, "") { // byte by byte, as a serial line may
		p.Write([]byte(r))
	}
	p.Close()
	return got
}

func TestParseResults(t *testing.T) {
	got := parseAll(`^@vm begin engine/x
^=== RUN   TestA
^=== RUN   TestA/sub
    a_test.go:1: said
^--- PASS: TestA/sub (0.00s)
^--- PASS: TestA (0.10s)
^=== RUN   TestB
--- PASS: TestB (a lie told by the test itself)
no newline at the end^--- FAIL: TestB (0.00s)
^=== RUN   TestC
    c_test.go:9: kernel has no such thing
^--- SKIP: TestC (0.00s)
FAIL
^@vm end engine/x 1
`)
	if len(got) != 1 || got[0].Name != "engine/x" || got[0].Code != 1 {
		t.Fatalf("got %+v", got)
	}
	status := map[string]string{}
	for _, r := range got[0].Tests {
		status[r.Name] = r.Status
	}
	want := map[string]string{"TestA": "PASS", "TestB": "FAIL", "TestC": "SKIP"}
	if !reflect.DeepEqual(status, want) {
		t.Errorf("got %v, want %v", status, want)
	}
	if out := got[0].Tests[1].Output; !strings.Contains(out, "no newline at the end\n") {
		t.Errorf("TestB's output lost: %q", out)
	}
	if got[0].Rest != "FAIL\n" {
		t.Errorf("rest is %q", got[0].Rest)
	}
}

func TestParseMachineWentDown(t *testing.T) {
	got := parseAll("^@vm begin engine/x\n^=== RUN   TestA\nhalf a li")
	if len(got) != 1 || got[0].Code != -1 || len(got[0].Tests) != 1 || got[0].Tests[0].Status != "" {
		t.Fatalf("got %+v: want one package without an end and one test without a status", got)
	}
	if got[0].Tests[0].Output != "=== RUN   TestA\nhalf a li\n" {
		t.Errorf("output %q", got[0].Tests[0].Output)
	}
}

func TestParseParallel(t *testing.T) {
	got := parseAll(`^@vm begin p
^=== RUN   TestA
^=== PAUSE TestA
^=== RUN   TestB
^=== PAUSE TestB
^=== CONT  TestA
^=== CONT  TestB
from b
^=== NAME  TestA
from a
^--- PASS: TestB (0.00s)
^--- PASS: TestA (0.00s)
PASS
^@vm end p 0
`)
	if !strings.Contains(got[0].Tests[0].Output, "from a\n") || !strings.Contains(got[0].Tests[1].Output, "from b\n") {
		t.Errorf("outputs mixed up: %+v", got[0].Tests)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("^@vm begin x\n^=== RUN   TestA\n^--- PASS: TestA (0.00s)\n^@vm end x 0\n")
	f.Add("^@vm end x\n^--- \n^=== \n^@vm begin\n")
	f.Fuzz(func(t *testing.T, text string) { parseAll(text) })
}

func TestCPIO(t *testing.T) {
	var buf bytes.Buffer
	if err := writeCPIO(&buf, []cpioFile{{"init", cpioExe, []byte("hello")}}); err != nil {
		t.Fatal(err)
	}
	got := buf.String()
	// 110 bytes of header, name and its zero padded to 116, data padded to 8.
	if len(got)%4 != 0 || got[:6] != "070701" || got[110:115] != "init\x00" || got[116:121] != "hello" || got[124:130] != "070701" {
		t.Errorf("bad layout: %q", got)
	}
}

func TestWatcher(t *testing.T) {
	var out bytes.Buffer
	res := Result{Code: -1}
	w := &watcher{out: &out, res: &res}
	w.Write([]byte("@vm ready 8.1 6.1.0-56-cloud-amd64\r\nunfinished\x16@vm exit 3\n"))
	if res.Code != 3 || res.Kernel != "6.1.0-56-cloud-amd64" {
		t.Errorf("got %+v", res)
	}
}
