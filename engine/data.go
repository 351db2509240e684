package engine

import (
	"context"
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
	data, err := os.ReadFile(g.e.paths.Data(g.spec.Name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
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
	return store.WriteFile(g.e.paths.Data(g.spec.Name), append(data, '\n'))
}
