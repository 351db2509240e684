package vm

import (
	"fmt"
	"io"
	"strings"
)

// cpioFile is one entry of an initramfs. Mode carries the file type too.
type cpioFile struct {
	Name string
	Mode uint32
	Data []byte
}

const (
	cpioDir = 0o040755
	cpioExe = 0o100755
)

// writeCPIO writes a "newc" archive, the format that the kernel unpacks as an
// initramfs (Documentation/driver-api/early-userspace/buffer-format.rst): a
// header of hexadecimal fields, the name and the data, each padded to 4 bytes.
func writeCPIO(w io.Writer, files []cpioFile) error {
	for i, f := range append(files, cpioFile{Name: "TRAILER!!!"}) {
		name := f.Name + "\x00"
		var head strings.Builder
		head.WriteString("070701")
		for _, v := range []uint32{uint32(i + 1), f.Mode, 0, 0, 1, 0, uint32(len(f.Data)), 0, 0, 0, 0, uint32(len(name)), 0} {
			fmt.Fprintf(&head, "%08x", v)
		}
		head.WriteString(name)
		head.WriteString(padding(head.Len()))
		if _, err := io.WriteString(w, head.String()); err != nil {
			return err
		}
		if _, err := w.Write(f.Data); err != nil {
			return err
		}
		if _, err := io.WriteString(w, padding(len(f.Data))); err != nil {
			return err
		}
	}
	return nil
}

func padding(n int) string { return strings.Repeat("\x00", -n&3) }
