package guest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"vsl/tests/fixture"
)

// harmless are the system calls that change nothing outside of the process.
var harmless = strings.Fields(`rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack nanosleep clock_nanosleep futex mmap munmap madvise mprotect
	brk gettid getpid getuid geteuid getgid getegid tgkill fcntl newfstatat fstat stat lstat statx statfs fstatfs readlinkat readlink read pread64 close
	sched_getaffinity sched_yield ioctl epoll_ctl epoll_create1 epoll_pwait epoll_wait eventfd2 prlimit64 getrlimit prctl exit exit_group arch_prctl
	set_tid_address set_robust_list rseq getrandom uname getdents64 lseek clock_gettime faccessat faccessat2 access getcwd restart_syscall pipe2 poll ppoll`)

// may are calls that are harmless with such arguments.
var may = map[string]*regexp.Regexp{
	"openat": regexp.MustCompile(`O_RDONLY|O_PATH|"/dev/null"`),
	"write":  regexp.MustCompile(`^write\((1|2), |, 8\b`), // standard streams, and the eventfd of Go's poller
	"clone":  regexp.MustCompile(`CLONE_VM\|CLONE_FS\|CLONE_FILES\|CLONE_SIGHAND\|CLONE_THREAD`),
	"clone3": regexp.MustCompile(`CLONE_THREAD`),
	"execve": regexp.MustCompile(`/vsl"`),
	// which asks for its version, to see what a child could be given
	"landlock_create_ruleset": regexp.MustCompile(`NULL, 0, LANDLOCK_CREATE_RULESET_VERSION`),
}

var tracedCall = regexp.MustCompile(`^(?:\d+ +)?([a-z0-9_]+)\(`)

// forbidden lists the calls of a trace that are not known to be harmless.
func forbidden(trace string) (bad []string) {
	for line := range strings.Lines(trace) {
		_, call, _ := strings.Cut(strings.TrimSpace(line), " ")
		call = strings.TrimSpace(call)
		m := tracedCall.FindStringSubmatch(call)
		switch {
		case m == nil: // the end of a call, a signal, an exit
		case slices.Contains(harmless, m[1]):
		case may[m[1]] != nil && may[m[1]].MatchString(call) && !strings.Contains(call, "O_CREAT"):
		default:
			bad = append(bad, call)
		}
	}
	return bad
}

// Reading a recipe has no side effect: whatever it holds, vsl opens nothing for
// writing, makes nothing, and starts nothing but its own threads.
func TestEvaluatingHasNoSideEffects(t *testing.T) {
	fixture.HostTierOnly(t)
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatal("strace is missing: make deps installs it")
	}
	dir := t.TempDir()
	recipe := filepath.Join(dir, "recipe.lua")
	text := `
local shared, mine, std = require "shared", require "mine", require "vsl.std"
local n = param.int("n", { default = 2, doc = "how many" })
local root = template "root" { from = debian { packages = { "nginx-light" } }, build = function(t) t:write("/x", "y") end }
for i = 1, n do
  guest("web" .. i) {
    template = root, ip = subnet("198.51.100.0/24"):at(i), limit = { memory = shared.memory },
    secrets = { key = secret.file("key") }, ready = probe.http(80),
    provision = function(g) g:exec { "touch", "/made" } end,
  }
end
pool "p" { size = 2, each = function(i) return { command = { "sleep", "1" } } end }
log.info("read", { n = n, json = std.json.encode(mine), sum = std.sha256("x"), new = std.semver.satisfies("1.2.3", "^1") })
print(os.time(), pcall(function() kill { "web1" } end))
`
	for name, data := range map[string]string{"recipe.lua": text, "shared.lua": `return { memory = "64M" }`, "key": "k", "vsl/lua/mine.lua": "return { 1 }"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("XDG_CONFIG_HOME", dir)
	for _, argv := range [][]string{{"check", recipe}, {"plan", "-v", recipe}, {"plan", "-vv", recipe}, {"plan", "--json", recipe}, {"lint", recipe}, {"up", recipe, "--help"}} {
		t.Run(strings.Join(argv[:1], " "), func(t *testing.T) {
			trace := filepath.Join(t.TempDir(), "trace")
			root := filepath.Join(dir, "state")
			out, err := exec.Command("strace", append([]string{"-f", "-qq", "-s", "64", "-o", trace, bin, "--root", root}, argv...)...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			calls, err := os.ReadFile(trace)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(calls), "recipe.lua") {
				t.Fatal("the trace does not show the recipe being read")
			}
			if bad := forbidden(string(calls)); len(bad) > 0 {
				t.Errorf("not harmless:\n%s", strings.Join(bad, "\n"))
			}
			if _, err := os.Lstat(root); err == nil {
				t.Error("the state root was made")
			}
		})
	}
	if bad := forbidden(fmt.Sprintln(`12 mkdirat(AT_FDCWD, "/x", 0700) = 0`) + `12 openat(AT_FDCWD, "/x", O_WRONLY|O_CREAT, 0600) = 3`); len(bad) != 2 {
		t.Errorf("the check itself misses what it is for: %v", bad)
	}
}
