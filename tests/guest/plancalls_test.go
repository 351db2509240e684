package guest

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"vsl/engine"
	"vsl/tests/fixture"
)

// plannedBoots are the calls of each boot in a plan, by guest and step.
func plannedBoots(t *testing.T, plan string) map[string][]string {
	t.Helper()
	var p engine.Plan
	if err := json.Unmarshal([]byte(plan), &p); err != nil {
		t.Fatal(err)
	}
	boots := map[string][]string{}
	for _, g := range p.Guests {
		for _, s := range g.Steps {
			for _, c := range s.Calls {
				key := g.Name + ": " + s.String()
				boots[key] = append(boots[key], c.Text)
			}
		}
	}
	return boots
}

// unfinished and resumed are the halves of a call that another process's calls
// came between.
var (
	unfinished = regexp.MustCompile(`^(.*?) *<unfinished \.\.\.>$`)
	resumed    = regexp.MustCompile(`^<\.\.\. \w+ resumed>(.*)$`)
	isRun      = regexp.MustCompile(`^rt_sigaction\(\w+, \{sa_handler=SIG_DFL,`)
	isUnused   = regexp.MustCompile(`^close_range\(\d+, \d+, 0\)`)
	isExec     = regexp.MustCompile(`^execve(at)?\(.*\) += 0$`)
	isBorn     = regexp.MustCompile(`^(clone3\(.*CLONE_NEWUSER.*) = (\d+)$`)
)

// tracedChildren gives of each child of a boot what it called, its clone first
// and its exec last.
func tracedChildren(trace string) [][]string {
	half, calls, done := map[string]string{}, map[string][]string{}, map[string]bool{}
	var order []string
	begin := func(pid, call string) {
		// a child that was cloned by vfork has run before its clone returns
		calls[pid] = append([]string{call}, calls[pid]...)
		order = append(order, pid)
	}
	for line := range strings.Lines(trace) {
		pid, call, _ := strings.Cut(strings.TrimSpace(line), " ")
		call = strings.TrimSpace(call)
		if m := unfinished.FindStringSubmatch(call); m != nil {
			half[pid] = m[1]
			continue
		}
		if m := resumed.FindStringSubmatch(call); m != nil {
			call, half[pid] = half[pid]+m[1], ""
		}
		if m := isBorn.FindStringSubmatch(call); m != nil {
			begin(m[2], m[1])
		}
		if done[pid] || !strings.Contains(call, "(") {
			continue
		}
		list := calls[pid]
		if n := len(list); n > 0 && (isRun.MatchString(call) && isRun.MatchString(list[n-1]) || isUnused.MatchString(call) && isUnused.MatchString(list[n-1])) {
			continue // the plan has a line for all of them
		}
		calls[pid] = append(list, call)
		done[pid] = isExec.MatchString(call)
	}
	var out [][]string
	for _, pid := range order {
		out = append(out, calls[pid])
	}
	return out
}

var (
	fineErrors = regexp.MustCompile(` or E[A-Z]+(, E[A-Z]+)*$`)
	messages   = regexp.MustCompile(`\\\{[^={}]*\\\}`)
	named      = regexp.MustCompile(`<[^>]*>`)
	cloned     = regexp.MustCompile(`^clone3\(\{flags=([A-Z0-9_|]+),`)
)

// shows tells whether a line of a plan is about a traced call: all but what only
// the run knew must be the same.
func shows(planned, traced string) bool {
	if m := cloned.FindStringSubmatch(planned); m != nil {
		n := cloned.FindStringSubmatch(traced)
		return n != nil && n[1] == m[1]
	}
	p := regexp.QuoteMeta(fineErrors.ReplaceAllString(planned, ""))
	p = messages.ReplaceAllString(p, `"[^"]*"`)
	p = named.ReplaceAllString(p, `\d+`)
	p = strings.ReplaceAll(p, "1…64", `SIG\w+`)
	p = strings.ReplaceAll(p, `=…"`, `=[^"]*"`)
	p = strings.ReplaceAll(p, "…", ".*")
	// where a call was interrupted in the trace, a space may be lost
	narrow := strings.NewReplacer(", ", ",")
	return regexp.MustCompile(`^` + narrow.Replace(p) + ` += `).MatchString(narrow.Replace(traced) + " = ")
}

