package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"vsl/engine/rootfs"
)

// clone compares making a guest's root from a Debian template with copying the
// template's tree. vsl's side is the engine's own call without a process, as
// that is what cow_clone costs; the cost of starting cp is about a millisecond.
func (b *bench) clone() *experiment {
	xfs := filepath.Join(b.dir, "xfs")
	return &experiment{
		key: "clone", title: "Cloning a Debian template",
		phases: []string{"time"}, rounds: max(5, b.rounds/3),
		contenders: []*contender{
			b.vslClone("vsl, overlay", filepath.Join(b.dir, "clone"), rootfs.Overlay, nil),
			b.cp("cp -al", filepath.Join(b.dir, "clone-al"), nil, "-al"),
			b.cp("cp -a", filepath.Join(b.dir, "clone-a"), nil, "-a"),
			b.vslClone("vsl, reflink on XFS", filepath.Join(xfs, "clone"), rootfs.Reflink, func() error { return b.mountXFS(xfs) }),
			b.cp("cp -a --reflink=always on XFS", filepath.Join(xfs, "clone-reflink"), func() error { return b.mountXFS(xfs) },
				"-a", "--reflink=always"),
		},
	}
}

// vslClone builds a template from the Debian tarball below dir and measures
// rootfs.Clone of it.
func (b *bench) vslClone(name, dir string, kind rootfs.CloneKind, first func() error) *contender {
	var t *rootfs.Template
	return &contender{
		name: name,
		setup: func() (err error) {
			if first != nil {
				if err := first(); err != nil {
					return err
				}
			}
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return err
			}
			store := &rootfs.Store{Dir: filepath.Join(dir, "templates")}
			t, err = store.Build(b.ctx, "deb", rootfs.Source{Kind: "tar", Path: b.debTar}, "", nil, nil)
			return err
		},
		round: func() ([]time.Duration, error) {
			guest := filepath.Join(dir, "guest")
			if err := os.MkdirAll(guest, 0o700); err != nil {
				return nil, err
			}
			begin := time.Now()
			err := rootfs.Clone(b.ctx, t, guest, kind, 1<<30)
			took := time.Since(begin)
			return []time.Duration{took}, errors.Join(err, rootfs.RemoveClone(guest), os.RemoveAll(guest))
		},
	}
}

// cp measures a copy of the tree with cp, made beside a tree on the same file
// system.
func (b *bench) cp(name, dir string, first func() error, args ...string) *contender {
	tree := filepath.Join(dir, "tree")
	return &contender{
		name: name,
		setup: func() error {
			if first != nil {
				if err := first(); err != nil {
					return err
				}
			}
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return err
			}
			_, err := b.sh("cp", "-a", b.deb, tree)
			return err
		},
		round: func() ([]time.Duration, error) {
			to := filepath.Join(dir, "copy")
			took, err := b.timed(append(append([]string{"cp"}, args...), tree, to)...)
			return []time.Duration{took}, errors.Join(err, os.RemoveAll(to))
		},
	}
}

// mountXFS mounts a fresh XFS with reflinks from a sparse file, once. The loop
// device detaches itself when the mount goes, which it does with this
// program's mount namespace.
func (b *bench) mountXFS(dir string) error {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), " "+dir+" ") {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	image := dir + ".img"
	for _, c := range [][]string{
		{"truncate", "-s", "3G", image},
		{"mkfs.xfs", "-q", "-m", "reflink=1", image},
		{"mount", "-o", "loop", image, dir},
	} {
		if _, err := b.sh(c...); err != nil {
			return fmt.Errorf("XFS: %w", err)
		}
	}
	return nil
}
