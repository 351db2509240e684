//go:build linux

package ipbind

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	uplink4, uplink6   = "203.0.113.1", "2001:db8:1::1"
	outside4, outside6 = "203.0.113.2", "2001:db8:1::2"
)

// outside is an agent on another machine: in a network namespace of its own, one
// veth away, that knows the way to no address of the guests. The host's end of
// the veth is the device of the index given.
func (l *lab) outside() (peer *agent, device int) {
	l.t.Helper()
	peer = l.agent(&syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: unix.CLONE_NEWNET})
	pid := fmt.Sprint(peer.cmd.Process.Pid)
	for _, args := range [][]string{
		{"ip", "link", "add", "up0", "type", "veth", "peer", "name", "up1", "netns", pid},
		{"ip", "addr", "add", uplink4 + "/24", "dev", "up0"},
		{"ip", "addr", "add", uplink6 + "/64", "dev", "up0", "nodad"},
		{"ip", "link", "set", "up0", "up"},
		{"nsenter", "-t", pid, "-n", "ip", "link", "set", "lo", "up"},
		{"nsenter", "-t", pid, "-n", "ip", "addr", "add", outside4 + "/24", "dev", "up1"},
		{"nsenter", "-t", pid, "-n", "ip", "addr", "add", outside6 + "/64", "dev", "up1", "nodad"},
		{"nsenter", "-t", pid, "-n", "ip", "link", "set", "up1", "up"},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			l.t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	settle(l.t)
	dev, err := net.InterfaceByName("up0")
	if err != nil {
		l.t.Fatal(err)
	}
	return peer, dev.Index
}

// masqueraded translates what leaves by the device to the host's address on it,
// and what comes to port 8080 to the guest's addresses.
func masqueraded(t testing.TB, device int, guest4, guest6 string) {
	t.Helper()
	const pre, out, post, dst, src = 0, 3, 4, -100, 100 // hooks and priorities: linux/netfilter_ipv4.h
	for family, guest := range map[byte]string{unix.NFPROTO_IPV4: guest4, unix.NFPROTO_IPV6: guest6} {
		publish := [][]byte{append(toPort(8080), translate(netip.MustParseAddr(guest))...)}
		nat(t, family,
			natChain{post, src, [][]byte{append(leavesBy(device), masquerade()...)}},
			natChain{pre, dst, publish},
			natChain{out, dst, publish})
	}
}

// A packet has the translated source when it comes to the filter: guests with
// addresses of no meaning outside are to have the Internet all the same, and
// published ports.
func TestTranslated(t *testing.T) {
	l := newLab(t)
	if err := os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte("0 2147483647"), 0); err != nil {
		t.Fatal(err)
	}
	host := l.host()
	peer, device := l.outside()
	g := l.guest(0x1001, true, "198.51.100.5", "2001:db8::5")
	masqueraded(t, device, "198.51.100.5", "2001:db8::5")
	for _, to := range []string{outside4 + ":99", "[" + outside6 + "]:99"} {
		sees := uplink4
		if family(to) == inet6 {
			sees = uplink6
		}
		for _, bind := range []string{"", "own"} {
			for _, kind := range []int{tcp, udp} {
				t.Run(fmt.Sprintf("out/%s%s/%d", to, bind, kind), func(t *testing.T) {
					s := peer.serve(family(to), kind, to)
					defer s.close()
					c := g.socket(family(to), kind)
					defer c.close()
					if bind != "" {
						own := "0.0.0.0:0"
						if family(to) == inet6 {
							own = "[::]:0"
						}
						if err := c.bind(own); err != nil {
							t.Fatal(err)
						}
					}
					answered(t, c, s, to, sees)
				})
			}
		}
		t.Run("sendto/"+to, func(t *testing.T) {
			s := peer.serve(family(to), udp, to)
			defer s.close()
			c := g.socket(family(to), udp)
			defer c.close()
			if err := c.send(to, "", "hello"); err != nil {
				t.Fatal(err)
			}
			if got, err := s.recv(); err != nil || ip(got[6:]) != sees {
				t.Errorf("arrived %q %v, want from %s", got, err, sees)
			}
		})
	}
	for _, p := range []struct {
		family, proto  int
		bind, to, data string
	}{
		{inet4, unix.IPPROTO_ICMP, "", outside4 + ":0", "\x08\x00\x00\x00\x00\x01\x00\x01"},
		{inet4, unix.IPPROTO_ICMP, "198.51.100.5:0", outside4 + ":0", "\x08\x00\x00\x00\x00\x01\x00\x01"},
		{inet6, unix.IPPROTO_ICMPV6, "", "[" + outside6 + "]:0", "\x80\x00\x00\x00\x00\x01\x00\x01"},
		{inet6, unix.IPPROTO_ICMPV6, "[2001:db8::5]:0", "[" + outside6 + "]:0", "\x80\x00\x00\x00\x00\x01\x00\x01"},
	} {
		t.Run("ping/"+p.to+p.bind, func(t *testing.T) {
			fd, err := g.trySocket(p.family, udp, p.proto)
			if err != nil {
				t.Fatal(err)
			}
			s := sock{g, fd}
			defer s.close()
			if p.bind != "" {
				if err := s.bind(p.bind); err != nil {
					t.Fatal(err)
				}
			}
			for range 4 { // the kernel does not promise to answer each
				if err = s.send(p.to, "", p.data); err == nil {
					if _, err = s.recv(); err == nil {
						return
					}
				}
			}
			t.Error(err)
		})
	}
	// Published: by the peer outside and by the host itself.
	for _, c := range []struct {
		from *agent
		at   string
	}{{peer, uplink4 + ":8080"}, {peer, "[" + uplink6 + "]:8080"}, {host, "198.51.100.9:8080"}, {host, "[2001:db8::9]:8080"}} {
		for _, kind := range []int{tcp, udp} {
			for _, listen := range map[int][]string{inet4: {"0.0.0.0:8080", "198.51.100.5:8080"}, inet6: {"[::]:8080", "[2001:db8::5]:8080"}}[family(c.at)] {
				t.Run(fmt.Sprintf("published/%s/%s/%d", c.at, listen, kind), func(t *testing.T) {
					s := g.serve(family(c.at), kind, listen)
					defer s.close()
					k := c.from.socket(family(c.at), kind)
					defer k.close()
					answered(t, k, s, c.at, "")
				})
			}
		}
	}
}