// differs says where a child first did not do what was planned, "" for nowhere.
func differs(planned, traced []string) (at int, why string) {
	for i, p := range planned {
		if i == len(traced) {
			return i, "the child did nothing any more; planned: " + p
		}
		if !shows(p, traced[i]) {
			return i, "planned: " + p + "\ncalled:  " + traced[i]
		}
	}
	if len(traced) > len(planned) {
		return len(planned), "not planned: " + traced[len(planned)]
	}
	return len(planned), ""
}

// What plan -vv shows is what the children of up call, all of it, in that order.
func TestPlanShowsWhatTheChildCalls(t *testing.T) {
	fixture.HostTierOnly(t)
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal("strace is missing: make deps installs it")
	}
	r := newRoot(t)
	busyboxTree(t, r)
	if err := os.WriteFile(filepath.Join(r.src, "token"), []byte("tell-nobody"), 0o600); err != nil {
		t.Fatal(err)
	}
	recipe := r.recipe(`
guest "own" { template = tar "bb.tar", net = "none", provision = function(g) g:exec { "/bin/busybox", "touch", "/made" } end }
guest "cmd" { template = box, command = { "sleep", "1000" }, secrets = { token = secret.file("token") },
  env = { SPOKEN = "tell-nobody" }, limit = { memory = "64M" } }
guest "ip" { template = box, command = { "sleep", "1000" }, ip = "127.77.5.20" }`)
	r.must("template", "build", recipe)
	plan := r.must("plan", "-vv", "--json", recipe)
	if text := r.must("plan", "-vv", recipe); strings.Contains(text+plan, "tell-nobody") {
		t.Error("a secret, or a value of the environment, is in the plan")
	}
	boots := plannedBoots(t, plan)
	expect(t, "boots in the plan", len(boots), 4)

	trace := filepath.Join(t.TempDir(), "trace")
	up := r.cmd("up", recipe)
	cmd := exec.Command(strace, append([]string{"-f", "-v", "-qq", "-s", "4096", "-o", trace, up.Path}, up.Args[1:]...)...)
	cmd.Env, cmd.Dir = up.Env, up.Dir
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	defer func() {
		if t.Failed() {
			t.Logf("up: %s", &said)
		}
	}()
	eventually(t, slow(60*time.Second), "the guests are up", func() bool {
		return !slices.ContainsFunc([]string{"own", "cmd", "ip"}, func(name string) bool { return !r.isReady(name) })
	})
	r.must("down", "own", "cmd", "ip") // which strace waits for
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	compareBoots(t, boots, tracedChildren(string(data)))
}

// isReady tells whether a guest that may not exist yet is up.
func (r *root) isReady(name string) bool {
	var s []engine.Status
	err := json.Unmarshal([]byte(r.vsl("status", "--json", name).out), &s)
	return err == nil && len(s) == 1 && s[0].Ready
}

// compareBoots finds for each planned boot the child that did it.
func compareBoots(t *testing.T, boots map[string][]string, children [][]string) {
	t.Helper()
	for name, planned := range boots {
		best, nearest := -1, ""
		found := slices.ContainsFunc(children, func(c []string) bool {
			at, why := differs(planned, c)
			if at > best {
				best, nearest = at, why
			}
			return why == ""
		})
		if !found {
			t.Errorf("%s: no child did what was planned; the nearest was another at call %d of %d:\n%s", name, best+1, len(planned), nearest)
		}
		// the comparison itself must see a call too few, too many and another
		for _, c := range children {
			if _, why := differs(planned, c); why == "" {
				for i := range planned {
					without := slices.Delete(slices.Clone(c), i, i+1)
					if _, why := differs(planned, without); why == "" {
						t.Errorf("%s: nobody would notice were %s missing", name, c[i])
					}
				}
			}
		}
	}
}
