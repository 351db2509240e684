package engine

import (
	"errors"
	"io/fs"
	"os"
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
	Provisions  string    `json:"provisions,omitempty"` // Declared.Provisions when it was; "" is from before vsl noted it
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

const recordVersion = 1

// readRecord is nil without an error where the guest has none.
func (e *Engine) readRecord(name string) (*record, error) {
	var r record
	err := store.ReadJSON(e.paths.Record(name), &r)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &r, nil
}

func (e *Engine) writeRecord(r *record) error {
	return store.WriteJSON(e.paths.Record(r.Name), r)
}

// runState is run/<name>.json: a hint about the running context. Each field is
// checked against the kernel before it is believed.
type runState struct {
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
	err := store.ReadJSON(e.paths.RunFile(name), &r)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if r.Boot != bootID() {
		return runState{}, err
	}
	return r, err
}

func (e *Engine) writeRun(name string, r runState) error {
	r.Boot = bootID()
	return store.WriteJSON(e.paths.RunFile(name), r)
}

// bootID tells this boot of the host from others (random(4)).
var bootID = sync.OnceValue(func() string {
	data, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(data))
})
