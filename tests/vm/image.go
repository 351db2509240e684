// Package vm boots Debian 12's own kernel (6.1, pure cgroup v2, systemd as pid
// 1) under QEMU and runs a script in it, so that the tests of the real kernel
// also run on a second one. It is a test harness, not part of vsl. It needs
// root (to make a root file system), apt, mmdebstrap, mkfs.ext4 and QEMU.
package vm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"vsl/tests/fixture"
)

//go:embed image
var imageFiles embed.FS

// imageSize is what the VM's root file system may grow to; the file is sparse.
const imageSize = "8G"

// bootModules are loaded by the initramfs, in this order; everything else the
// running system finds by itself.
var bootModules = []string{
	"virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk",
}

// Image is what a machine boots from. The files are shared: never write them.
type Image struct {
	Kernel string
	Initrd string
	Root   string
}

// BuildImage gives the cached image, making what is missing. Progress and
// timings go to logf.
func BuildImage(ctx context.Context, logf func(string, ...any)) (Image, error) {
	cache, err := fixture.CacheDir("vm")
	if err != nil {
		return Image{}, err
	}
	unlock, err := fixture.Lock(filepath.Join(cache, "lock"))
	if err != nil {
		return Image{}, err
	}
	defer unlock()
	kernel, err := kernelTree(ctx, cache, logf)
	if err != nil {
		return Image{}, err
	}
	key, err := imageKey(kernel)
	if err != nil {
		return Image{}, err
	}
	dir := filepath.Join(cache, "image-"+key)
	img := Image{
		Kernel: filepath.Join(dir, "vmlinuz"),
		Initrd: filepath.Join(dir, "initrd"),
		Root:   filepath.Join(dir, "root.ext4"),
	}
	if _, err := os.Stat(dir); err == nil {
		return img, nil
	}
	begin := time.Now()
	if err := buildImage(ctx, cache, dir, kernel, logf); err != nil {
		return Image{}, err
	}
	logf("vm image built in %.1fs", time.Since(begin).Seconds())
	return img, nil
}

// kernelTree is Debian's cloud kernel, unpacked. The version that was current
// when it was first fetched is kept until .cache is removed.
func kernelTree(ctx context.Context, cache string, logf func(string, ...any)) (string, error) {
	old, _ := filepath.Glob(filepath.Join(cache, "kernel-*"))
	if len(old) > 0 {
		return old[0], nil
	}
	begin := time.Now()
	out, err := exec.CommandContext(ctx, "apt-cache", "depends", "linux-image-cloud-amd64").Output()
	if err != nil {
		return "", fmt.Errorf("apt-cache depends linux-image-cloud-amd64: %w", err)
	}
	_, rest, _ := strings.Cut(string(out), "Depends: ")
	name, _, _ := strings.Cut(rest, "\n")
	if !strings.HasPrefix(name, "linux-image-") {
		return "", errors.New("linux-image-cloud-amd64 is not in apt's lists: run apt-get update")
	}
	tmp, err := os.MkdirTemp(cache, "tmp-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	script := `apt-get -q -o APT::Sandbox::User=root download "$1" && dpkg-deb -x "$1"_*.deb tree`
	if err := run(ctx, tmp, "sh", "-c", script, "sh", name); err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "kernel-"+strings.TrimPrefix(name, "linux-image-"))
	logf("%s fetched in %.1fs", name, time.Since(begin).Seconds())
	return dir, os.Rename(filepath.Join(tmp, "tree"), dir)
}

// imageKey covers everything that an image is made of.
func imageKey(kernel string) (string, error) {
	sum := sha256.New()
	fmt.Fprintln(sum, filepath.Base(kernel), fixture.VMRoot.Key(), fixture.Systemd.Key(), imageSize, bootModules)
	err := fs.WalkDir(imageFiles, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := imageFiles.ReadFile(path)
		fmt.Fprintln(sum, path, len(data))
		sum.Write(data)
		return err
	})
	return fmt.Sprintf("%x", sum.Sum(nil)[:6]), err
}

