package spawn

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"time"

	"vsl/engine/internal/sys"
)

// FileInfo describes a file of a guest; ids are as the guest counts them.
type FileInfo struct {
	name string
	sys.Statx
}

// FileInfo is an fs.FileInfo.
var _ fs.FileInfo = (*FileInfo)(nil)

func (i *FileInfo) Name() string       { return i.name }
func (i *FileInfo) Size() int64        { return i.Statx.Size }
func (i *FileInfo) Mode() fs.FileMode  { return fileMode(i.Statx.Mode) }
func (i *FileInfo) ModTime() time.Time { return i.Statx.Mtime }
func (i *FileInfo) IsDir() bool        { return i.Mode().IsDir() }
func (i *FileInfo) Sys() any           { return i.Statx }

// DirEntry is a name in a directory. Type holds type bits only, and is
// fs.ModeIrregular where the file system does not say.
type DirEntry struct {
	Name string
	Type fs.FileMode
}

const (
	sIFMT, sIFIFO, sIFCHR, sIFDIR, sIFBLK, sIFREG, sIFLNK, sIFSOCK = 0o170000, 0o010000, 0o020000, 0o040000, 0o060000, 0o100000, 0o120000, 0o140000

	sISUID, sISGID, sISVTX = 0o4000, 0o2000, 0o1000
)

var typeBits = map[uint16]fs.FileMode{
	sIFIFO: fs.ModeNamedPipe, sIFCHR: fs.ModeDevice | fs.ModeCharDevice, sIFDIR: fs.ModeDir,
	sIFBLK: fs.ModeDevice, sIFREG: 0, sIFLNK: fs.ModeSymlink, sIFSOCK: fs.ModeSocket,
}

func fileType(mode uint16) fs.FileMode {
	if t, ok := typeBits[mode&sIFMT]; ok {
		return t
	}
	return fs.ModeIrregular
}

func fileMode(mode uint16) fs.FileMode {
	m := fileType(mode) | fs.FileMode(mode&0o777)
	for bit, f := range map[uint16]fs.FileMode{sISUID: fs.ModeSetuid, sISGID: fs.ModeSetgid, sISVTX: fs.ModeSticky} {
		if mode&bit != 0 {
			m |= f
		}
	}
	return m
}

// unixMode is the permission part of a mode as chmod(2) takes it.
func unixMode(m fs.FileMode) uint32 {
	mode := uint32(m.Perm())
	for bit, f := range map[uint32]fs.FileMode{sISUID: fs.ModeSetuid, sISGID: fs.ModeSetgid, sISVTX: fs.ModeSticky} {
		if m&f != 0 {
			mode |= bit
		}
	}
	return mode
}

// appendDirents parses what getdents64(2) gives. What does not parse ends the
// list; a file system of the guest's own may say anything.
func appendDirents(out []DirEntry, b []byte) []DirEntry {
	const head = 19 // d_ino, d_off, d_reclen, d_type
	for len(b) > head {
		size := int(binary.NativeEndian.Uint16(b[16:]))
		if size <= head || size > len(b) {
			return out
		}
		name, _, _ := bytes.Cut(b[head:size], []byte{0})
		if s := string(name); s != "" && s != "." && s != ".." && !bytes.ContainsRune(name, '/') {
			out = append(out, DirEntry{Name: s, Type: fileType(uint16(b[18]) << 12)})
		}
		b = b[size:]
	}
	return out
}
