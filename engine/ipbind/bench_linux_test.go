//go:build linux

package ipbind

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

var benchConfig = Config{
	IP4:       []netip.Addr{netip.MustParseAddr("198.51.100.5")},
	IP6:       []netip.Addr{netip.MustParseAddr("2001:db8::5")},
	Loopback:  netip.MustParseAddr("127.16.1.1"),
	Loopback6: netip.MustParseAddr("fd76:736c:6c6f::1001"),
	Bounds:    Bounds{8192, 4096},
}

// groups makes n cgroups below one of the benchmark's own.
func groups(b *testing.B, n int) (fds []int) {
	requireRoot(b)
	ownRun(b)
	base := filepath.Join(unified(b), fmt.Sprintf("vsl-test-%d", os.Getpid()))
	for i := range n {
		dir := filepath.Join(base, fmt.Sprint(i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		f, err := os.Open(dir)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { f.Close(); os.Remove(dir); os.Remove(base) })
		fds = append(fds, int(f.Fd()))
	}
	return fds
}

func (c Config) at(fd int) Config { c.CgroupFD = fd; return c }

// The programs, once per process or per host.
func BenchmarkLoad(b *testing.B) {
	requireRoot(b)
	for b.Loop() {
		s, err := load()
		if err != nil {
			b.Fatal(err)
		}
		s.close()
	}
}

// A context beside one that runs, by a process that has loaded nothing.
func BenchmarkAttachFromSibling(b *testing.B) {
	fds := groups(b, 2)
	common.set = nil
	if err := Attach(benchConfig.at(fds[0])); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		common.set = nil
		if err := Attach(benchConfig.at(fds[1])); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		Detach(fds[1])
		b.StartTimer()
	}
}

// The second and every other context of one process.
func BenchmarkAttach(b *testing.B) {
	fds := groups(b, 1)
	for b.Loop() {
		if err := Attach(benchConfig.at(fds[0])); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		Detach(fds[0])
		b.StartTimer()
	}
}

// New addresses for a running context.
func BenchmarkChange(b *testing.B) {
	fds := groups(b, 1)
	if err := Attach(benchConfig.at(fds[0])); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := Attach(benchConfig.at(fds[0])); err != nil {
			b.Fatal(err)
		}
	}
}

// What the filters cost: one datagram from socket to socket, through both.
func BenchmarkRoundTrip(b *testing.B) {
	l := newLab(b)
	host, guest := l.host(), l.guest(0x1001, true, "198.51.100.5")
	for name, a := range map[string]*agent{"host": host, "guest": guest} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				ns, _, err := a.do(request{Op: "rounds", Args: []int{20000}, Addr: "198.51.100.5:99"})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(ns), "ns/datagram")
			}
		})
	}
}

// What the programs and the counting cost: one connection, from socket to close.
func BenchmarkConnection(b *testing.B) {
	l := newLab(b)
	host, guest := l.host(), l.guest(0x1001, true, "198.51.100.5")
	for name, a := range map[string]*agent{"host": host, "guest": guest} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				ns, _, err := a.do(request{Op: "connections", Args: []int{5000}, Addr: "198.51.100.5:99"})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(ns), "ns/connection")
			}
		})
	}
}

// One stream over localhost.
func BenchmarkStream(b *testing.B) {
	l := newLab(b)
	host, guest := l.host(), l.guest(0x1001, true, "198.51.100.5", "2001:db8::5")
	for name, a := range map[string]*agent{"host": host, "guest": guest} {
		for _, addr := range []string{"127.0.0.1:98", "[::1]:98"} {
			b.Run(name+"/"+addr, func(b *testing.B) {
				for b.Loop() {
					n, _, err := a.do(request{Op: "stream", Args: []int{1000}, Addr: addr})
					if err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(float64(n), "Mbit/s")
				}
			})
		}
	}
}
