package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// state is one vsl state root with one recipe.
type state struct {
	b      *bench
	root   string
	recipe string
}

// state makes a state root whose recipe has the given text.
func (b *bench) state(name, recipe string) (*state, error) {
	root := filepath.Join(b.dir, "vsl-"+name)
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, err
	}
	file := filepath.Join(b.dir, name+".lua")
	return &state{b: b, root: root, recipe: file}, os.WriteFile(file, []byte(recipe), 0o644)
}

func (s *state) up() (time.Duration, error) {
	return s.b.timed(s.b.vsl, "--root", s.root, "up", s.recipe)
}

func (s *state) down() (time.Duration, error) {
	return s.b.timed(s.b.vsl, "--root", s.root, "down", "--all")
}

// upDown measures one up and one down; the template and the clone are there
// already, as the peers' trees are.
func (s *state) upDown() ([]time.Duration, error) {
	up, err := s.up()
	if err != nil {
		return nil, err
	}
	down, err := s.down()
	return []time.Duration{up, down, up + down}, err
}

// trivialTar packs the trivial tree, once, for templates.
func (b *bench) trivialTar() (string, error) {
	file := filepath.Join(b.dir, "triv.tar")
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	_, err := b.sh("tar", "--numeric-owner", "-C", b.triv, "-cf", file, ".")
	return file, err
}

// trivialRecipe declares n guests that only sleep.
func (b *bench) trivialRecipe(n int) (string, error) {
	tar, err := b.trivialTar()
	return fmt.Sprintf(`local tree = template "triv" { from = tar { path = %q } }
for i = 1, %d do
  guest("bench" .. i) { template = tree, command = { "/bin/sleep", "100000" }, stop = { signal = "KILL" } }
end
`, tar, n), err
}

func (b *bench) vslTrivial() *contender {
	var s *state
	return &contender{
		name: "vsl up",
		note: "user namespace, overlay, seccomp and a network namespace included",
		setup: func() error {
			recipe, err := b.trivialRecipe(1)
			if err != nil {
				return err
			}
			s, err = b.state("one", recipe)
			return err
		},
		round: func() ([]time.Duration, error) { return s.upDown() },
	}
}
