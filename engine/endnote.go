package engine

import (
	"fmt"
	"os"
	"time"

	"vsl/engine/cgroup"
	"vsl/engine/store"
)

// Ended is how a guest's last run ended, as far as anything tells. No process of
// vsl waits for a guest, and the kernel gives the exit status of a pid 1 to the
// parent that it had in the end: where it ended by itself, that is not known.
type Ended struct {
	How      EndedHow  `json:"how"`
	Signal   string    `json:"signal,omitempty"`    // the last that vsl sent it, of EndedSignal
	OOMKills int64     `json:"oom_kills,omitempty"` // of its processes, which the kernel killed for want of memory
	At       time.Time `json:"at,omitzero"`         // unknown of what ended by itself
}

// EndedHow is the kind of an end.
type EndedHow string

const (
	EndedShutDown EndedHow = "shut down" // vsl asked it to
	EndedKilled   EndedHow = "killed"    // by vsl, after what it was asked or without
	EndedSignal   EndedHow = "signal"    // by itself, after vsl had sent it one
	EndedItself   EndedHow = "itself"    // it ended, halted or rebooted, or somebody else killed it

	signalled EndedHow = "signalled" // it may go on running
)

func (d Ended) String() string {
	s := map[EndedHow]string{
		EndedShutDown: "shut down by vsl", EndedKilled: "killed by vsl",
		EndedSignal: "after vsl sent it SIG" + d.Signal, EndedItself: "by itself; its status is not known",
	}[d.How]
	if d.OOMKills > 0 {
		s += fmt.Sprintf(", out of memory: the kernel had killed %d of its processes", d.OOMKills)
	}
	if !d.At.IsZero() {
		s += ", " + d.At.Local().Format("2006-01-02 15:04:05")
	}
	return s
}

// oomKills are the processes of a context that were killed for want of memory;
// the group outlives them, and counts on v1 as on v2.
func oomKills(grp *cgroup.Group) int64 {
	u, err := grp.Usage()
	if err != nil {
		return 0
	}
	return max(0, u.Hits.OOMKills)
}

// noteEnd keeps how a run ended beside the guest. It is best effort: a full disk
// keeps nobody from ending.
func (e *Engine) noteEnd(name string, d Ended) {
	if _, err := os.Lstat(e.paths.Record(name)); err != nil {
		return
	}
	if err := store.WriteHint(e.paths.Ended(name), d); err != nil {
		e.log.Debug().Str("guest", name).Err(err).Msg("how it ended is not kept")
	}
}

// endOf is how a guest that does not run ended: what is kept of it, or what its
// context still tells, when nobody has looked at it since. nil is not known.
func (e *Engine) endOf(name string, r runState) *Ended {
	var kept Ended
	if err := store.ReadJSON(e.paths.Ended(name), 0, &kept); err != nil {
		kept = Ended{}
	}
	if r.PID == 0 {
		if kept.How == "" || kept.How == signalled { // of a run that the host did not outlive nothing is known
			return nil
		}
		return &kept
	}
	d := &Ended{How: EndedItself}
	if kept.How == signalled && kept.At.After(r.Since) {
		d.How, d.Signal, d.At = EndedSignal, kept.Signal, kept.At
	}
	if grp, err := e.group(name); err == nil {
		d.OOMKills = oomKills(grp)
	}
	return d
}
