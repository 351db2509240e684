package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"vsl/engine"
)

// boot compares the engine's boot alone, without starting vsl and reading a
// recipe, with a C program that makes the same namespaces and mounts.
func (b *bench) boot() *experiment {
	return &experiment{
		key: "boot", title: "Boot alone: from nothing to the guest's command exec'd, in process",
		phases: []string{"time"}, rounds: b.rounds * 2,
		contenders: []*contender{b.engineBoot(), b.cBoot()},
	}
}

func (b *bench) engineBoot() *contender {
	var g engine.Guest
	command := []string{"/bin/sleep", "100000"}
	prepare := func() error {
		return errors.Join(g.Context(b.ctx), g.BindIP(b.ctx, engine.Net{Mode: "none"}))
	}
	return &contender{
		name: "vsl's engine", note: "also seccomp, capabilities, the reaper, a journal, a hint in /run, and on a hybrid host the v1 groups",
		setup: func() error {
			tar, err := b.trivialTar()
			if err != nil {
				return err
			}
			e, err := engine.Open(engine.Options{Root: filepath.Join(b.dir, "vsl-boot")})
			if err != nil {
				return err
			}
			t := &engine.Template{Name: "triv", From: engine.Source{Kind: "tar", Path: tar}}
			if _, err := e.BuildTemplate(b.ctx, t, nil); err != nil {
				return err
			}
			g, err = e.New(&engine.Spec{Name: "boot", Template: t, Command: command, Net: engine.Net{Mode: "none"}})
			if err != nil {
				return err
			}
			if err := g.Context(b.ctx); err != nil {
				return err
			}
			return g.CowClone(b.ctx, engine.CloneArgs{Template: t})
		},
		round: func() ([]time.Duration, error) {
			if err := prepare(); err != nil {
				return nil, err
			}
			begin := time.Now()
			err := g.Boot(b.ctx, engine.BootArgs{Command: command})
			took := time.Since(begin)
			return []time.Duration{took}, errors.Join(err, g.Kill(b.ctx, engine.KillArgs{}))
		},
	}
}

func (b *bench) cBoot() *contender {
	work := filepath.Join(b.dir, "bootc-work")
	group := ""
	return &contender{
		name: "static C", note: "the same namespaces, id-mapped overlay and mounts; execs sleep itself",
		setup: func() (err error) {
			for _, d := range []string{"upper", "work"} {
				if err := os.MkdirAll(filepath.Join(work, d), 0o755); err != nil {
					return err
				}
			}
			for _, d := range []string{"upper", "work"} {
				if err := os.Chown(filepath.Join(work, d), 1<<30, 1<<30); err != nil {
					return err
				}
			}
			group, err = cgroup2Mount()
			return err
		},
		round: func() ([]time.Duration, error) {
			dir := filepath.Join(group, "vsl-bench-boot-"+strconv.Itoa(os.Getpid()))
			if err := os.Mkdir(dir, 0o755); err != nil {
				return nil, err
			}
			out, err := b.sh(filepath.Join(b.dir, "bootc"), b.triv, work, dir)
			err = errors.Join(err, os.Remove(dir))
			if err != nil {
				return nil, err
			}
			ns, err := strconv.ParseInt(out, 10, 64)
			return []time.Duration{time.Duration(ns)}, err
		},
	}
}

// cgroup2Mount finds where the v2 hierarchy is mounted.
func cgroup2Mount() (string, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(data)) {
		before, after, ok := strings.Cut(line, " - ")
		if f := strings.Fields(before); ok && len(f) > 4 && strings.HasPrefix(after, "cgroup2 ") {
			return f[4], nil
		}
	}
	return "", fmt.Errorf("no cgroup2 mount")
}
