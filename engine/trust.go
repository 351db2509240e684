package engine

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"vsl/engine/internal/sys"
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
// owner can write. A group that is the owner's alone, as distributions make one for
// each user together with a umask of 002, is no other. vsl mostly runs as root, and what such a file says it does.
func Trust(path string, info fs.FileInfo, users ...int) error {
	me := os.Geteuid()
	owner, ok := OwnerOf(info)
	switch {
	case !ok:
		return &TrustError{Why: "it is not known who owns " + path, Hint: "copy it to a file system that tells"}
	case owner != 0 && owner != me && !slices.Contains(users, owner):
		return &TrustError{Why: fmt.Sprintf("%s belongs to user %d, who could have user %d run anything by it", path, owner, me),
			Hint: fmt.Sprintf("chown %d %s trusts it", me, path), Foreign: true}
	case info.Mode().Perm()&0o002 != 0, info.Mode().Perm()&0o020 != 0 && !ownGroup(info, owner):
		return &TrustError{Why: fmt.Sprintf("%s can be written by others than its owner (mode %04o), who could have user %d run anything by it", path, info.Mode().Perm(), me),
			Hint: "chmod go-w " + path}
	}
	return nil
}

// ownGroup says whether the group of a file is its owner's alone. Who is asked are the
// files of passwd(5) and group(5): a group that is in neither is not known.
func ownGroup(info fs.FileInfo, owner int) bool {
	gid, ok := sys.GroupOf(info)
	groups, err := os.ReadFile("/etc/group")
	users, err2 := os.ReadFile("/etc/passwd")
	return ok && err == nil && err2 == nil && isOwnGroup(string(groups), string(users), gid, owner)
}

// isOwnGroup looks at the texts of group(5) and passwd(5).
func isOwnGroup(groups, users string, gid, owner int) bool {
	names := map[string]bool{} // of the owner
	for line := range strings.Lines(users) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 4 {
			continue
		}
		if f[2] == strconv.Itoa(owner) {
			names[f[0]] = true
		} else if f[3] == strconv.Itoa(gid) {
			return false
		}
	}
	found := false
	for line := range strings.Lines(groups) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 4 || f[2] != strconv.Itoa(gid) {
			continue
		}
		found = true
		for _, member := range strings.Split(f[3], ",") {
			if member != "" && !names[member] {
				return false
			}
		}
	}
	return found && len(names) > 0
}
