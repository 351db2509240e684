package guest

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vsl/tests/fixture"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Many guests from one recipe: all come up, all answer, all go; no process of
// vsl stays for any of them.
func TestManyGuests(t *testing.T) {
	n := 200
	if fixture.InVM() {
		n = 20
	}
	r := newRoot(t)
	recipe := r.recipe(fmt.Sprintf(`for i = 1, %d do guest("g" .. i) { command = { "sleep", "infinity" }, ip = "127.77.40." .. i + 1 } end`, n))
	r.must("template", "build", r.recipe(`guest "t" {}`))
	r.recipe(fmt.Sprintf(`for i = 1, %d do guest("g" .. i) { command = { "sleep", "infinity" }, ip = "127.77.40." .. i + 1 } end`, n))
	free := available(t)
	up := r.timed("up", "-q", recipe)
	used := free - available(t)
	expect(t, "running", strings.Count(r.must("ls", "--json"), `"running"`), n)
	expect(t, "processes of vsl", len(vslProcesses()), 0)
	begin := time.Now()
	var wg sync.WaitGroup
	slots := make(chan struct{}, 4)
	for i := 1; i <= n; i++ {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			name := "g" + itoa(i)
			if res := r.vsl("exec", name, "hostname"); res.code != 0 || res.out != name+"\n" {
				t.Errorf("%s: exit %d, %q%s", name, res.code, res.out, res.err)
			}
		})
	}
	wg.Wait()
	execs := time.Since(begin)
	down := r.timed("down", "-q", "--all")
	r.clean()
	each := func(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1000/float64(n)) }
	t.Logf("%d guests: up %s each, exec %s each, down %s each, memory %d KiB each", n, each(up), each(execs), each(down), used/int64(n))
	fmt.Printf("guests: %d: up %s each, exec %s each, down %s each, memory %d KiB each\n", n, each(up), each(execs), each(down), used/int64(n))
	if up > fixture.Scaled(time.Duration(n)*250*time.Millisecond) || used/int64(n) > 4096 {
		t.Errorf("up took %s, memory %d KiB each", up, used/int64(n))
	}
}

// available is the host's free memory in KiB.
func available(t testing.TB) int64 {
	t.Helper()
	for line := range strings.Lines(readFile(t, "/proc/meminfo")) {
		if f := strings.Fields(line); f[0] == "MemAvailable:" {
			n, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	return 0
}

// What the shell that vsl is started from allows bounds how many come up at once,
// not how many come up.
func TestFortyGuestsWithFewDescriptors(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	recipe := r.recipe(`for i = 1, 40 do guest("g" .. i) { template = box, command = { "sleep", "infinity" }, net = "none" } end`)
	r.must("template", "build", recipe)
	for _, verb := range [][]string{{"up", recipe}, {"up", recipe}, {"ls"}, {"down", "--all"}, {"up", "--all"}, {"rm", "-f", "--all"}} {
		c := r.cmd(verb...)
		c.Path, c.Args = "/bin/sh", append([]string{"sh", "-c", `ulimit -n 64 && exec "$0" "$@"`, c.Path}, verb...)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("vsl %v: %v\n%s", verb, err, out)
		}
	}
}
