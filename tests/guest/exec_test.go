package guest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vsl/engine"
	"vsl/tests/fixture"
)

// A newcomer's first guest: up, exec, down, rm; nothing is left in between.
func TestHostGuestGoesUpAnswersAndGoesDown(t *testing.T) {
	r := newRoot(t)
	recipe := r.recipe(`guest "g" { command = { "sleep", "infinity" } }`)
	r.must("up", recipe)
	expect(t, "id -u", r.must("exec", "g", "id", "-u"), "0\n")
	expect(t, "hostname", r.must("exec", "g", "hostname"), "g\n")
	first := r.status("g")
	expect(t, "state", first.State, engine.StateRunning)
	if out := r.must("up", recipe); !strings.Contains(out, "nothing to do") {
		t.Errorf("the second up says %q", out)
	}
	expect(t, "pid 1 after the second up", r.status("g").PID, first.PID)
	r.must("exec", "g", "touch", "/kept")
	r.must("down", "g")
	r.fails(3, []string{}, "status", "g")
	r.fails(125, []string{"not running"}, "exec", "g", "true")
	r.clean()
	r.must("down", "g")
	r.must("up", recipe)
	r.must("exec", "g", "test", "-f", "/kept")
	if again := r.status("g"); again.XID != first.XID {
		t.Errorf("xid %d became %d", first.XID, again.XID)
	}
	r.fails(1, []string{"running"}, "rm", "g")
	r.must("rm", "-f", "g")
	r.fails(5, []string{"no such guest"}, "status", "g")
	r.clean()
}

func TestEmbeddedRecipeHelloWorks(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	r.must("up", "hello")
	expect(t, "id", r.must("exec", "hello", "id", "-u"), "0\n")
	eventually(t, slow(5*time.Second), "greeting in the log", func() bool {
		return strings.Contains(r.must("logs", "hello"), "hello from hello")
	})
	r.must("down", "hello")
	r.clean()
}

func TestExecPassesExitCodes(t *testing.T) {
	r := newRoot(t)
	r.simple("")
	for _, c := range []struct {
		want int
		argv []string
	}{
		{0, []string{"true"}},
		{3, []string{"sh", "-c", "exit 3"}},
		{255, []string{"sh", "-c", "exit 255"}},
		{127, []string{"no-such-command"}},
		{127, []string{"/no/such/command"}},
		{126, []string{"/etc/passwd"}},
		{126, []string{"/etc"}},
		{128 + 15, []string{"sh", "-c", "kill -TERM $$"}},
		{128 + 9, []string{"sh", "-c", "kill -KILL $$"}},
		{128 + 11, []string{"sh", "-c", "kill -SEGV $$"}},
	} {
		res := r.vsl(append([]string{"exec", "g"}, c.argv...)...)
		expect(t, strings.Join(c.argv, " "), res.code, c.want)
	}
	r.fails(125, []string{"no such guest"}, "exec", "nobody", "true")
	r.fails(2, nil, "exec", "g")
}

func TestExecTakesUserFolderAndEnvironment(t *testing.T) {
	r := newRoot(t)
	r.simple(`env = { A = "of the guest", B = "too" }`)
	r.sh("g", `echo 'webby:x:5033:5033:webby:/srv:/bin/sh' >> /etc/passwd; echo 'extra:x:5077:webby' >> /etc/group; mkdir -p /srv; chmod 777 /srv`)
	for _, c := range []struct {
		want string
		argv []string
	}{
		{"5033 5033 5033 5077", []string{"-u", "webby", "g", "sh", "-c", "echo $(id -u) $(id -g) $(id -G)"}},
		{"5033 /srv webby", []string{"-u", "5033", "g", "sh", "-c", "echo $(id -u) $HOME $USER"}},
		{"4711 4711", []string{"-u", "4711", "g", "sh", "-c", "echo $(id -u) $(id -g)"}},
		{"/srv", []string{"-w", "/srv", "g", "pwd"}},
		{"/", []string{"g", "pwd"}},
		{"mine too", []string{"-e", "A=mine", "g", "sh", "-c", "echo $A $B"}},
		{"of the guest", []string{"g", "sh", "-c", "echo $A"}},
	} {
		expect(t, strings.Join(c.argv, " "), strings.TrimSpace(r.must(append([]string{"exec"}, c.argv...)...)), c.want)
	}
	r.fails(125, []string{"no user"}, "exec", "-u", "nobodyhere", "g", "true")
	if env := r.must("exec", "g", "env"); strings.Contains(env, "VSL_ROOT") {
		t.Errorf("our environment went in:\n%s", env)
	}
	res := r.vsl("exec", "-u", "webby", "g", "sh", "-c", "echo x > /root-only")
	if res.code == 0 {
		t.Error("an ordinary user wrote to /")
	}
}

