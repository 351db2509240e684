package guest

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The texts that must show up nowhere. The first has what JSON and Go quote.
const (
	fileSecret = `correct "horse" battery staple`
	envSecret  = "opensesame-opensesame"
)

const secretsRecipe = `
local pw = param.secret("pw", { doc = "the password" })
guest "g" {
  template = box, command = { "sleep", "infinity" },
  secrets = { pw = pw, key = { from = secret.env("TEST_KEY"), owner = 33, mode = "0440" } },
  provision = function(g)
    local text = g:read("/run/secrets/pw")
    log.info("the password is " .. text)
    g:write("/seen", tostring(#text))
    if g:exists("/fail") then error("wrong: " .. text) end
  end,
}
guest "broken" {
  template = box, command = { "sleep", "infinity" }, secrets = { pw = pw },
  provision = function(g) g:exec { "sh", "-c", "echo no " .. g:read("/run/secrets/pw") .. "; exit 3", check = true } end,
}`

// secretsRoot is a root whose vsl finds both secrets.
func secretsRoot(t *testing.T) (r *root, file string) {
	r = newRoot(t)
	file = filepath.Join(r.src, "pw.txt")
	writeFile(t, file, fileSecret+"\n")
	t.Setenv("TEST_KEY", envSecret)
	return r, file
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A secret is a file in the guest, and in no other place: not in what vsl
// prints, not in what it keeps, not on any process's command line.
func TestSecretsAreInTheGuestOnly(t *testing.T) {
	r, file := secretsRoot(t)
	recipe := r.recipe(secretsRecipe)
	give := []string{"-p", "pw=file:" + file}
	var said bytes.Buffer
	run := func(code int, args ...string) string {
		t.Helper()
		res := r.vsl(args...)
		if res.code != code {
			t.Fatalf("vsl %v: exit %d, want %d\n%s%s", args, res.code, code, res.out, res.err)
		}
		said.WriteString(res.out + res.err)
		return res.out + res.err
	}
	run(0, append([]string{"plan", "-v", recipe}, give...)...)
	run(0, append([]string{"plan", "--json", recipe}, give...)...)
	run(0, append([]string{"up", recipe, "--help"}, give...)...)
	run(0, append([]string{"check", "--json", recipe}, give...)...)
	up := run(0, append([]string{"up", "-v", recipe, "g"}, give...)...)
	if !strings.Contains(up, "the password is [secret pw]") || !strings.Contains(up, "take secrets key, pw for /run/secrets") {
		t.Errorf("up -v:\n%s", up)
	}
	failed := run(1, append([]string{"up", recipe, "broken"}, give...)...)
	if !strings.Contains(failed, "no [secret pw]") {
		t.Errorf("a failing flow:\n%s", failed)
	}
	expect(t, "what the flow saw", r.out("g", "cat", "/seen"), "31")
	for _, args := range [][]string{{"ls", "--json"}, {"status", "--json", "g"}, {"status", "g"}, {"logs", "g"}} {
		run(0, args...)
	}
	run(0, append([]string{"plan", recipe, "g"}, give...)...)
	hunt(t, "what vsl printed", said.Bytes())

	expect(t, "the file's secret", r.out("g", "cat", "/run/secrets/pw"), fileSecret)
	expect(t, "the variable's", r.out("g", "cat", "/run/secrets/key"), envSecret)
	expect(t, "owners and modes", r.sh("g", "cd /run/secrets; stat -c '%n %u %g %a' *"), "key 33 33 440\npw 0 0 400")
	expect(t, "others", r.vsl("exec", "--user", "1000", "g", "cat", "/run/secrets/pw").code, 1)
	huntFiles(t, r.dir)
	huntProcesses(t)
}

// hunt fails when a secret is in data.
func hunt(t *testing.T, where string, data []byte) {
	t.Helper()
	for _, s := range []string{fileSecret, "battery staple", envSecret} {
		if bytes.Contains(data, []byte(s)) {
			t.Errorf("%s: a secret is in it", where)
		}
	}
}

func huntFiles(t *testing.T, dir string) {
	t.Helper()
	seen := 0
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		seen++
		if d.Name() == "agent" {
			return nil // this very program
		}
		data, err := os.ReadFile(p)
		hunt(t, p, data)
		return err
	})
	if err != nil || seen < 5 {
		t.Errorf("looked through %d files of %s: %v", seen, dir, err)
	}
}

