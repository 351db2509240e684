package guest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vsl/engine/cgroup"
)

// agentPeculiar runs on the host: it becomes a process like few others, in the
// groups of its first argument, and then the program of the others.
func agentPeculiar(args []string) error {
	runtime.LockOSThread()
	for dir := range strings.FieldsSeq(args[0]) {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
			return err
		}
	}
	unix.Umask(0o077)
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte("500"), 0); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/self/coredump_filter", []byte("0x7f"), 0); err != nil {
		return err
	}
	resource, err := raises()
	if err != nil {
		return err
	}
	for limit, r := range map[int]unix.Rlimit{
		unix.RLIMIT_NOFILE: {Cur: 333, Max: 444}, unix.RLIMIT_SIGPENDING: {Cur: 77, Max: 78}, unix.RLIMIT_NPROC: {Cur: 20, Max: 20},
		unix.RLIMIT_MSGQUEUE: {Cur: 0, Max: 1000}, unix.RLIMIT_MEMLOCK: {Cur: 4096, Max: 8192}, unix.RLIMIT_CORE: {Cur: 1 << 20, Max: 1 << 20},
		unix.RLIMIT_STACK: {Cur: 1 << 20, Max: 64 << 20}, unix.RLIMIT_NICE: {Cur: 5, Max: 5}, unix.RLIMIT_RTPRIO: {Cur: 3, Max: 3},
		unix.RLIMIT_RTTIME: {Cur: 1 << 40, Max: 1 << 40}, unix.RLIMIT_FSIZE: {Cur: 1 << 30, Max: 1 << 31}, unix.RLIMIT_CPU: {Cur: 3600, Max: 3601},
		unix.RLIMIT_DATA: {Cur: 1 << 40, Max: 1 << 41}, unix.RLIMIT_AS: {Cur: 1 << 45, Max: 1 << 45}, unix.RLIMIT_RSS: {Cur: 1 << 40, Max: 1 << 40},
		unix.RLIMIT_LOCKS: {Cur: 99, Max: 99},
	} {
		if !resource { // nobody could raise it again
			var now unix.Rlimit
			if err := unix.Prlimit(0, limit, nil, &now); err != nil {
				return err
			}
			r = unix.Rlimit{Cur: min(r.Cur, now.Max), Max: now.Max}
		}
		if err := unix.Prlimit(0, limit, &r, nil); err != nil {
			return fmt.Errorf("rlimit %d: %w", limit, err)
		}
	}
	var cpu unix.CPUSet
	cpu.Set(0)
	batch := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_BATCH, Nice: 5}
	const idleClass = 3 << 13
	for what, err := range map[string]error{
		"affinity":    unix.SchedSetaffinity(0, &cpu),
		"scheduler":   unix.SchedSetAttr(0, &batch, 0),
		"ioprio":      rawCall(unix.SYS_IOPRIO_SET, 1, 0, idleClass),
		"timer slack": unix.Prctl(unix.PR_SET_TIMERSLACK, 12345678, 0, 0, 0),
		"THP":         unix.Prctl(unix.PR_SET_THP_DISABLE, 1, 0, 0, 0),
		"personality": rawCall(unix.SYS_PERSONALITY, 0x0040000, 0, 0),
	} {
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	_ = unix.Prctl(unix.PR_SET_MEMORY_MERGE, 1, 0, 0, 0)            // since 6.4
	_ = rawCall(unix.SYS_SET_MEMPOLICY, 3, 0, 0)                    // where there is NUMA
	_ = unix.Prctl(unix.PR_MCE_KILL, unix.PR_MCE_KILL_SET, 1, 0, 0) // where the CPU has it
	return syscall.Exec(args[1], args[1:], os.Environ())
}

// raises tells whether this process may raise hard limits: CAP_SYS_RESOURCE.
func raises() (bool, error) {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	err := unix.Capget(&hdr, &data[0])
	return data[0].Effective&(1<<unix.CAP_SYS_RESOURCE) != 0, err
}

func rawCall(nr, a, b, c uintptr) error {
	if _, _, errno := unix.Syscall(nr, a, b, c); errno != 0 {
		return errno
	}
	return nil
}

