package guest

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// frameOf gives the number of the physical page behind the first resident page
// of a file that a process has mapped (pagemap in the kernel's
// Documentation/admin-guide/mm), or 0.
func frameOf(t *testing.T, pid int, file string) uint64 {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/pagemap", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for line := range strings.Lines(procFile(t, pid, "maps")) {
		fields := strings.Fields(line)
		if len(fields) < 6 || !strings.HasSuffix(fields[5], file) || fields[2] != "00000000" {
			continue
		}
		start, _, _ := strings.Cut(fields[0], "-")
		addr, err := strconv.ParseUint(start, 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		var b [8]byte
		if _, err := f.ReadAt(b[:], int64(addr/4096*8)); err != nil {
			t.Fatal(err)
		}
		entry := binary.NativeEndian.Uint64(b[:])
		if entry>>63 == 1 {
			return entry & (1<<55 - 1)
		}
	}
	return 0
}