// buildImage makes dir with everything an image needs, or nothing.
func buildImage(ctx context.Context, cache, dir, kernel string, logf func(string, ...any)) error {
	tmp, err := os.MkdirTemp(cache, "tmp-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	tree := filepath.Join(tmp, "tree")
	out := filepath.Join(tmp, "out")
	for _, d := range []string{tree, out} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return err
		}
	}
	if err := rootTree(ctx, tree, kernel, logf); err != nil {
		return err
	}
	if err := writeInitrd(filepath.Join(out, "initrd"), tree, kernel); err != nil {
		return err
	}
	vmlinuz, err := filepath.Glob(filepath.Join(kernel, "boot", "vmlinuz-*"))
	if err != nil || len(vmlinuz) != 1 {
		return fmt.Errorf("no single kernel in %s/boot", kernel)
	}
	if err := run(ctx, "", "cp", vmlinuz[0], filepath.Join(out, "vmlinuz")); err != nil {
		return err
	}
	if err := MakeExt4(ctx, filepath.Join(out, "root.ext4"), tree, imageSize); err != nil {
		return err
	}
	old, _ := filepath.Glob(filepath.Join(cache, "image-*"))
	for _, d := range old { // a machine that runs from one keeps its open files
		os.RemoveAll(d)
	}
	return os.Rename(out, dir)
}

// rootTree unpacks the VM's Debian and adds the kernel's modules, the unit that
// runs the payload, and the fixtures that tests inside cannot build.
func rootTree(ctx context.Context, tree, kernel string, logf func(string, ...any)) error {
	root, err := fixture.VMRoot.Path(ctx, logf)
	if err != nil {
		return err
	}
	systemd, err := fixture.Systemd.Path(ctx, logf)
	if err != nil {
		return err
	}
	if err := run(ctx, "", "tar", "--zstd", "--xattrs", "--numeric-owner", "-xpf", root, "-C", tree); err != nil {
		return err
	}
	for _, f := range []struct {
		name, path string
		mode       os.FileMode
	}{
		{"vsl-vm", "usr/local/sbin/vsl-vm", 0o755},
		{"vsl-vm.service", "etc/systemd/system/vsl-vm.service", 0o644},
		{"vsl-vm.target", "etc/systemd/system/vsl-vm.target", 0o644},
	} {
		data, err := imageFiles.ReadFile("image/" + f.name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(tree, f.path), data, f.mode); err != nil {
			return err
		}
	}
	for path, text := range map[string]string{
		"etc/hostname":   "vm\n",
		"etc/machine-id": "6b1d0a2c4f3e4b5d8a7c9e0f1a2b3c4d\n", // a fixed one: no first boot
		"etc/hosts":      "127.0.0.1 localhost vm\n::1 localhost\n",
		"etc/fstab":      "",
	} {
		if err := os.WriteFile(filepath.Join(tree, path), []byte(text), 0o644); err != nil {
			return err
		}
	}
	script := `set -e
cp -a "$1"/lib/modules "$2"/usr/lib/
version=$(ls "$1"/lib/modules)
chroot "$2" /sbin/depmod "$version"
mkdir -p "$2$3"
cp "$4" "$2$3/$5"`
	return run(ctx, "", "sh", "-c", script, "sh", kernel, tree, fixture.VMDir, systemd, fixture.Systemd.Name+".tar.zst")
}

func writeInitrd(path, tree, kernel string) error {
	busybox, err := os.ReadFile(filepath.Join(tree, "bin", "busybox"))
	if err != nil {
		return err
	}
	script, err := imageFiles.ReadFile("image/init")
	if err != nil {
		return err
	}
	files := []cpioFile{
		{"bin", cpioDir, nil},
		{"mod", cpioDir, nil},
		{"bin/busybox", cpioExe, busybox},
		{"init", cpioExe, script},
		{"mod/order", 0o100644, []byte(strings.Join(bootModules, "\n") + "\n")},
	}
	for _, name := range bootModules {
		found, _ := filepath.Glob(filepath.Join(kernel, "lib/modules/*/kernel/drivers/*/"+name+".ko"))
		if len(found) != 1 {
			return fmt.Errorf("module %s: %d files below %s, want one", name, len(found), kernel)
		}
		data, err := os.ReadFile(found[0])
		if err != nil {
			return err
		}
		files = append(files, cpioFile{"mod/" + name + ".ko", 0o100644, data})
	}
	var buf bytes.Buffer
	if err := writeCPIO(&buf, files); err != nil {
		return err
	}
	return os.WriteFile(path, buf.Bytes(), 0o644)
}

// MakeExt4 makes a sparse file of the given size with an ext4 file system that
// holds tree. No journal: every machine throws its writes away.
func MakeExt4(ctx context.Context, file, tree, size string) error {
	return run(ctx, "", "mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-E", "lazy_itable_init=1", "-d", tree, file, size)
}

// run ends with the command's last words when the command fails.
func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, bytes.TrimSpace(out))
	}
	return nil
}
