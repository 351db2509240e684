package rootfs

import (
	"encoding/binary"
	"strings"

	"vsl/engine/internal/sys"
)

func (c *copying) own(dir int, name string, st sys.Stat) error {
	return sys.ChownAt(dir, name, int(st.UID)+c.shift, int(st.GID)+c.shift)
}

// meta gives the open file or folder to what from and st have. The order
// matters: a change of owner clears set-user-id bits and capabilities, and every
// change sets the times.
func (c *copying) meta(to, from int, st sys.Stat) error {
	if err := c.own(to, "", st); err != nil {
		return err
	}
	attrs, err := sys.Xattrs(from)
	if err != nil {
		return err
	}
	for k, v := range attrs {
		if !keepXattr(k) {
			continue
		}
		if err := sys.SetXattr(to, k, shiftXattr(k, v, c.shift)); err != nil && err != sys.EOPNOTSUPP {
			return err
		}
	}
	if err := sys.Chmod(to, st.Mode); err != nil {
		return err
	}
	return sys.UtimesAt(to, "", st.Atime, st.Mtime)
}

// keepXattr says which extended attributes belong to a file and not to the
// machine that it comes from.
func keepXattr(name string) bool {
	return name == capability || strings.HasPrefix(name, "user.") || strings.HasPrefix(name, "system.posix_acl_")
}

const capability = "security.capability"

// shiftXattr moves the ids in an attribute by shift: those of users and groups in
// an access control list (acl(5); struct posix_acl_xattr_header), and the one
// whose user namespaces file capabilities hold for (capabilities(7)). Those of
// revision 2 hold for the host, so they become revision 3, which names root.
func shiftXattr(name string, value []byte, shift int) []byte {
	if shift == 0 {
		return value
	}
	le := binary.LittleEndian
	out := append([]byte(nil), value...)
	switch {
	case name == capability && len(out) == 20 && out[3] == 2:
		out[3] = 3
		return le.AppendUint32(out, uint32(shift))
	case name == capability && len(out) == 24 && out[3] == 3:
		le.PutUint32(out[20:], le.Uint32(out[20:])+uint32(shift))
	case strings.HasPrefix(name, "system.posix_acl_"):
		const header, entry, user, group = 4, 8, 0x02, 0x08
		for i := header; i+entry <= len(out); i += entry {
			if tag := le.Uint16(out[i:]); tag == user || tag == group {
				le.PutUint32(out[i+4:], le.Uint32(out[i+4:])+uint32(shift))
			}
		}
	}
	return out
}
