package engine

import (
	"bytes"
	"fmt"
	"io"
)

// collectMax bounds what is kept of a command's output, of each stream: it is the
// guest's to make as long as it likes, and in our memory, where no limit of the
// guest's holds.
const collectMax = 64 << 20

var errOutput = fmt.Errorf("it printed more than %d MB", collectMax>>20)

// collected is output that becomes part of the result.
type collected struct {
	bytes.Buffer
	over func(error)
}

func (c *collected) Write(p []byte) (int, error) {
	if c.Len()+len(p) > collectMax {
		c.over(errOutput)
		return 0, errOutput
	}
	return c.Buffer.Write(p)
}

// ReadFrom hides the buffer's, which knows no bound.
func (c *collected) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{c}, r)
}
