package spawn

import (
	"os"
	"strconv"
	"sync"

	"vsl/engine/internal/sys"
)

//go:generate reaper/build.sh

// LogMax is how many bytes the reaper writes into each of its two log files.
const LogMax = 1 << 20

var reaper = sync.OnceValues(func() (*os.File, error) {
	f, err := sys.SealedExecutable("vsl-reaper", reaperELF)
	return f, sys.Op("make", "the reaper's file", err)
})

// Reaper gives the program that is pid 1 of a guest whose command is no init,
// as a sealed file in memory for Program.ExecFD. It is made once and shared:
// do not close it. reaper/reaper.c says how it is called.
//
// The file can be executed but not read, and host root owns it. The kernel
// therefore lets no process of the guest, its root included, trace the reaper
// or take its descriptors: the guest's log cannot be reached around the ring.
func Reaper() (*os.File, error) { return reaper() }

// ReaperArgv is the reaper's argument vector. Without a command it only reaps,
// and ends at SIGTERM or SIGINT. With log the descriptors 3 and 4 are the two
// files of the ring, both opened to append; the one written last is the newer.
func ReaperArgv(command []string, log bool) []string {
	if len(command) == 0 {
		return []string{"vsl-reaper", "idle"}
	}
	argv := []string{"vsl-reaper"}
	if log {
		argv = append(argv, "-l", "3", "4", strconv.Itoa(LogMax))
	}
	return append(append(argv, "run"), command...)
}

// LogReaderArgv is the argument vector of the reaper as the reader of a log: what
// comes out of 0 goes into the ring of the descriptors 3 and 4, until nobody can
// write any more.
func LogReaderArgv() []string {
	return []string{"vsl-reaper", "-l", "3", "4", strconv.Itoa(LogMax), "log"}
}
