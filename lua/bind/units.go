package bind

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"vsl/engine/cgroup"
)

// ParseSize reads a size in bytes: "256M", "1.5G", "4096". Units are powers of
// 1024, with or without B or iB; "unlimited" is cgroup.Unlimited.
func ParseSize(s string) (int64, error) {
	text := strings.TrimSpace(s)
	if text == "unlimited" {
		return cgroup.Unlimited, nil
	}
	if text == "-1" {
		return 0, fmt.Errorf(`%q is not a size: write "unlimited"`, s)
	}
	bad := fmt.Errorf(`%q is not a size: write a number and B, K, M, G or T, such as "256M"`, s)
	end := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if end < 0 {
		end = len(text)
	}
	n, err := strconv.ParseFloat(text[:end], 64)
	if err != nil {
		return 0, bad
	}
	unit := strings.ToUpper(strings.TrimSpace(text[end:]))
	if unit != "B" {
		unit = strings.TrimSuffix(strings.TrimSuffix(unit, "B"), "I")
	}
	shift, ok := map[string]uint{"": 0, "B": 0, "K": 10, "M": 20, "G": 30, "T": 40}[unit]
	if !ok || (shift == 0 && strings.HasSuffix(strings.ToUpper(text), "I")) {
		return 0, bad
	}
	n *= float64(uint64(1) << shift)
	if n >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is larger than any machine", s)
	}
	return int64(n), nil
}

// ParseCPUSet checks a list of cpus, such as "0-1,4", by the one parser that there
// is; which of them the host has is seen at the boot.
func ParseCPUSet(s string) (string, error) {
	cpus, err := cgroup.ParseCPUSet(s)
	switch {
	case err != nil:
		return "", fmt.Errorf(`%q is not a list of cpus, such as "0-1,4": %w`, s, err)
	case len(cpus) == 0:
		return "", fmt.Errorf(`%q is not a list of cpus, such as "0-1,4"`, s)
	}
	return s, nil
}

// ParseDuration reads "10s", "500ms", "1m30s".
func ParseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(strings.TrimSpace(s))
	if err != nil {
		return 0, fmt.Errorf(`%q is not a duration: write a number and ms, s, m or h, such as "10s"`, s)
	}
	if d < 0 {
		return 0, fmt.Errorf("%q is negative", s)
	}
	return d, nil
}

// ParseCPU reads an amount of cpu in cores: "0.5", "50%", "2 cores" or "unlimited".
func ParseCPU(s string) (float64, error) {
	text := strings.TrimSpace(s)
	if text == "unlimited" {
		return cgroup.Unlimited, nil
	}
	scale := 1.0
	switch {
	case strings.HasSuffix(text, "%"):
		text, scale = strings.TrimSuffix(text, "%"), 0.01
	case strings.HasSuffix(text, "cores"):
		text = strings.TrimSuffix(text, "cores")
	case strings.HasSuffix(text, "core"):
		text = strings.TrimSuffix(text, "core")
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return 0, fmt.Errorf(`%q is not an amount of cpu: write cores, such as 0.5, or "50%%"`, s)
	}
	if n <= 0 {
		return 0, fmt.Errorf("%q is not more than zero", s)
	}
	return n * scale, nil
}

// seconds turns a Lua number into a duration.
func seconds(n float64) (time.Duration, error) {
	if math.IsNaN(n) || n < 0 || n > 1e9 {
		return 0, fmt.Errorf("%v is not a duration in seconds", n)
	}
	return time.Duration(n * float64(time.Second)), nil
}
