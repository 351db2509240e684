package guest

import (
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// twoServers declares two guests that listen on the same wildcard port, on
// addresses that vsl has to put on the test's device.
const twoServers = `for i = 1, 2 do
  guest("s" .. i) {
    template = box, ip = { "198.51.100.1" .. i, "2001:db8::1" .. i },
    command = { "/agent", "serve", "s" .. i, "0.0.0.0:80", "[::]:80" },
    ready = probe.tcp { port = 80, within = "10m" },
  }
end`

// say connects from the host and gives what the server says.
func say(addr string) (string, error) {
	c, err := net.DialTimeout("tcp", addr, slow(2*time.Second))
	if err != nil {
		return "", err
	}
	defer c.Close()
	data, err := io.ReadAll(c)
	return string(data), err
}

func TestGuestsShareAPortOnTheirOwnAddresses(t *testing.T) {
	r := newRoot(t)
	r.up(twoServers)
	for i := 1; i <= 2; i++ {
		name, v4, v6 := fmt.Sprintf("s%d", i), fmt.Sprintf("198.51.100.1%d", i), fmt.Sprintf("2001:db8::1%d", i)
		for _, addr := range []string{v4, "[" + v6 + "]"} {
			got, err := say(addr + ":80")
			if err != nil || !strings.HasPrefix(got, name+" local="+addr+":80 ") {
				t.Errorf("%s: %q, %v", addr, got, err)
			}
		}
		for addr, from := range map[string]string{"127.0.0.1:80": "127.0.0.1", "[::1]:80": "::1", v4 + ":80": v4} {
			got := r.out(name, agentName, "dial", addr)
			if !strings.HasPrefix(got, "me="+from+" to="+addr+" "+name+" local="+addr) || !strings.Contains(got, " peer="+strings.TrimSuffix(addr, ":80")+":") {
				t.Errorf("%s to itself at %s: %s", name, addr, got)
			}
		}
		other := fmt.Sprintf("198.51.100.1%d", 3-i)
		if got := r.out(name, agentName, "dial", other+":80"); !strings.HasPrefix(got, "me="+v4+" ") || !strings.Contains(got, "peer="+v4+":") {
			t.Errorf("%s to the other guest: %s", name, got)
		}
	}
	for _, addr := range []string{"127.0.0.1:80", "[::1]:80", "198.51.100.1:80"} {
		if got, err := say(addr); err == nil {
			t.Errorf("the host's %s answers: %s", addr, got)
		}
	}
	r.must("down", "--all")
	r.clean()
}

// A guest that is confined and has no address is asked on its private loopback, where
// only the host's root is let in from outside.
func TestProbeOfAGuestWithoutAddresses(t *testing.T) {
	r := newRoot(t)
	r.up(`guest "bare" {
  template = box, net = "bind", command = { "/agent", "serve", "bare", "127.0.0.1:80" },
  ready = probe.tcp { port = 80, within = "20s" },
}`)
	r.must("down", "bare")
	r.clean()
}

func TestGuestCannotTakeForeignAddresses(t *testing.T) {
	r := newRoot(t)
	r.up(twoServers)
	for addr, want := range map[string]string{
		"198.51.100.11:81":  "",
		"0.0.0.0:81":        "",
		"[::]:81":           "",
		"127.0.0.1:81":      "",
		"198.51.100.12:81":  "cannot assign requested address",
		"198.51.100.1:81":   "cannot assign requested address",
		"[2001:db8::1]:81":  "cannot assign requested address",
		"[2001:db8::12]:81": "cannot assign requested address",
		"127.0.0.2:81":      "", // all of 127/8 is its own loopback
		"8.8.8.8:81":        "cannot assign requested address",
	} {
		res := r.exec("s1", agentName, "bind", addr)
		if (want == "") != (res.Code == 0) || !strings.Contains(string(res.Stderr), want) {
			t.Errorf("bind %s: exit %d, %s%s", addr, res.Code, res.Stdout, res.Stderr)
		}
	}
	if out := r.sh("s1", "ip address add 198.51.100.99/24 dev "+device+" 2>&1 || true; ip link set lo down 2>&1 || true"); !strings.Contains(out, "not permitted") {
		t.Errorf("changing the network: %s", out)
	}
}

// The host's loopback and that of other guests are out of reach, by TCP and UDP.
func TestLoopbackIsPrivate(t *testing.T) {
	r := newRoot(t)
	l, err := net.Listen("tcp", "127.0.0.1:7001")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r.up(twoServers)
	r.background("s1", agentName, "udp", "serve", "127.0.0.1:53")
	xid := r.status("s2").XID
	for _, addr := range []string{"127.0.0.1:7001", "0.0.0.0:7001", fmt.Sprintf("127.%d.%d.1:80", xid>>8, xid&255)} {
		if res := r.exec("s1", agentName, "dial", addr); res.Code == 0 {
			t.Errorf("s1 reaches %s: %s", addr, res.Stdout)
		}
	}
	eventually(t, slow(5*time.Second), "UDP on its own loopback", func() bool {
		return string(r.exec("s1", agentName, "udp", "127.0.0.1:53").Stdout) == "seen=127.0.0.1 from=127.0.0.1"
	})
	if res := r.exec("s2", agentName, "udp", "127.0.0.1:53"); res.Code == 0 {
		t.Errorf("s2 reaches s1's 127.0.0.1: %s", res.Stdout)
	}
	pc, err := net.ListenPacket("udp", "198.51.100.1:5353")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	go func() {
		buf := make([]byte, 64)
		if _, from, err := pc.ReadFrom(buf); err == nil {
			pc.WriteTo([]byte(host(from)), from)
		}
	}()
	expect(t, "unconnected UDP leaves from its address", r.out("s1", agentName, "udp", "198.51.100.1:5353"), "seen=198.51.100.11 from=198.51.100.1")
}

func TestAbstractSocketsAreOutOfReach(t *testing.T) {
	r := newRoot(t)
	l, err := net.Listen("unix", "@vsl-test-host")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r.up(`for i = 1, 2 do
  guest("s" .. i) { template = box, ip = "127.77.6.2" .. i, command = { "/agent", "abstract", "serve", "vsl-test-s" .. i }, ready = probe.log "own child: <nil>" }
end`)
	for name, target := range map[string]string{"s1": "vsl-test-host", "s2": "vsl-test-s1"} {
		if res := r.exec(name, agentName, "abstract", "dial", target); res.Code == 0 {
			t.Errorf("%s reaches @%s", name, target)
		}
	}
	if c, err := net.Dial("unix", "@vsl-test-s1"); err != nil {
		t.Errorf("the host does not reach a guest's: %v", err)
	} else {
		c.Close()
	}
}

// What was on a device before stays there, what vsl put there goes.
func TestAddressesGoOnlyIfVslPutThemThere(t *testing.T) {
	r := newRoot(t)
	if out, err := exec.Command("ip", "address", "add", "198.51.100.40/24", "dev", device).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	defer exec.Command("ip", "address", "del", "198.51.100.40/24", "dev", device).Run()
	r.up(`guest "a" { template = box, command = { "sleep", "infinity" }, ip = { "198.51.100.40", "198.51.100.41", "127.77.9.9" } }`)
	has := func(ip string) bool { return strings.Contains(strings.Join(addrLines(t), " ")+"/", " "+ip+"/") }
	expect(t, "198.51.100.41 is there", has("198.51.100.41"), true)
	r.must("down", "a")
	expect(t, "198.51.100.40 is there", has("198.51.100.40"), true)
	expect(t, "198.51.100.41 is there", has("198.51.100.41"), false)
	res := r.vsl("up", r.recipe(`guest "b" { template = box, command = { "sleep", "infinity" }, ip = "203.0.113.5" }`))
	if res.code != 2 && res.code != 1 || !strings.Contains(res.err, "203.0.113.5") || !strings.Contains(res.err, device) {
		t.Errorf("an address outside of any device: exit %d: %s", res.code, res.err)
	}
	r.fails(5, nil, "status", "b")
	expect(t, "exit of ip address del", exec.Command("ip", "address", "del", "198.51.100.40/24", "dev", device).Run(), nil)
}

// What a guest that ended by itself left on a device goes with the next command
// that acts and meets it, also with one that wants the address for another guest:
// from then on it is that one's, whatever becomes of the first.
func TestAddressesOfEndedGuests(t *testing.T) {
	r := newRoot(t)
	has := func() bool {
		return strings.Contains(strings.Join(addrLines(t), " ")+"/", " 198.51.100.42/")
	}
	ended := func() {
		t.Helper()
		r.up(`guest "a" { template = box, command = { "sleep", "infinity" }, ip = "198.51.100.42" }`)
		r.vsl("exec", "a", "kill", "-TERM", "1")
		for end := time.Now().Add(slow(5 * time.Second)); r.vsl("status", "a").code != 3; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the guest does not end")
			}
		}
		r.must("ls")
		expect(t, "its address is there after ls", has(), true)
	}
	for _, act := range [][]string{{"down", "a"}, {"gc"}, {"rm", "a"}} {
		ended()
		r.must(act...)
		expect(t, "its address is there after "+act[0], has(), false)
	}
	ended()
	r.up(`guest "b" { template = box, command = { "sleep", "infinity" }, ip = "198.51.100.42" }`)
	r.must("gc")
	r.must("rm", "a")
	expect(t, "the address is there for the other guest", has(), true)
	r.must("rm", "-f", "b")
	expect(t, "the address is there after all", has(), false)
	r.clean()
}

func TestNetNoneHasOnlyLoopback(t *testing.T) {
	r := newRoot(t)
	r.up(`guest "n" { template = box, net = "none", command = { "/agent", "serve", "n", "0.0.0.0:80" } }
guest "m" { template = box, net = "none", command = { "/agent", "serve", "m", "0.0.0.0:80" } }`)
	for _, name := range []string{"n", "m"} {
		eventually(t, slow(5*time.Second), "it listens", func() bool { return r.exec(name, agentName, "dial", "127.0.0.1:80").Code == 0 })
		if got := r.out(name, agentName, "dial", "127.0.0.1:80"); !strings.Contains(got, " "+name+" local=127.0.0.1:80") {
			t.Errorf("%s: %s", name, got)
		}
		if res := r.exec(name, agentName, "dial", "198.51.100.1:80"); res.Code == 0 {
			t.Errorf("%s reaches the host: %s", name, res.Stdout)
		}
		expect(t, "its devices", r.sh(name, "ls /sys/class/net"), "lo")
	}
}
