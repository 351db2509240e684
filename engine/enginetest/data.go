package enginetest

import "context"

// Data gives what the guest keeps.
func (g *Guest) Data(context.Context) (data []byte, err error) {
	g.set(func() { data = []byte(g.e.Data[g.spec.Name]) })
	return data, nil
}

// SetData records data and keeps it.
func (g *Guest) SetData(ctx context.Context, data []byte) error {
	g.set(func() { g.e.Data[g.spec.Name] = string(data) })
	return g.call(ctx, "data", string(data))
}
