package rootfs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	"vsl/engine/internal/sys"
)

// tarTree unpacks a tar source, and fails when its digest is not the wanted one.
func tarTree(ctx context.Context, t *Template, progress Progress) error {
	src := t.Source
	f, st, err := sys.OpenPlain(src.Path, 0, 0)
	if err != nil {
		return sys.Op("open archive", src.Path, unwrapPath(err))
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	in := &countReader{r: io.TeeReader(f, sum)}
	err = Unpack(ctx, in, t.RootFS(), src.MaxSize, func(int64) { progress("unpacking", in.n, st.Size()) })
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, in); err != nil { // what follows the archive's end counts in the digest
		return sys.Op("read archive", src.Path, unwrapPath(err))
	}
	if got := hex.EncodeToString(sum.Sum(nil)); src.SHA256 != "" && !strings.EqualFold(got, src.SHA256) {
		return sys.Op("check archive", src.Path, fmt.Errorf("its sha256 is %s, not %s", got, src.SHA256))
	}
	return nil
}

type countReader struct {
	r io.Reader
	n int64
}

func (c *countReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// templateTree copies another template's tree, sharing blocks where the file
// system can.
func (s *Store) templateTree(ctx context.Context, t *Template, progress Progress) error {
	base, err := s.Latest(t.Source.Template)
	if err != nil {
		return err
	}
	reflink := ProbeReflink(t.dir) == nil
	if err := os.Remove(t.RootFS()); err != nil {
		return sys.Op("make folder", t.RootFS(), unwrapPath(err))
	}
	return copyTree(ctx, base.RootFS(), t.RootFS(), copying{reflink: reflink},
		func(files, _ int64) { progress("copying", files, base.Files) })
}
