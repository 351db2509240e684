package rootfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/docker/go-units"
)

// xzGuard passes an xz file on to its decoder, and ends it before a block whose
// dictionary is larger than most: the decoder takes what a block's header asks
// for, up to 4 GiB. It follows the frames of the file (The .xz File Format
// 1.2.1, and the chunks of LZMA2 in them) without decoding anything.
type xzGuard struct {
	r    io.Reader
	most int64
	err  error

	skip  int64  // bytes that need not be looked at
	head  []byte // those that are looked at, until there are want of them
	want  int
	then  func() error
	data  int64 // length of the block, or of the index, so far
	check int64 // length of the check behind a block
	left  int64 // numbers that the index still has
}

var errXZ = errors.New("xz: damaged, or of a kind that is not known")

func (g *xzGuard) Read(p []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	if g.then == nil {
		g.next(4, g.magic)
	}
	n, err := g.r.Read(p)
	for rest := p[:n]; len(rest) > 0 && g.err == nil; {
		if g.skip > 0 {
			k := min(g.skip, int64(len(rest)))
			g.skip -= k
			rest = rest[k:]
			continue
		}
		k := min(g.want-len(g.head), len(rest))
		g.head = append(g.head, rest[:k]...)
		rest = rest[k:]
		if len(g.head) == g.want {
			g.err = g.then()
		}
	}
	if g.err != nil {
		return 0, g.err // none of it: a header that was refused may be in it
	}
	return n, err
}

// next looks at the next bytes, and then at what then says.
func (g *xzGuard) next(want int, then func() error) {
	g.head, g.want, g.then = g.head[:0], want, then
}

// magic is the beginning of a stream, or padding between two.
func (g *xzGuard) magic() error {
	if binary.LittleEndian.Uint32(g.head) == 0 {
		g.next(4, g.magic)
		return nil
	}
	g.next(8, func() error {
		sizes := [16]int64{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}
		g.check = sizes[g.head[3]&0xf]
		g.next(1, g.block)
		return nil
	})
	return nil
}

// block is the first byte of a block's header, or of the index.
func (g *xzGuard) block() error {
	if g.head[0] == 0 {
		g.data, g.left = 1, -1
		g.next(1, g.index)
		return nil
	}
	g.next((int(g.head[0])+1)*4-1, g.header)
	return nil
}

func (g *xzGuard) header() error {
	h := g.head[1:]
	number := func() uint64 {
		v, n := binary.Uvarint(h)
		if n <= 0 {
			h = nil
			return 0
		}
		h = h[n:]
		return v
	}
	flags := g.head[0]
	for _, sized := range []byte{0x40, 0x80} {
		if flags&sized != 0 {
			number()
		}
	}
	const lzma2 = 0x21
	if flags&0x3f != 0 || number() != lzma2 || number() != 1 || len(h) == 0 {
		return errXZ // other filters the decoder has not either
	}
	bits := h[0]
	if bits > 40 {
		return errXZ
	}
	dict := int64(1)<<32 - 1
	if bits < 40 {
		dict = int64(2|bits&1) << (bits/2 + 11)
	}
	if dict > g.most {
		return fmt.Errorf("xz: a dictionary of %s, more than %s", units.BytesSize(float64(dict)), units.BytesSize(float64(g.most)))
	}
	g.data = 0
	g.next(1, g.chunk)
	return nil
}

// chunk is the control byte of a chunk of LZMA2.
func (g *xzGuard) chunk() error {
	c := g.head[0]
	g.data++
	switch {
	case c == 0:
		g.skip = (4-g.data%4)%4 + g.check
		g.next(1, g.block)
	case c <= 2:
		g.next(2, func() error { return g.body(g.head) })
	case c >= 0xc0: // with new properties
		g.next(5, func() error { return g.body(g.head[2:]) })
	case c >= 0x80:
		g.next(4, func() error { return g.body(g.head[2:]) })
	default:
		return errXZ
	}
	return nil
}

func (g *xzGuard) body(size []byte) error {
	g.skip = int64(binary.BigEndian.Uint16(size)) + 1
	g.data += int64(g.want) + g.skip
	g.next(1, g.chunk)
	return nil
}

// index is one more byte of a number in the index.
func (g *xzGuard) index() error {
	g.data++
	if g.head[len(g.head)-1]&0x80 != 0 {
		if len(g.head) > 9 {
			return errXZ
		}
		g.want++
		return nil
	}
	if g.left < 0 {
		records, n := binary.Uvarint(g.head)
		if n <= 0 || records > 1<<40 {
			return errXZ
		}
		g.left = 2*int64(records) + 1
	}
	if g.left--; g.left > 0 {
		g.next(1, g.index)
		return nil
	}
	const crc, footer = 4, 12
	g.skip = (4-g.data%4)%4 + crc + footer
	g.next(4, g.magic)
	return nil
}
