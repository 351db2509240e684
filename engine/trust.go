package engine

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// TrustError says that somebody could have written a file who may not decide what vsl
// does as this user.
type TrustError struct {
	Why     string
	Hint    string // what makes the file one that is trusted
	Foreign bool   // it belongs to another user, whatever its mode is
}

func (e *TrustError) Error() string { return e.Why }

// Trust refuses a file or folder that somebody else could have written: one that
// belongs to none of root, the user vsl runs as, and users, or that others than its
// owner can write. vsl mostly runs as root, and what such a file says it does.
func Trust(path string, info fs.FileInfo, users ...int) error {
	me := os.Geteuid()
	owner, ok := OwnerOf(info)
	switch {
	case !ok:
		return &TrustError{Why: "it is not known who owns " + path, Hint: "copy it to a file system that tells"}
	case owner != 0 && owner != me && !slices.Contains(users, owner):
		return &TrustError{Why: fmt.Sprintf("%s belongs to user %d, who could have user %d run anything by it", path, owner, me),
			Hint: fmt.Sprintf("chown %d %s trusts it", me, path), Foreign: true}
	case info.Mode().Perm()&0o022 != 0:
		return &TrustError{Why: fmt.Sprintf("%s can be written by others than its owner (mode %04o), who could have user %d run anything by it", path, info.Mode().Perm(), me),
			Hint: "chmod go-w " + path}
	}
	return nil
}
