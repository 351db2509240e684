package engine

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// signals are the names of signal(7) on Linux, without SIG.
var signals = map[string]int{
	"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "BUS": 7, "FPE": 8, "KILL": 9, "USR1": 10,
	"SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15, "STKFLT": 16, "CHLD": 17, "CONT": 18, "STOP": 19,
	"TSTP": 20, "TTIN": 21, "TTOU": 22, "URG": 23, "XCPU": 24, "XFSZ": 25, "VTALRM": 26, "PROF": 27, "WINCH": 28,
	"IO": 29, "PWR": 30, "SYS": 31,
}

// sigRTMin is the kernel's first real-time signal as C libraries count it: they
// keep two for themselves, and systemd's SIGRTMIN+n means this one.
const sigRTMin = 34

// ParseSignal reads "TERM", "SIGTERM", "15", "RTMIN+4" or "SIGRTMIN+4".
func ParseSignal(s string) (int, error) {
	name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if n, ok := signals[name]; ok {
		return n, nil
	}
	if n, err := strconv.Atoi(name); err == nil && n >= 1 && n <= 64 {
		return n, nil
	}
	if name == "RTMIN" {
		return sigRTMin, nil
	}
	if off, ok := strings.CutPrefix(name, "RTMIN+"); ok {
		if n, err := strconv.Atoi(off); err == nil && n >= 0 && n <= 30 {
			return sigRTMin + n, nil
		}
	}
	known := make([]string, 0, len(signals))
	for k := range signals {
		known = append(known, k)
	}
	sort.Strings(known)
	if near := Nearest(name, known); near != "" {
		return 0, fmt.Errorf("unknown signal %q: did you mean %q?", s, near)
	}
	return 0, fmt.Errorf("unknown signal %q", s)
}
