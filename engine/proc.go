package engine

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"

	"vsl/engine/cgroup"
)

// startTime is when a process began, in clock ticks after the host's boot, or 0
// where there is none: with the pid it names a process for ever (proc(5), field
// 22 of stat). A zombie counts as gone.
func startTime(pid int) uint64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	end := bytes.LastIndexByte(data, ')') // the name may hold anything
	if end < 0 {
		return 0
	}
	fields := strings.Fields(string(data[end+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return 0
	}
	t, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return 0
	}
	return t
}

// findInit looks through a context's processes for the one that is pid 1 in its
// own pid namespace, for when the hint about it is lost.
func findInit(grp *cgroup.Group) int {
	if !grp.Exists() {
		return 0
	}
	procs, err := grp.Procs()
	if err != nil {
		return 0
	}
	for _, pid := range procs {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			if rest, ok := strings.CutPrefix(line, "NSpid:"); ok {
				if f := strings.Fields(rest); len(f) == 2 && f[1] == "1" {
					return pid
				}
			}
		}
	}
	return 0
}

// machineID makes a random machine-id(5).
func machineID() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("make machine id: %w", err)
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // a version 4 UUID, as the page asks
	return hex.EncodeToString(b[:]), nil
}
