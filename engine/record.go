package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"vsl/engine/store"
)

// record is guest.json: what the kernel cannot know about a guest.
type record struct {
	Version     int       `json:"version"`
	Name        string    `json:"name"`
	XID         int       `json:"xid"`
	Spec        *Spec     `json:"spec"`
	TemplateKey string    `json:"template_key,omitempty"` // which build of its template it is cloned from
	Clone       string    `json:"clone,omitempty"`        // overlay, reflink or copy; "" before cow_clone
	MachineID   string    `json:"machine_id"`
	Created     time.Time `json:"created"`
	Provisioned bool      `json:"provisioned"`
	Provisions  string    `json:"provision_tree,omitempty"` // Declared.Provisions when it was; "" is from before vsl noted it so
	Recipe      Origin    `json:"recipe,omitzero"`
	Spare       bool      `json:"spare,omitempty"` // its pool has become smaller, and so it was brought down
	Failed      *Failure  `json:"failed,omitempty"`
	// SecretMACs tell by the name of a secret whether its text is still the one
	// that the guest was booted with; see secretMAC.
	SecretMACs map[string]string `json:"secret_macs,omitempty"`
}

// Origin says which recipe a guest came from. The recipe as it was is kept in
// the guest's folder, so that its shutdown flow is the one it was booted with.
type Origin struct {
	Path      string            `json:"path,omitempty"` // of the recipe, or the name of an embedded one
	File      string            `json:"file,omitempty"` // its file name below the guest's recipe folder
	Params    map[string]string `json:"params,omitempty"`
	AllowHost bool              `json:"allow_host,omitempty"`
	Digest    string            `json:"digest,omitempty"` // of the text of all its files; "" is not known
	// Owners are the users, root aside, to whom the recipe or its folder belonged when it
	// was named on a command line: that they can change it was known then.
	Owners []int `json:"owners,omitempty"`
	// Latest are the parameters of the last up that left the guest running, where
	// they are others than those of its boot: what a restart takes.
	Latest map[string]string `json:"latest,omitzero"`
}

// Again is the origin for reading the recipe anew, as for a restart.
func (o Origin) Again() Origin {
	if o.Latest != nil {
		o.Params, o.Latest = o.Latest, nil
	}
	return o
}

// The versions of the files that this vsl writes. It reads older ones and refuses
// newer ones; testdata/state has what each wrote.
const (
	recordVersion  = 1
	runVersion     = 1 // 0 is from before vsl noted whose hint it is
	journalVersion = 1 // 0 is likewise one without its first line
)

// readRecord is nil without an error where there is no such guest. A record that
// cannot be understood is a Damage.
func (e *Engine) readRecord(name string) (*record, error) {
	var r record
	file := e.paths.Record(name)
	err := store.ReadJSON(file, recordVersion, &r)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, e.withoutRecord(name)
	}
	if err == nil {
		err = r.check(name)
	}
	if err == nil {
		return &r, nil
	}
	if errors.Is(err, store.ErrDamaged) && e.begun(name) {
		return nil, nil // a power cut in the run that was to make the guest
	}
	return nil, damaged(name, "record", file, err, recordRemedy(name))
}

func (e *Engine) writeRecord(r *record) error {
	return store.WriteJSON(e.paths.Record(r.Name), r)
}

// runState is run/<name>.json: a hint about the running context. Each field is
// checked against the kernel before it is believed, and one that was lost is made up
// from what the kernel says.
type runState struct {
	Version   int         `json:"version"`
	Guest     string      `json:"guest"`
	Root      string      `json:"root"`    // state root: what was copied with another one is void
	Boot      string      `json:"boot_id"` // of the host: what another boot wrote is void
	PID       int         `json:"pid"`
	StartTime uint64      `json:"start_time"` // clock ticks after the host's boot, /proc/PID/stat field 22
	Since     time.Time   `json:"since,omitzero"`
	Init      string      `json:"init,omitempty"`
	Ready     bool        `json:"ready"`
	Addrs     []ownedAddr `json:"addrs,omitempty"` // put on a device by vsl for this guest
	Net       *Net        `json:"net,omitempty"`   // what bind_ip confined the context to
	OwnNet    bool        `json:"own_net"`         // the context has a network namespace of its own
}

// ownedAddr is an address that vsl put on a device.
type ownedAddr struct {
	Dev    string `json:"dev"`
	Prefix string `json:"prefix"`
}

func (e *Engine) readRun(name string) (runState, error) {
	var r runState
	file := e.paths.RunFile(name)
	err := store.ReadJSON(file, runVersion, &r)
	switch {
	case errors.Is(err, store.ErrNewer):
		return runState{}, damaged(name, "hint", file, err, "")
	case err == nil && r.Boot == bootID() && e.ownHint(name, r):
		return r, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		e.log.Warn().Str("guest", name).Err(err).Msg("its hint is lost: going by what the kernel says")
	}
	return e.foundRun(name), nil
}

// ownHint tells whether a hint of this boot is this guest's.
func (e *Engine) ownHint(name string, r runState) bool {
	if r.Version > 0 {
		// Of a root that was moved while the guest ran it still tells what runs; of a
		// copy, the one that it was copied from has it.
		if r.Root != e.paths.Root {
			_, err := os.Lstat(filepath.Join(r.Root, "guests", name))
			return r.Guest == name && errors.Is(err, fs.ErrNotExist)
		}
		return r.Guest == name
	}
	return r.PID == 0 || (&guest{e: e, spec: &Spec{Name: name}}).member(r.PID)
}

// foundRun is what the kernel says about a guest whose hint was lost.
func (e *Engine) foundRun(name string) runState {
	grp, err := e.group(name)
	if err != nil {
		return runState{}
	}
	pid := findInit(grp)
	if pid == 0 {
		return runState{}
	}
	own, _ := os.Readlink("/proc/self/ns/net")
	net, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
	return runState{PID: pid, StartTime: startTime(pid), OwnNet: net != own, Ready: true}
}

func (e *Engine) writeRun(name string, r runState) error {
	r.Version, r.Guest, r.Root, r.Boot = runVersion, name, e.paths.Root, bootID()
	return store.WriteHint(e.paths.RunFile(name), r)
}

// bootID tells this boot of the host from others (random(4)).
var bootID = sync.OnceValue(func() string {
	data, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(data))
})
