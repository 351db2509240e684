package spawn

import (
	"encoding/binary"
	"os"

	"vsl/engine/internal/sys"
)

const syncPTY = "pty"

// PTY is a terminal that was made inside a guest. What is read from Master is
// the guest's, like any other output.
type PTY struct{ Master *os.File }

// Resize sets the terminal's size in characters; its foreground process group
// gets SIGWINCH.
func (t *PTY) Resize(rows, cols uint16) error {
	return sys.Op("resize", "terminal", sys.SetWinsize(int(t.Master.Fd()), rows, cols))
}

// Close hangs the terminal up.
func (t *PTY) Close() error { return t.Master.Close() }

// OpenPTY makes a pseudo terminal on the devpts that is mounted where the child
// is, makes it the controlling terminal of a new session and the child's 0, 1
// and 2, and gives its master to the parent, which must have asked for it by
// Attr.OnPTY. owner, if given, becomes the terminal's owner inside the guest.
func (p *Program) OpenPTY(owner ...uint32) {
	master := p.newPTY()
	slave := p.Add("open pty", sys.NrIoctl, master.Result(), Word(sys.TIOCGPTPEER), Word(sys.O_RDWR|sys.O_NOCTTY|sys.O_CLOEXEC))
	if len(owner) > 0 {
		p.Add("chown pty", sys.NrFchown, slave.Result(), Word(uintptr(owner[0])), Word(^uintptr(0)))
	}
	p.SetSid()
	p.Add("take pty", sys.NrIoctl, slave.Result(), Word(sys.TIOCSCTTY), Word(0))
	for fd := range 3 {
		p.Add("dup3", sys.NrDup3, slave.Result(), Int(fd), Word(0))
	}
	p.syncValue(syncPTY, master.Result())
}

// GivePTY makes a pseudo terminal like OpenPTY, but the child only hands its
// master over. On a fresh devpts the other side is /dev/pts/0. When the master
// is closed that name goes away.
func (p *Program) GivePTY() {
	p.syncValue(syncPTY, p.newPTY().Result())
}

func (p *Program) newPTY() *Step {
	// /dev/pts/ptmx and not /dev/ptmx: always the device of this very devpts
	master := p.Open("/dev/pts/ptmx", sys.O_RDWR|sys.O_NOCTTY|sys.O_NONBLOCK, 0)
	zero := binary.NativeEndian.AppendUint32(nil, 0)
	p.Add("unlock pty", sys.NrIoctl, master.Result(), Word(sys.TIOCSPTLCK), Data(zero))
	return master
}

// OnPTY makes Start hand over the master of a Program's OpenPTY before the
// child goes on to its exec.
func (a *Attr) OnPTY(f func(*PTY)) {
	if a.values == nil {
		a.values = map[string]func(int, uint64) error{}
	}
	a.values[syncPTY] = func(pidfd int, fd uint64) error {
		master, err := sys.PidfdGetFD(pidfd, int(fd))
		if err != nil {
			return sys.Op("take", "the terminal", err)
		}
		// the guest chose what is mounted there: believe the kernel only
		ok, err := sys.IsPTYMaster(master)
		if err != nil || !ok {
			sys.CloseFD(master)
			if err == nil {
				err = sys.ENOTTY
			}
			return sys.Op("take", "the terminal", err)
		}
		f(&PTY{Master: os.NewFile(uintptr(master), "pty")})
		return nil
	}
}
