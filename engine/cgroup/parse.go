package cgroup

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// mount is one line of /proc/self/mountinfo, as far as cgroups need it.
type mount struct {
	Root     string   // directory of the file system that is mounted
	Point    string   // where
	Type     string   // cgroup, cgroup2
	ReadOnly bool     // of the mount or of the file system
	Super    []string // options of the file system: a v1 hierarchy's controllers are here
}

// parseMountinfo gives the cgroup mounts of a mountinfo file (proc(5)), in its
// order. Lines that it does not understand are no cgroup mounts.
func parseMountinfo(data string) []mount {
	var out []mount
	for line := range strings.Lines(data) {
		left, right, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		if !ok {
			continue
		}
		l, r := strings.Fields(left), strings.Fields(right)
		if len(l) < 6 || len(r) < 3 || (r[0] != "cgroup" && r[0] != "cgroup2") {
			continue
		}
		super := strings.Split(r[2], ",")
		out = append(out, mount{
			Root:     unescape(l[3]),
			Point:    unescape(l[4]),
			Type:     r[0],
			ReadOnly: slices.Contains(strings.Split(l[5], ","), "ro") || slices.Contains(super, "ro"),
			Super:    super,
		})
	}
	return out
}

// unescape undoes the \ooo that the kernel writes for blanks and backslashes.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// parseSelf reads a /proc/pid/cgroup file (cgroups(7)): the v2 path, whether
// there is one, and the path of each v1 controller. Named hierarchies without
// controllers are left out.
func parseSelf(data string) (unified string, hasUnified bool, v1 map[string]string) {
	v1 = map[string]string{}
	for line := range strings.Lines(data) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) != 3 {
			continue
		}
		if f[0] == "0" && f[1] == "" {
			unified, hasUnified = f[2], true
			continue
		}
		for c := range strings.SplitSeq(f[1], ",") {
			if c != "" && !strings.HasPrefix(c, "name=") {
				v1[c] = f[2]
			}
		}
	}
	return unified, hasUnified, v1
}

// parseFlat reads a flat keyed file such as memory.events: "key number" lines.
func parseFlat(data string) map[string]int64 {
	out := map[string]int64{}
	for line := range strings.Lines(data) {
		f := strings.Fields(line)
		if len(f) != 2 {
			continue
		}
		if n, ok := parseNumber(f[1]); ok {
			out[f[0]] = n
		}
	}
	return out
}

// parseNumber reads one number of a cgroup file; "max" is Unlimited, and a
// number above 2^63 is the largest int64.
func parseNumber(s string) (int64, bool) {
	s = strings.TrimSpace(s)
	if s == "max" {
		return Unlimited, true
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if errors.Is(err, strconv.ErrRange) && n == math.MaxInt64 {
		return n, true
	}
	return n, err == nil
}

// parsePids reads cgroup.procs. Zero stands for a process of a pid namespace
// that we do not see, and is left out.
func parsePids(data string) []int {
	var out []int
	for line := range strings.Lines(data) {
		if n, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && n > 0 {
			out = append(out, n)
		}
	}
	return out
}

// maxCPU bounds a cpu number, so that a list cannot ask for much memory.
const maxCPU = 8191

// ParseCPUSet reads a list of cpus such as "0-3,8" (cpuset(7), "List format",
// without strides) and gives it sorted, each cpu once. "" is no cpu.
func ParseCPUSet(s string) ([]int, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return nil, nil
	}
	var out []int
	for part := range strings.SplitSeq(s, ",") {
		lo, hi, isRange := strings.Cut(strings.TrimSpace(part), "-")
		a, err := cpuNumber(lo)
		if err != nil {
			return nil, err
		}
		b := a
		if isRange {
			if b, err = cpuNumber(hi); err != nil {
				return nil, err
			}
		}
		if b < a {
			return nil, fmt.Errorf("cpu range %q runs backwards", part)
		}
		for c := a; c <= b; c++ {
			out = append(out, c)
		}
		if len(out) > 4*maxCPU {
			return nil, errors.New("cpu list names the same cpus again and again")
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func cpuNumber(s string) (int, error) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, fmt.Errorf("%q is not a cpu number", s)
	}
	n, err := strconv.Atoi(s)
	if err != nil || n > maxCPU {
		return 0, fmt.Errorf("cpu %s is out of range", s)
	}
	return n, nil
}

// formatCPUSet is the inverse of ParseCPUSet.
func formatCPUSet(cpus []int) string {
	var b strings.Builder
	for i := 0; i < len(cpus); {
		j := i
		for j+1 < len(cpus) && cpus[j+1] == cpus[j]+1 {
			j++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(cpus[i]))
		if j > i {
			b.WriteString("-" + strconv.Itoa(cpus[j]))
		}
		i = j + 1
	}
	return b.String()
}

// deviceLine finds a device's line ("254:0 ...") in a nested keyed file such
// as io.max and gives what follows the device, or "".
func deviceLine(data, device string) string {
	for line := range strings.Lines(data) {
		if dev, rest, ok := strings.Cut(strings.TrimSpace(line), " "); ok && dev == device {
			return rest
		}
	}
	return ""
}
