package main

import (
	"testing"

	"vsl/engine"
	"vsl/engine/cgroup"
)

// A bound that was taken away is shown as none.
func TestLimitRowsSayNothingOfNoBound(t *testing.T) {
	minus := int64(cgroup.Unlimited)
	none := ""
	l := engine.Limits{Limits: cgroup.Limits{Memory: &minus, CPUSet: &none, IO: []cgroup.IOLimit{
		{Device: "/dev/vda", WriteBPS: minus}, {Device: "/dev/vdb", WriteBPS: minus, ReadBPS: 7}}}}
	rows := limitRows(engine.Status{Limits: &l})
	if len(rows) != 1 || rows[0].name != "io /dev/vdb" || rows[0].limit != "read_bps=7" {
		t.Errorf("rows %+v", rows)
	}
}
