package rootfs

import (
	"bytes"
	"io"

	"vsl/engine/internal/sys"
)

// sparseWriter writes an empty file from its beginning, leaves a hole for each
// block of zeros, and stops with its unpacker's context.
type sparseWriter struct {
	fd   int
	u    *unpacker
	size int64
	end  int64 // of what was written
}

const block = 4096

var zeros [block]byte

// copy writes what r gives, which is to be size bytes.
func (w *sparseWriter) copy(r io.Reader, size int64) error {
	if w.u.buf == nil {
		w.u.buf = make([]byte, 64*block)
	}
	for {
		n, err := io.ReadFull(r, w.u.buf)
		if e := w.write(w.u.buf[:n]); e != nil {
			return e
		}
		switch {
		case err == nil:
		case err != io.EOF && err != io.ErrUnexpectedEOF:
			return err
		case w.size != size:
			return io.ErrUnexpectedEOF
		case w.end < size: // it ends in a hole
			return sys.Truncate(w.fd, size)
		default:
			return nil
		}
	}
}

func (w *sparseWriter) write(p []byte) error {
	if err := w.u.ctx.Err(); err != nil {
		return err
	}
	for rest := p; len(rest) > 0; {
		hole := nextData(rest)
		data := nextHole(rest[hole:])
		w.size += int64(hole)
		if data > 0 {
			if err := w.u.budget.wrote(int64(data)); err != nil {
				return err
			}
			if err := sys.WriteAllAt(w.fd, rest[hole:hole+data], w.size); err != nil {
				return err
			}
			w.size += int64(data)
			w.end = w.size
		}
		rest = rest[hole+data:]
	}
	b := &w.u.budget
	b.done += int64(len(p))
	if w.u.progress != nil {
		w.u.progress(b.done)
	}
	return nil
}

// nextData says how many bytes of zeros in whole blocks b begins with.
func nextData(b []byte) int {
	n := 0
	for n < len(b) && isZero(b[n:min(n+block, len(b))]) {
		n = min(n+block, len(b))
	}
	return n
}

// nextHole says how many bytes there are before the next block of zeros.
func nextHole(b []byte) int {
	n := 0
	for n < len(b) && !isZero(b[n:min(n+block, len(b))]) {
		n = min(n+block, len(b))
	}
	return n
}

func isZero(b []byte) bool { return bytes.Equal(b, zeros[:len(b)]) }
