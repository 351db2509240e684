package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"vsl/engine/store"
)

// maxData bounds what flows keep of one guest.
const maxData = 1 << 20

// Data gives what flows keep of the guest between commands.
func (g *guest) Data(context.Context) ([]byte, error) {
	file := g.e.paths.Data(g.spec.Name)
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = decodeData(data)
	}
	if err != nil {
		return nil, damaged(g.spec.Name, "data", file, err, "put it back from a backup, or move it away: its flows then begin without any")
	}
	return data, nil
}

// decodeData finds what is no table that flows kept. Its keys are theirs, so that none
// is a version.
func decodeData(data []byte) error {
	var table map[string]json.RawMessage
	if err := json.Unmarshal(data, &table); err != nil {
		return fmt.Errorf("%w: %w", store.ErrDamaged, err)
	}
	return nil
}

// SetData replaces it. It lies in the guest's folder, which no guest can reach,
// and goes with it.
func (g *guest) SetData(_ context.Context, data []byte) error {
	if len(data) > maxData {
		return &OpError{Op: "keep data of guest", Target: g.spec.Name, Err: fmt.Errorf("%d bytes are more than %d", len(data), maxData),
			Hint: "larger things belong into files of the guest"}
	}
	if _, err := os.Stat(g.e.paths.Guest(g.spec.Name)); err != nil {
		return unknownGuest(g.spec.Name, g.e.names())
	}
	if err := store.WriteFile(g.e.paths.Data(g.spec.Name), append(data, '\n')); err != nil {
		return err
	}
	return store.Sync(g.e.paths.Guest(g.spec.Name))
}