// traits are what of a process its starter could have given it, as the host sees it.
func traits(t *testing.T, pid int) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, f := range []string{"limits", "oom_score_adj", "timerslack_ns", "coredump_filter", "personality", "autogroup", "numa_maps", "ksm_stat"} {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, f))
		if err != nil {
			continue // not on this kernel
		}
		out[f] = string(data)
	}
	out["autogroup"] = regexp.MustCompile(`\d+ nice`).ReplaceAllString(out["autogroup"], "N nice")
	policies := regexp.MustCompile(`(?m)^[0-9a-f]+ (\S+)`).FindAllStringSubmatch(out["numa_maps"], -1)
	out["numa_maps"] = ""
	for _, p := range policies {
		if !strings.Contains(out["numa_maps"], p[1]) {
			out["numa_maps"] += p[1] + " "
		}
	}
	out["ksm_stat"] = strings.Join(regexp.MustCompile(`ksm_merge_any: \S+`).FindAllString(out["ksm_stat"], -1), "")
	for line := range strings.Lines(procFile(t, pid, "status")) {
		k, v, _ := strings.Cut(line, ":")
		switch k {
		case "Umask", "Groups", "SigBlk", "SigIgn", "SigCgt", "Cpus_allowed_list", "Mems_allowed_list", "THP_enabled", "NoNewPrivs", "Seccomp",
			"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "SigQ":
			out[k] = strings.TrimSpace(v)
		}
	}
	out["SigQ"] = out["SigQ"][strings.Index(out["SigQ"], "/")+1:]
	stat := procFile(t, pid, "stat")
	f := strings.Fields(stat[strings.LastIndex(stat, ")"):])
	out["priority, nice, real-time priority, policy"] = strings.Join([]string{f[16], f[17], f[38], f[39]}, " ")
	prio, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, 1, uintptr(pid), 0)
	out["ioprio"] = fmt.Sprint(int(prio), int(errno))
	out["cgroup"] = regexp.MustCompile(`vsl-[0-9a-f]{8}|vsl[.]command[.][0-9.]+`).ReplaceAllString(procFile(t, pid, "cgroup"), "OWN")
	return out
}

// A guest, and what is executed in it, is the same whoever starts it.
func TestGuestIsTheSameWhoeverStartsIt(t *testing.T) {
	layout, err := cgroup.Detect()
	if err != nil {
		t.Fatal(err)
	}
	var groups []string
	for _, c := range []string{"cpu", "memory", "freezer", "blkio"} { // cpuset groups begin without cpus
		if root := layout.V1[c]; root != "" {
			dir := filepath.Join(root, "vsl-test-"+itoa(os.Getpid()))
			if err := os.Mkdir(dir, 0o755); err != nil && !os.IsExist(err) {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Remove(dir) })
			groups = append(groups, dir)
		}
	}
	kinds := map[string]func(r *root, args ...string) *exec.Cmd{
		"plain": func(r *root, args ...string) *exec.Cmd { return r.cmd(args...) },
		"peculiar": func(r *root, args ...string) *exec.Cmd {
			c := r.cmd(args...)
			c.Args = append([]string{agentName, "peculiar", strings.Join(groups, " "), c.Path}, c.Args[1:]...)
			c.Path = self
			return c
		},
	}
	seen := map[string][2]map[string]string{}
	for kind, vsl := range kinds {
		r := newRoot(t)
		for _, init := range []string{"command", "init"} {
			rec := r.recipe(`guest "g" { template = box, ` + init + ` = { "/bin/sleep", "infinity" }, stop = { sequence = { { signal = "KILL", wait = "5s" } } } }`)
			if out, err := vsl(r, "up", rec).CombinedOutput(); err != nil {
				t.Fatalf("%s up: %v\n%s", kind, err, out)
			}
			c := vsl(r, "exec", "g", "sleep", "31415")
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			var pid int
			eventually(t, slow(10*time.Second), "the command runs", func() bool {
				for _, p := range r.procs("g") {
					if data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p)); string(data) == "sleep\x0031415\x00" {
						pid = p
					}
				}
				return pid != 0
			})
			key := kind + " " + init
			seen[key] = [2]map[string]string{traits(t, r.status("g").PID), traits(t, pid)}
			unix.Kill(pid, unix.SIGKILL)
			_ = c.Wait()
			// what the kernel counts below the owner of the user namespace, too
			if n := r.sh("g", "i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done 2>&1; echo $i"); n != "40" {
				t.Errorf("%s: %s of 40 processes of a guest run", key, n)
			}
			r.must("kill", "-s", "KILL", "--all-processes", "g")
			r.must("rm", "-f", "g")
		}
	}
	for _, init := range []string{"command", "init"} {
		for i, what := range []string{"pid 1", "a command"} {
			plain, other := seen["plain "+init][i], seen["peculiar "+init][i]
			for k, v := range plain {
				expect(t, init+": "+k+" of "+what, other[k], v)
			}
		}
	}
	if t.Failed() {
		return
	}
	for k, v := range map[string]string{"oom_score_adj": "0\n", "timerslack_ns": "50000\n", "Umask": "0022",
		"priority, nice, real-time priority, policy": "20 0 0 0", "SigQ": "16384"} {
		expect(t, k, seen["plain init"][0][k], v)
	}
}
