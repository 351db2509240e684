package engine

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"vsl/engine/spawn"
)

// account is a user inside a guest.
type account struct {
	name, home, shell string
	uid, gid          uint32
	groups            []uint32
}

// account finds a user in the guest's own passwd(5) and group(5), which the
// guest wrote: only numbers and strings come out of them.
func (g *guest) account(ctx context.Context, j *spawn.Join, user string) (account, error) {
	acc := account{name: "root", home: "/root", shell: "/bin/sh"}
	if user == "" || user == "root" || user == "0" {
		return acc, nil
	}
	passwd, err := g.ReadFile(ctx, "/etc/passwd")
	if err != nil {
		return acc, err
	}
	acc, ok := findAccount(string(passwd), user)
	if !ok {
		if n, err := strconv.ParseUint(user, 10, 16); err == nil {
			return account{name: user, home: "/", shell: "/bin/sh", uid: uint32(n), gid: uint32(n)}, nil
		}
		return acc, &SpecError{Guest: g.spec.Name, Msg: fmt.Sprintf("it has no user %q", user)}
	}
	if group, err := g.ReadFile(ctx, "/etc/group"); err == nil {
		acc.groups = findGroups(string(group), acc.name)
	}
	return acc, nil
}

func findAccount(passwd, user string) (account, bool) {
	for line := range strings.Lines(passwd) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 7 || f[0] != user && f[2] != user {
			continue
		}
		uid, err1 := strconv.ParseUint(f[2], 10, 16)
		gid, err2 := strconv.ParseUint(f[3], 10, 16)
		if err1 == nil && err2 == nil {
			return account{name: f[0], uid: uint32(uid), gid: uint32(gid), home: f[5], shell: f[6]}, true
		}
	}
	return account{}, false
}

func findGroups(group, user string) []uint32 {
	var out []uint32
	for line := range strings.Lines(group) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 4 || len(out) == 64 {
			continue
		}
		for _, m := range strings.Split(f[3], ",") {
			if gid, err := strconv.ParseUint(f[2], 10, 16); m == user && err == nil {
				out = append(out, uint32(gid))
			}
		}
	}
	return out
}