// huntProcesses looks at every process but this test and its parent, whose own
// environment has one of the secrets.
func huntProcesses(t *testing.T) {
	t.Helper()
	all, _ := filepath.Glob("/proc/[0-9]*")
	seen := 0
	for _, p := range all {
		if p == "/proc/"+strconv.Itoa(os.Getpid()) || p == "/proc/"+strconv.Itoa(os.Getppid()) {
			continue
		}
		for _, f := range []string{"cmdline", "environ"} {
			if data, err := os.ReadFile(filepath.Join(p, f)); err == nil {
				seen++
				hunt(t, filepath.Join(p, f), data)
			}
		}
	}
	if seen == 0 {
		t.Error("no process could be looked at")
	}
}

// Guest root can neither change its secrets nor take them away, and they bring
// it no power that a mount could.
func TestGuestRootCannotTouchItsSecrets(t *testing.T) {
	r, file := secretsRoot(t)
	r.must("up", r.recipe(secretsRecipe), "g", "-p", "pw=file:"+file)
	mount := r.sh("g", "grep ' /run/secrets ' /proc/mounts")
	for _, flag := range []string{"tmpfs", "ro", "nosuid", "nodev", "noexec"} {
		if !strings.Contains(strings.ReplaceAll(mount, ",", " "), " "+flag+" ") {
			t.Errorf("%s is not set: %s", flag, mount)
		}
	}
	for _, line := range []string{
		"mount -o remount,rw /run/secrets", "mount -o remount,rw,exec,dev,suid,bind /run/secrets", "umount /run/secrets",
		"umount -l /run", "rm -f /run/secrets/pw", "echo x > /run/secrets/pw", "echo x > /run/secrets/new",
		"mv /run/secrets /run/other", "rmdir /run/secrets", "ln -sf /etc/passwd /run/secrets/pw", "chmod 666 /run/secrets/pw",
		"chown 5 /run/secrets/pw",
	} {
		if res := r.exec("g", "/bin/sh", "-c", line); res.Code == 0 {
			t.Errorf("guest root could: %s", line)
		}
	}
	expect(t, "the secret after it", r.out("g", "cat", "/run/secrets/pw"), fileSecret)
}

// Secrets are there again after a restart, as they are then; a change is seen;
// without them nothing is brought down; down leaves none.
func TestSecretsOverTheLifeOfAGuest(t *testing.T) {
	r, file := secretsRoot(t)
	recipe := r.recipe(secretsRecipe)
	up := []string{"up", recipe, "g", "-p", "pw=file:" + file}
	r.fails(2, []string{"recipe.lua:6", "none.txt", "no such file"}, "up", recipe, "g", "-p", "pw=file:none.txt")
	expect(t, "guests", r.must("ls", "--json"), "[]\n")
	r.must(up...)
	r.must("restart", "g")
	expect(t, "after a restart", r.out("g", "cat", "/run/secrets/pw"), fileSecret)

	writeFile(t, file, "another one")
	plan := r.must("plan", recipe, "g", "-p", "pw=file:"+file)
	if !strings.Contains(plan, "secret pw changed") || strings.Contains(plan, "secret key") || strings.Contains(plan, "another one") {
		t.Errorf("plan:\n%s", plan)
	}
	expect(t, "before the restart", r.out("g", "cat", "/run/secrets/pw"), fileSecret)
	pid := r.status("g").PID
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	r.fails(2, []string{"read secret file:" + file}, "restart", "g")
	expect(t, "pid 1", r.status("g").PID, pid)
	writeFile(t, file, "another one")
	r.must("restart", "g")
	expect(t, "after the restart", r.out("g", "cat", "/run/secrets/pw"), "another one")

	r.must("down", "g")
	r.clean()
	huntFiles(t, r.dir)
	r.must(up...)
	expect(t, "up again", r.out("g", "cat", "/run/secrets/pw"), "another one")
}
