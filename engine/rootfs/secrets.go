package rootfs

import (
	"fmt"
	"strings"

	"vsl/engine/internal/sys"
)

// File is a small file that a guest is given in memory.
type File struct {
	Name  string
	Data  []byte
	Owner int // uid and gid in the guest
	Mode  uint32
}

// SecretsPath is where a guest finds its secrets.
const SecretsPath = "/run/secrets"

// attachSecrets mounts the secrets on /run/secrets: a tmpfs of just their size
// which is written before anything is attached, so that no name in it could be
// a guest's, and which nobody can write afterwards: the mount is read-only, and
// locked with the rest when the guest gets its copy. It ends with the guest's
// last process. Where the kernel can (6.4), it is kept from the swap.
func (o *OpenRoot) attachSecrets(run int) error {
	if len(o.root.Secrets) == 0 {
		return nil
	}
	const page = 4096
	size := page
	for _, f := range o.root.Secrets {
		size += (len(f.Data) + page - 1) / page * page
	}
	id := fmt.Sprint(o.root.UID)
	options := []sys.Option{
		{Key: "source", Value: "secrets"}, {Key: "mode", Value: "0755"}, {Key: "uid", Value: id}, {Key: "gid", Value: id},
		{Key: "size", Value: fmt.Sprint(size)}, {Key: "nr_inodes", Value: fmt.Sprint(len(o.root.Secrets) + 2)},
	}
	const attrs = sys.AttrNosuid | sys.AttrNodev | sys.AttrNoexec
	mount, err := sys.NewMount("tmpfs", attrs, append(options, sys.Option{Key: "noswap", Flag: true})...)
	if err != nil {
		mount, err = sys.NewMount("tmpfs", attrs, options...)
	}
	if err != nil {
		return err
	}
	defer sys.Close(mount)
	for _, f := range o.root.Secrets {
		if err := o.writeSecret(mount, f); err != nil {
			return sys.Op("write secret", f.Name, err)
		}
	}
	if err := sys.SetMountAttr(mount, sys.AttrRdonly, -1); err != nil {
		return sys.Op("make read-only", SecretsPath, err)
	}
	target, err := ensureDir(run, "secrets", 0o755, o.root.UID)
	if err != nil {
		return err
	}
	defer sys.Close(target)
	return sys.Op("attach", SecretsPath, sys.MoveMount(mount, target))
}

func (o *OpenRoot) writeSecret(dir int, f File) error {
	if f.Name == "" || f.Name == "." || f.Name == ".." || strings.ContainsAny(f.Name, "/\x00") {
		return sys.EINVAL
	}
	fd, err := sys.OpenAt(dir, f.Name, sys.OWronly|sys.OCreat|sys.OExcl, 0o600)
	if err != nil {
		return err
	}
	defer sys.Close(fd)
	if err := sys.WriteAll(fd, f.Data); err != nil {
		return err
	}
	owner := o.root.UID + f.Owner
	if err := sys.ChownAt(fd, "", owner, owner); err != nil {
		return err
	}
	return sys.Chmod(fd, f.Mode)
}