func TestExecStreamsMegabytesBothWays(t *testing.T) {
	r := newRoot(t)
	r.simple("")
	data := make([]byte, 1<<20)
	rand.Read(data)
	var out, errOut bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), slow(20*time.Second))
	defer cancel()
	res, err := r.guest("g").Exec(ctx, engine.ExecArgs{Argv: []string{"sh", "-c", "tee /dev/fd/2"}, Stdin: bytes.NewReader(data), Stdout: &out, Stderr: &errOut})
	if err != nil || res.Code != 0 {
		t.Fatalf("exec: %v, code %d", err, res.Code)
	}
	if !bytes.Equal(out.Bytes(), data) || !bytes.Equal(errOut.Bytes(), data) {
		t.Errorf("sent %d bytes, got %d and %d, or others", len(data), out.Len(), errOut.Len())
	}
	cli := r.vslIn(data, "exec", "g", "cat")
	if cli.code != 0 || cli.out != string(data) {
		t.Errorf("the command line: exit %d, %d bytes", cli.code, len(cli.out))
	}
	if res := r.vslIn(data, "exec", "g", "true"); res.code != 0 {
		t.Errorf("a command that does not read: exit %d: %s", res.code, res.err)
	}
}

// What a flow gets of a command's output is in our memory, where the guest has no limit.
func TestExecOutputForAFlowIsBounded(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	r.must("up", r.recipe(`guest "g" { command = { "sleep", "infinity" } }`))
	for _, to := range []string{"1", "2"} {
		flow := r.recipe(`guest "h" { command = { "sleep", "infinity" }, ready = function(g) g:exec { "sh", "-c", "cat /dev/zero >&` + to + `" } end }`)
		r.fails(1, []string{"it printed more than 64 MB"}, "up", flow)
	}
	probe := r.recipe(`guest "h" { command = { "sleep", "infinity" }, ready = probe.exec { "cat", "/dev/zero", within = "` + fixture.Scaled(4*time.Second).String() + `" } }`)
	r.fails(1, []string{"it printed more than 64 MB"}, "up", probe)
}

func TestExecEndsAtItsTimeout(t *testing.T) {
	r := newRoot(t)
	r.simple("")
	begin := time.Now()
	r.fails(124, []string{"killed"}, "exec", "--timeout", "200ms", "g", "sleep", "3600")
	if d := time.Since(begin); d > slow(5*time.Second) {
		t.Errorf("took %s", d)
	}
	_, err := r.guest("g").Exec(t.Context(), engine.ExecArgs{Argv: []string{"sleep", "3600"}, Timeout: 100 * time.Millisecond})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	eventually(t, slow(2*time.Second), "only pid 1 is left", func() bool { return r.status("g").Processes <= 2 })
}

// A daemon keeps the pipes of the command that started it; that must not hang us.
func TestExecDoesNotWaitForDaemons(t *testing.T) {
	r := newRoot(t)
	r.simple("")
	begin := time.Now()
	expect(t, "output", r.sh("g", "sleep 3600 & echo started"), "started")
	if d := time.Since(begin); d > slow(5*time.Second) {
		t.Errorf("took %s", d)
	}
	file, err := os.Create(filepath.Join(r.src, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	c := r.cmd("exec", "g", "sh", "-c", "sleep 3600 & echo started")
	c.Stdout = file
	begin = time.Now()
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(begin); d > slow(5*time.Second) {
		t.Errorf("the command line took %s", d)
	}
	expect(t, "its output", readFile(t, file.Name()), "started\n")
	expect(t, "the daemons live", r.out("g", "pgrep", "-c", "-f", "sleep 3600"), "2")
}

// What a command prints by name goes where its output goes.
func TestExecOutputCanBeOpenedByName(t *testing.T) {
	r := newRoot(t)
	r.simple("")
	res := r.exec("g", "sh", "-c", "echo one > /dev/stdout; echo two > /dev/stderr")
	if res.Code != 0 || string(res.Stdout) != "one\n" || string(res.Stderr) != "two\n" {
		t.Errorf("exit %d, %q, %q", res.Code, res.Stdout, res.Stderr)
	}
	cli := r.vsl("exec", "g", "sh", "-c", "echo one > /dev/stdout; echo two > /dev/stderr")
	if cli.code != 0 || cli.out != "one\n" || cli.err != "two\n" {
		t.Errorf("the command line: exit %d, %q, %q", cli.code, cli.out, cli.err)
	}
}
