// Package rootfs makes the root file systems of guests: templates, which are
// built once and never change again, copy-on-write clones of them, and the
// mounts that a guest sees.
//
// Whatever a guest has written is hostile: this package opens nothing below a
// guest's folder through a link, and mounts nothing on a path that it has not
// opened link-free first. No mount of a guest ever exists in the host's mount
// namespace.
package rootfs

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vsl/engine/internal/sys"
)

// Source says where a template's base comes from. Its fields and JSON are those
// of engine.Source.
type Source struct {
	Kind     string   `json:"kind"` // host, debian, tar or template
	Suite    string   `json:"suite,omitempty"`
	Mirror   string   `json:"mirror,omitempty"`
	Variant  string   `json:"variant,omitempty"`
	Packages []string `json:"packages,omitempty"`
	Path     string   `json:"path,omitempty"`
	SHA256   string   `json:"sha256,omitempty"`
	MaxSize  int64    `json:"max_size,omitempty"`
	Template string   `json:"template,omitempty"`
}

// Bind shows a file or folder of the host inside a guest.
type Bind struct {
	Source   string `json:"source"` // on the host, absolute
	Target   string `json:"target"` // in the guest, absolute
	ReadOnly bool   `json:"read_only,omitempty"`
	IDMap    bool   `json:"id_map,omitempty"` // the host's ids appear as the same ids in the guest
}

// layoutVersion changes when this package generates something else from the
// same source, so that old templates are not taken for new ones.
const layoutVersion = 1

// Key is what a template made from src and buildKey (the fingerprint of its
// build flow) is known by: 16 hex digits that change when the outcome would.
// What changes behind a name, as a Debian mirror does, does not change the key;
// of a tar file without a digest, size and time of change count. A template as
// base must be built already.
func (s *Store) Key(src Source, buildKey string) (string, error) {
	facts := []string{fmt.Sprint(layoutVersion), buildKey}
	switch src.Kind {
	case "host":
		facts = append(facts, hostFacts()...)
	case "tar":
		if src.SHA256 == "" {
			st, err := os.Stat(src.Path)
			if err != nil {
				return "", sys.Op("read archive", src.Path, unwrapPath(err))
			}
			facts = append(facts, fmt.Sprint(st.Size(), st.ModTime().UnixNano()))
		}
	case "template":
		base, err := s.Latest(src.Template)
		if err != nil {
			return "", err
		}
		facts = append(facts, base.Key)
	case "debian":
		src.Packages = slices.Sorted(slices.Values(src.Packages))
	default:
		return "", sys.Op("make template", src.Kind, fmt.Errorf("unknown kind of source"))
	}
	src.MaxSize = 0 // bounds what comes of it, and changes nothing
	j, err := json.Marshal(src)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(string(j) + "\x00" + strings.Join(facts, "\x00")))
	return hex.EncodeToString(sum[:8]), nil
}

// binds are the host folders that guests of this source need.
func (s *Store) binds(src Source) ([]Bind, error) {
	switch src.Kind {
	case "host":
		return hostBinds(), nil
	case "template":
		base, err := s.Latest(src.Template)
		if err != nil {
			return nil, err
		}
		return base.Binds, nil
	}
	return nil, nil
}

// unwrapPath takes the path out of an error of package os: our errors name it.
func unwrapPath(err error) error {
	if pe, ok := err.(*os.PathError); ok {
		return pe.Err
	}
	if le, ok := err.(*os.LinkError); ok {
		return le.Err
	}
	return err
}

func writeJSON(path string, v any) error {
	j, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return sys.Op("write", filepath.Base(path), unwrapPath(os.WriteFile(path, append(j, '\n'), 0o600)))
}
