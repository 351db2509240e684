// Command demo shows vsl to a newcomer: a Debian web server comes up from one
// word, is asked for its page, is listed, and goes down again, after which the
// demo looks for anything that was left. It is what `make demo` runs.
//
// It uses vsl's default state root, as a user would. The template stays there,
// so that the next run is quick; `vsl template rm` removes it.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// guest is what the demo reads of `vsl ls --json`.
type guest struct {
	Name  string   `json:"name"`
	State string   `json:"state"`
	PID   int      `json:"pid"`
	IP    []string `json:"ip"`
}

func main() {
	vsl, recipe := "bin/vsl", "debian-web"
	if len(os.Args) > 1 {
		recipe = os.Args[1]
	}
	if err := demo(vsl, recipe); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func demo(vsl, recipe string) (err error) {
	before, err := look()
	if err != nil {
		return err
	}
	had, err := list(vsl)
	if err != nil {
		return err
	}
	if err := show(vsl, "up", recipe); err != nil {
		return err
	}
	now, err := list(vsl)
	if err != nil {
		return err
	}
	names, pids := started(had, now)
	if len(names) == 0 {
		return fmt.Errorf("%s runs already: bring it down first", recipe)
	}
	down := func() error { return show(append([]string{vsl, "down"}, names...)...) }
	if err := visit(now, names); err != nil {
		return errors.Join(err, down())
	}
	if err := errors.Join(show(vsl, "ls"), down(), show(append([]string{vsl, "rm"}, names...)...)); err != nil {
		return err
	}
	return nothingLeft(before, pids)
}

// show prints a command as a user would type it, and runs it.
func show(argv ...string) error {
	fmt.Printf("\n$ %s\n", strings.Join(argv, " "))
	begin := time.Now()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(argv, " "), err)
	}
	fmt.Printf("(%.2f s)\n", time.Since(begin).Seconds())
	return nil
}

func list(vsl string) ([]guest, error) {
	cmd := exec.Command(vsl, "ls", "--json")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("vsl ls --json: %w", err)
	}
	var all []guest
	return all, json.Unmarshal(out, &all)
}

// started names the guests that run now and did not before, and all processes
// below their first ones.
func started(had, now []guest) (names []string, pids []int) {
	ran := map[string]bool{}
	for _, g := range had {
		ran[g.Name] = g.PID != 0
	}
	for _, g := range now {
		if g.PID != 0 && !ran[g.Name] {
			names = append(names, g.Name)
			pids = append(pids, offspring(g.PID)...)
		}
	}
	return names, pids
}

// offspring is pid and everything below it, from /proc/PID/task/PID/children.
func offspring(pid int) []int {
	all := []int{pid}
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, f := range strings.Fields(string(data)) {
		var child int
		if _, err := fmt.Sscan(f, &child); err == nil {
			all = append(all, offspring(child)...)
		}
	}
	return all
}

// visit fetches and prints the page that each of the guests serves.
func visit(now []guest, names []string) error {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{Proxy: nil}}
	for _, g := range now {
		if len(g.IP) == 0 || !strings.Contains(" "+strings.Join(names, " ")+" ", " "+g.Name+" ") {
			continue
		}
		addr, _, _ := strings.Cut(g.IP[0], "/")
		fmt.Printf("\nGET http://%s/\n", addr)
		res, err := client.Get("http://" + addr + "/")
		if err != nil {
			return err
		}
		page, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
		res.Body.Close()
		if err != nil {
			return err
		}
		fmt.Printf("%s, served by %s\n%s\n", res.Status, res.Header.Get("Server"), page)
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answered %s", addr, res.Status)
		}
	}
	return nil
}

// traces is what a guest could leave on a host.
type traces struct {
	groups, mounts, addrs, files map[string]bool
}

func look() (traces, error) {
	t := traces{groups: map[string]bool{}, mounts: map[string]bool{}, addrs: map[string]bool{}, files: map[string]bool{}}
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return t, err
	}
	for line := range strings.Lines(string(data)) {
		t.mounts[strings.TrimSpace(line)] = true
		before, after, _ := strings.Cut(line, " - ")
		if f := strings.Fields(before); len(f) > 4 && strings.HasPrefix(after, "cgroup") {
			addGroups(t.groups, f[4])
		}
	}
	out, err := exec.Command("ip", "-o", "address").Output()
	if err != nil {
		return t, fmt.Errorf("ip address: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 3 {
			t.addrs[f[1]+" "+f[3]] = true
		}
	}
	for _, pattern := range []string{"/var/lib/vsl/guests/*", "/run/vsl/*"} {
		found, _ := filepath.Glob(pattern)
		for _, f := range found {
			t.files[f] = true
		}
	}
	return t, nil
}

// addGroups notes the control groups of vsl below a mount: others come and go.
func addGroups(groups map[string]bool, top string) {
	for _, base := range []string{"vsl", "vsl.slice"} {
		root := filepath.Join(top, base)
		_ = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				groups[path] = true
			}
			return nil // a group that has just gone is none
		})
	}
}

// nothingLeft compares with before and says in one line what it looked at.
func nothingLeft(before traces, pids []int) error {
	after, err := look()
	if err != nil {
		return err
	}
	var left []string
	for _, c := range []struct {
		what        string
		before, now map[string]bool
	}{
		{"control group", before.groups, after.groups}, {"mount", before.mounts, after.mounts},
		{"address", before.addrs, after.addrs}, {"file", before.files, after.files},
	} {
		for x := range c.now {
			if !c.before[x] {
				left = append(left, c.what+" "+x)
			}
		}
	}
	for _, pid := range pids {
		if lives(pid) {
			left = append(left, fmt.Sprintf("process %d", pid))
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("left behind:\n  %s", strings.Join(left, "\n  "))
	}
	fmt.Printf("\nnothing was left: no control group, no mount, no address, no file, and none of the guest's %d processes\n", len(pids))
	return nil
}

// lives tells whether a process runs. One that has ended but that the machine's
// pid 1 has not collected yet is none: its last memory is gone.
func lives(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	after := stat[bytes.LastIndexByte(stat, ')')+1:]
	return !bytes.HasPrefix(after, []byte(" Z"))
}
