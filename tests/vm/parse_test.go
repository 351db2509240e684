package vm

import (
	"bytes"
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"vsl/tests/fixture"
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

// A machine asks for its next job whatever the last one printed, and a job that
// ended without saying so is over then.
func TestParseAsksForTheNext(t *testing.T) {
	var got []Package
	asked := 0
	p := &parser{done: func(pkg Package) { got = append(got, pkg) }, next: func() { asked++ }}
	p.Write([]byte("\x16@vm next\n\x16@vm begin p\n@vm next\nno newline\x16@vm next\n"))
	if asked != 2 || len(got) != 1 || got[0].Code != -1 {
		t.Errorf("asked %d times, packages %+v", asked, got)
	}
}

// Whatever the size, each test is in one job, and a job is of one package.
func TestShards(t *testing.T) {
	all := []Tests{{"few", []string{"TestA"}}, {"many", []string{"TestA", "TestB", "FuzzC", "TestD", "TestE"}}, {"none", nil}}
	for size, want := range map[int]string{
		1: "many TestA,many TestB,many FuzzC,many TestD,many TestE,few TestA",
		2: "many TestA TestB,many FuzzC TestD,many TestE,few TestA",
		9: "many TestA TestB FuzzC TestD TestE,few TestA",
	} {
		var got []string
		for _, job := range Shards(all, regexp.MustCompile(""), size) {
			got = append(got, job.Package+" "+strings.Join(job.Names, " "))
		}
		if strings.Join(got, ",") != want {
			t.Errorf("size %d: %s", size, strings.Join(got, ","))
		}
	}
	if jobs := Shards(all, regexp.MustCompile("TestA"), 9); len(jobs) != 2 || len(jobs[0].Names) != 1 {
		t.Errorf("filtered: %+v", jobs)
	}
}

func TestFindTestsKnowsItsOwn(t *testing.T) {
	top, err := fixture.RepoRoot()
	if err != nil {
		t.Fatal(err)
	}
	found, err := FindTests(t.Context(), top, "./tests/vm")
	if err != nil || len(found) != 1 || found[0].Package != filepath.Join("tests", "vm") {
		t.Fatalf("%+v, %v", found, err)
	}
	for _, name := range []string{"TestFindTestsKnowsItsOwn", "FuzzParse"} {
		if !slices.Contains(found[0].Names, name) {
			t.Errorf("no %s among %v", name, found[0].Names)
		}
	}
	if slices.Contains(found[0].Names, "TestVM") {
		t.Error("a file of another build tag was read")
	}
}

// Each job is given out once, however many machines ask, and what nobody did is known.
func TestFarmGivesEachJobOnce(t *testing.T) {
	f := newFarm(make([]Job, 100))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for job, answer := f.take(); job >= 0; job, answer = f.take() {
				f.mu.Lock()
				if f.done[job] || answer != fmt.Sprintln(job) {
					t.Errorf("job %d again, or as %q", job, answer)
				}
				f.done[job] = job != 42
				f.mu.Unlock()
			}
		})
	}
	wg.Wait()
	if left := f.left(); len(left) != 1 {
		t.Errorf("%d jobs are left, want 1", len(left))
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
