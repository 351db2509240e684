package engine

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"vsl/engine/internal/sys"
	"vsl/engine/rootfs"
)

// A secret's text goes from where it is into the memory of the boot and from
// there into the guest's /run/secrets. What is kept of it is a MAC.

// secretMax bounds one secret, secretsMax their number.
const (
	secretMax  = 64 << 10
	secretsMax = 64
)

// read gives the secret's text.
func (s Secret) read() ([]byte, error) {
	if s.Env != "" {
		text, ok := os.LookupEnv(s.Env)
		if !ok || text == "" {
			return nil, &OpError{Op: "read secret", Target: s.String(), Err: errors.New("the variable is not set"), Hint: "set it where vsl runs"}
		}
		if len(text) > secretMax {
			return nil, s.tooLong()
		}
		return []byte(text), nil
	}
	f, _, err := sys.OpenPlain(s.File, 0, 0)
	if err != nil {
		return nil, &OpError{Op: "read secret", Target: s.String(), Err: pathCause(err)}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, secretMax+1))
	if err == nil && len(data) == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, &OpError{Op: "read secret", Target: s.String(), Err: pathCause(err)}
	}
	if len(data) > secretMax {
		return nil, s.tooLong()
	}
	return data, nil
}

func (s Secret) tooLong() error {
	return &OpError{Op: "read secret", Target: s.String(), Err: fmt.Errorf("it has more than %d bytes", secretMax)}
}

func pathCause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func secretSteps(s *Spec) []Step {
	if len(s.Secrets) == 0 {
		return nil
	}
	return []Step{{Op: OpSecrets, Guest: s.Name, Target: strings.Join(sortedKeys(s.Secrets), ", ") + " for " + rootfs.SecretsPath}}
}

// takeSecrets reads the secrets for the boot that comes next.
func (g *guest) takeSecrets() error {
	if g.running() {
		return nil
	}
	key, err := g.e.secretKey(true)
	if err != nil {
		return err
	}
	macs := map[string]string{}
	g.secrets = nil
	for _, name := range sortedKeys(g.spec.Secrets) {
		s := g.spec.Secrets[name]
		text, err := s.read()
		if err != nil {
			return err
		}
		redactSecret(name, text)
		mode := uint32(s.Mode.Perm())
		if mode == 0 {
			mode = 0o400
		}
		g.secrets = append(g.secrets, rootfs.File{Name: name, Data: text, Owner: s.Owner, Mode: mode})
		macs[name] = secretMAC(key, g.spec.Name, name, text)
	}
	if !equalJSON(macs, g.rec.SecretMACs) {
		g.update(func(r *record) { r.SecretMACs = macs })
	}
	return nil
}

// secretMAC tells one text of a guest's secret from another to who has the key, which
// its beginning names. Equal secrets of two guests have different ones.
func secretMAC(key []byte, guest, name string, text []byte) string {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "%q %q ", guest, name)
	h.Write(text)
	return keyName(key) + hex.EncodeToString(h.Sum(nil))
}

func keyName(key []byte) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:4]) + ":"
}

// sameSecret tells whether a text is the one that a MAC was made of. By another key
// than the one there is now, as that was lost, nobody can tell, and it counts as the same.
func sameSecret(key []byte, guest, name string, text []byte, mac string) bool {
	now := secretMAC(key, guest, name, text)
	id, _, named := strings.Cut(mac, ":")
	if !named { // of before a MAC named its key
		_, now, _ = strings.Cut(now, ":")
		return hmac.Equal([]byte(now), []byte(mac))
	}
	return id+":" != keyName(key) || hmac.Equal([]byte(now), []byte(mac))
}

// secretKey is this root's key for MACs; nil without an error where there is
// none and none is to be made. One that is damaged is as good as none: it is put
// aside for another.
func (e *Engine) secretKey(create bool) ([]byte, error) {
	path := e.paths.SecretKey()
	key, err := os.ReadFile(path)
	if err == nil && len(key) == sha256.Size {
		return key, nil
	}
	if err == nil && create {
		e.log.Warn().Str("file", path).Msg("the key of secrets is damaged: it is put aside as " + filepath.Base(path) + ".damaged, and until the guests are restarted a changed secret is not seen")
		if err = os.Rename(path, path+".damaged"); err == nil {
			err = fs.ErrNotExist
		}
	} else if err == nil {
		return nil, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, &OpError{Op: "read key of secrets", Target: path, Err: pathCause(err)}
	}
	if !create {
		return nil, nil
	}
	key = make([]byte, sha256.Size)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), fmt.Sprintf(".tmp-key-*-%d", os.Getpid()))
	if err != nil {
		return nil, &OpError{Op: "make key of secrets", Target: path, Err: pathCause(err)}
	}
	defer os.Remove(f.Name())
	_, err = f.Write(key)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, &OpError{Op: "make key of secrets", Target: path, Err: pathCause(err)}
	}
	// A link replaces nothing: of two that make a key at once, the first wins.
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, &OpError{Op: "make key of secrets", Target: path, Err: err}
	}
	return e.secretKey(false)
}

// secretDiff names the secrets that are not as they were when a running guest
// was booted. One that cannot be read now is taken to be as it was.
func (g *guest) secretDiff() []string {
	was, now := g.rec.Spec.Secrets, g.spec.Secrets
	if len(was) == 0 && len(now) == 0 {
		return nil
	}
	key, err := g.e.secretKey(false)
	if err != nil {
		key = nil
	}
	var out []string
	diff := func(name, what string) {
		out = append(out, fmt.Sprintf("secret %s %s: takes effect at vsl restart", name, what))
	}
	for _, name := range sortedKeys(now) {
		old, had := was[name]
		s := now[name]
		if !had {
			diff(name, "added")
			continue
		}
		if old.Owner != s.Owner || old.Mode != s.Mode {
			diff(name, "has another owner or mode")
			continue
		}
		text, err := s.read()
		if err == nil && key != nil && !sameSecret(key, g.spec.Name, name, text, g.rec.SecretMACs[name]) {
			diff(name, "changed")
		}
	}
	for _, name := range sortedKeys(was) {
		if _, has := now[name]; !has {
			diff(name, "removed")
		}
	}
	return out
}

// SecretsAtHand finds secrets that cannot be read now: to be asked before a
// guest is brought down that is to come up again.
func (e *Engine) SecretsAtHand(decls []Declared) error {
	v := &validator{}
	for _, d := range decls {
		e.secretsAtHand(v, d.Spec)
	}
	return v.err()
}

func (e *Engine) secretsAtHand(v *validator, s *Spec) {
	if len(s.Secrets) > secretsMax {
		v.fail(s, "secrets", "", "it has %d secrets, more than %d", len(s.Secrets), secretsMax)
	}
	for _, name := range sortedKeys(s.Secrets) {
		secret := s.Secrets[name]
		if _, err := secret.read(); err != nil {
			v.wrap(s, "secrets."+name, err)
			continue
		}
		if info, err := os.Stat(secret.File); err == nil && info.Mode().Perm()&0o004 != 0 {
			e.log.Warn().Msgf("secret %s of %s: everybody on this host can read %s", name, s.Name, secret.File)
		}
	}
}
