package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// workKinds are the kinds of work of the program in work/.
var workKinds = []string{"calls", "processes", "files", "memory", "compile"}

// walls compares work in a guest with the same work on the bare host, and with
// what each of a guest's walls alone costs there.
func (b *bench) walls() *experiment {
	work := filepath.Join(b.dir, "work")
	host := func(name, note string, wall ...string) *contender {
		return &contender{name: name, note: note, round: func() ([]time.Duration, error) {
			return b.work(func(kind string) []string {
				dir, err := os.MkdirTemp("/var/tmp", "vsl-bench-work-")
				if err != nil {
					return []string{"false"}
				}
				// The mount of a wall goes with the namespace, then the folder can go.
				return append([]string{"sh", "-c", `dir=$1; shift; unshare -m "$@" "$dir"; code=$?; rm -rf "$dir"; exit $code`, "sh", dir, work},
					append(wall, kind)...)
			})
		}}
	}
	return &experiment{
		key: "walls", title: "Work in a guest and on the bare host", phases: workKinds, rounds: max(3, b.rounds/3),
		contenders: []*contender{
			b.vslWork(work),
			host("the bare host", "the aim of vsl/this is at most 1.05"),
			host("host, the system call filter", "", "-wall", "seccomp"),
			host("host, a user namespace", "", "-wall", "userns"),
			host("host, its folder an overlay", "", "-wall", "overlay"),
		},
	}
}

func (b *bench) vslWork(work string) *contender {
	var s *state
	return &contender{
		name: "vsl guest", note: "with limits of memory, cpu and pids that it does not reach, and an address",
		setup: func() (err error) {
			// The work folder is on the guest's own layer, which lies where the state root does.
			root, err := os.MkdirTemp("/var/tmp", "vsl-bench-root-")
			if err != nil {
				return err
			}
			s, err = b.state("walls", fmt.Sprintf(`guest "walls" { command = { "sleep", "infinity" }, ip = "127.77.80.10",
  limit = { memory = "4G", cpu = 64, pids = 4096 },
  template = template "walls" { from = host(), build = function(t) t:copy_in(%q, "/work") end } }
`, work))
			if err != nil {
				return err
			}
			s.root = root
			_, err = s.up()
			return err
		},
		round: func() ([]time.Duration, error) {
			return b.work(func(kind string) []string {
				return []string{b.vsl, "--root", s.root, "exec", "walls", "/work", kind, "/var/tmp"}
			})
		},
		done: func() {
			if s != nil {
				b.sh(b.vsl, "--root", s.root, "rm", "-f", "--all")
				b.sh("rm", "-rf", s.root)
			}
		},
	}
}

// work runs every kind of work once and gives the times that it printed.
func (b *bench) work(argv func(kind string) []string) ([]time.Duration, error) {
	var all []time.Duration
	for _, kind := range workKinds {
		out, err := b.sh(argv(kind)...)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
		took, err := strconv.ParseFloat(out, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
		all = append(all, time.Duration(took*float64(time.Millisecond)))
	}
	return all, nil
}