// answered has c connect to the address, at which s answers it.
func answered(t *testing.T, c, s sock, to, sees string) {
	t.Helper()
	if err := c.connect(to); err != nil {
		t.Fatal("connect:", err)
	}
	if err := c.send("", "", "hello"); err != nil {
		t.Fatal("send:", err)
	}
	if kind, _, _ := s.do(request{Op: "kind", FD: s.fd}); kind == tcp {
		conn, from, err := s.accept()
		if err != nil {
			t.Fatal("accept:", err)
		}
		defer conn.close()
		if sees != "" && ip(from) != sees {
			t.Errorf("accepted from %s, want %s", from, sees)
		}
		s = conn
	}
	got, err := s.recv()
	if err != nil {
		t.Fatal("receive:", err)
	}
	from := ""
	if len(got) > 6 {
		from = got[6:]
	}
	if sees != "" && from != "" && ip(from) != sees {
		t.Errorf("received from %s, want %s", from, sees)
	}
	if err := s.send(from, "", "thanks"); err != nil {
		t.Fatal("answer:", err)
	}
	if got, err := c.recv(); err != nil || got[:6] != "thanks" {
		t.Errorf("answer %q: %v", got, err)
	}
}

// With translation on the host, a source that is not the guest's is still none
// that it can choose.
func TestTranslatedSpoof(t *testing.T) {
	l := newLab(t)
	host := l.host()
	_, device := l.outside()
	g := l.guest(0x1001, true, "198.51.100.5", "2001:db8::5")
	masqueraded(t, device, "198.51.100.5", "2001:db8::5")
	for to, foreign := range map[string][]string{
		"198.51.100.1:99":   {"198.51.100.1", "198.51.100.6", uplink4},
		"[2001:db8::1]:99":  {"2001:db8::1", "2001:db8::6", uplink6},
		"198.51.100.5:8080": {"198.51.100.1"},
	} {
		sink := host
		if to == "198.51.100.5:8080" {
			sink = g
		}
		s := sink.serve(family(to), udp, to)
		for _, src := range foreign {
			c := g.socket(family(to), udp)
			if err := c.send(to, src, "hello"); err != unix.EADDRNOTAVAIL {
				t.Errorf("sent to %s from %s: %v", to, src, err)
			}
			c.close()
		}
		// What connect leaves to the route: a socket that has a port and no address.
		if sink == host {
			c := g.socket(family(to), udp)
			if err := c.send(to, "", "hello"); err != nil {
				t.Fatal(err)
			}
			if got, err := s.recv(); err != nil {
				t.Fatal(got, err)
			}
			c.connect(to)
			if err := c.send("", "", "hello"); err == nil {
				if got, err := s.recv(); err == nil {
					t.Errorf("%s: a datagram from the route's source arrived: %s", to, got)
				}
			}
			// The same with connecting, disconnecting and binding beside it.
			if _, _, err := g.do(request{Op: "churn", Addr: to, Src: c.name(), Args: []int{1500}}); err != nil {
				t.Fatal(err)
			}
			for range 50000 {
				got, err := s.recv()
				if err != nil {
					break
				}
				if from := ip(got[6:]); from != "198.51.100.5" && from != "2001:db8::5" {
					t.Fatalf("%s: a datagram from %s arrived", to, from)
				}
			}
			c.close()
		}
		s.close()
	}
}
