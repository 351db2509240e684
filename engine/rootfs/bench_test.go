//go:build linux

package rootfs

import (
	"context"
	"path/filepath"
	"testing"
)

func BenchmarkHostTree(b *testing.B) {
	requireRoot(b)
	d := b.TempDir()
	for i := 0; b.Loop(); i++ {
		t := filepath.Join(d, string(rune('a'+i%26)))
		if err := makeDir(t, 0o755); err != nil {
			b.Fatal(err)
		}
		if err := hostTree(t); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := RemoveTree(t); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func BenchmarkOverlayClone(b *testing.B) {
	requireRoot(b)
	d := b.TempDir()
	tmpl := hostTemplate(b, d)
	g := filepath.Join(d, "g")
	for b.Loop() {
		if err := makeDir(g, 0o700); err != nil {
			b.Fatal(err)
		}
		if err := Clone(context.Background(), tmpl, g, Overlay, testUID); err != nil {
			b.Fatal(err)
		}
		if err := SeedFiles(g, tmpl, Overlay, testUID, Seed{Hostname: "g"}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := RemoveTree(g); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkBoot is a whole guest from open_tree to the end of /bin/true.
func BenchmarkBoot(b *testing.B) {
	requireRoot(b)
	d := b.TempDir()
	r := newGuest(b, hostTemplate(b, d), d, Overlay)
	for b.Loop() {
		inGuest(b, r, "exit 0")
	}
}
