package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// lxcConfig writes a container's configuration and returns the -P and -n
// arguments for it. overlay gives it a throw-away upper layer.
func (b *bench) lxcConfig(name, rootfs string, overlay bool, init string) ([]string, error) {
	base := filepath.Join(b.dir, "lxc")
	dir := filepath.Join(base, name)
	if err := os.MkdirAll(filepath.Join(dir, "delta"), 0o755); err != nil {
		return nil, err
	}
	path := "dir:" + rootfs
	if overlay {
		path = "overlay:" + rootfs + ":" + filepath.Join(dir, "delta")
	}
	text := fmt.Sprintf(`lxc.rootfs.path = %s
lxc.uts.name = %s
lxc.net.0.type = none
lxc.mount.auto = proc:mixed sys:mixed cgroup:mixed
`, path, name)
	if init != "" {
		text += "lxc.init.cmd = " + init + "\n"
	}
	err := os.WriteFile(filepath.Join(dir, "config"), []byte(text), 0o644)
	return []string{"-P", base, "-n", name}, err
}

// ociBundle writes a bundle for runc and crun: what `runc spec` gives, on the
// host's network, running argv in the trivial tree.
func (b *bench) ociBundle(runtime string, argv ...string) (string, error) {
	dir := filepath.Join(b.dir, "oci-"+runtime+"-"+filepath.Base(argv[0]))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if _, err := b.sh(runtime, "spec", "-b", dir); err != nil {
		return "", err
	}
	file := filepath.Join(dir, "config.json")
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	var c map[string]any
	if err := json.Unmarshal(data, &c); err != nil {
		return "", err
	}
	c["root"] = map[string]any{"path": b.triv, "readonly": false}
	process := c["process"].(map[string]any)
	process["terminal"] = false
	process["args"] = argv
	linux := c["linux"].(map[string]any)
	var spaces []any
	for _, ns := range linux["namespaces"].([]any) {
		if ns.(map[string]any)["type"] != "network" {
			spaces = append(spaces, ns)
		}
	}
	linux["namespaces"] = spaces
	if data, err = json.Marshal(c); err != nil {
		return "", err
	}
	return dir, os.WriteFile(file, data, 0o644)
}

// oci measures `run -d` and `delete -f`.
func (b *bench) oci(runtime string) *contender {
	var bundle string
	return &contender{
		name: runtime + " run -d",
		note: "stop is delete -f; no user namespace, no overlay",
		setup: func() (err error) {
			bundle, err = b.ociBundle(runtime, "/bin/sleep", "100000")
			return err
		},
		round: func() ([]time.Duration, error) {
			id := "vslbench-" + runtime
			up, err := b.timed(runtime, "--root", "/run/"+runtime, "run", "-d", "-b", bundle, id)
			if err != nil {
				b.sh(runtime, "--root", "/run/"+runtime, "delete", "-f", id)
				return nil, err
			}
			down, err := b.timed(runtime, "--root", "/run/"+runtime, "delete", "-f", id)
			return []time.Duration{up, down, up + down}, err
		},
	}
}

// ociOnce measures a whole `run` whose command ends at once.
func (b *bench) ociOnce(runtime string) *contender {
	var bundle string
	return &contender{
		name: runtime + " run",
		note: "runs true to its end; no user namespace, no overlay",
		setup: func() (err error) {
			bundle, err = b.ociBundle(runtime, "/bin/true")
			return err
		},
		round: func() ([]time.Duration, error) {
			all, err := b.timed(runtime, "--root", "/run/"+runtime, "run", "-b", bundle, "vslbench-"+runtime)
			return []time.Duration{all, 0, all}, err
		},
	}
}

// lxcTrivial measures lxc-start -d and lxc-stop -k.
func (b *bench) lxcTrivial() *contender {
	var who []string
	return &contender{
		name: "lxc-start -d",
		note: "no user namespace, no overlay; one monitor process per guest stays",
		setup: func() (err error) {
			who, err = b.lxcConfig("vslbench-one", b.triv, false, "/bin/sleep 100000")
			return err
		},
		round: func() ([]time.Duration, error) {
			up, err := b.timed(append([]string{"lxc-start", "-d"}, who...)...)
			if err != nil {
				return nil, err
			}
			down, err := b.timed(append([]string{"lxc-stop", "-k"}, who...)...)
			return []time.Duration{up, down, up + down}, err
		},
	}
}

// nspawnArgs are the options that let nspawn run where no systemd is pid 1.
func nspawnArgs(tree string, more ...string) []string {
	return append([]string{"systemd-nspawn", "-q", "--register=no", "--keep-unit", "-D", tree}, more...)
}

// once measures a command that starts a guest and ends with it.
func (b *bench) once(name, note string, argv ...string) *contender {
	return &contender{name: name, note: note, round: func() ([]time.Duration, error) {
		all, err := b.timed(argv...)
		return []time.Duration{all, 0, all}, err
	}}
}

// killPeers ends the guests that an interrupted round left, by their names.
func (b *bench) killPeers() {
	for _, rt := range []string{"runc", "crun"} {
		b.sh(rt, "--root", "/run/"+rt, "delete", "-f", "vslbench-"+rt)
	}
	dirs, _ := filepath.Glob(filepath.Join(b.dir, "lxc", "*"))
	for _, d := range dirs {
		b.sh("lxc-stop", "-k", "-P", filepath.Dir(d), "-n", filepath.Base(d))
	}
}

// removePeerGroups removes the empty control groups that LXC and nspawn leave,
// in every hierarchy. A group with processes in it cannot be removed.
func removePeerGroups() error {
	for _, pattern := range []string{
		"payload/*/*", "payload/*", "payload", "supervisor", "lxc.pivot", "lxc.payload.vslbench-*", "lxc.monitor.vslbench-*",
		"lxc.payload.vslbench-*/*",
	} {
		for _, top := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
			found, err := filepath.Glob(filepath.Join(top, pattern))
			if err != nil {
				return err
			}
			for _, dir := range found {
				if info, err := os.Stat(dir); err == nil && info.IsDir() {
					os.Remove(dir) // rmdir; EBUSY when somebody lives there
				}
			}
		}
	}
	return nil
}
