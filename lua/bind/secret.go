package bind

import (
	"fmt"
	"io/fs"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
)

// SecretSchema is an entry of a guest's secrets, where it says more than where
// the secret is.
var SecretSchema = &Schema{Name: "secret", Doc: "A file in the guest's /run/secrets, whose text no plan, record or message holds.", Keys: []Key{
	{Name: "from", Type: secretType, Required: true, Doc: "where the text is: secret.file, secret.env or param.secret"},
	{Name: "owner", Type: Int, Default: "0", Doc: "uid in the guest that it belongs to", Check: inRange(0, 65535)},
	{Name: "mode", Type: mode, Default: `"0400"`, Doc: "its permissions; nothing in the guest can write it", Check: checkSecretMode},
}}

func checkSecretMode(v any) error {
	if m := v.(fs.FileMode); m == 0 || m&^0o444 != 0 {
		return fmt.Errorf(`%04o allows more than to read it; "0400", "0440" or "0444" do not`, m.Perm())
	}
	return nil
}

var secretType = &Type{Name: "secret", Want: "secret.file, secret.env or param.secret", Conv: func(_ *Decoder, _ Place, v lua.LValue) (any, error) {
	if ud, ok := v.(*lua.LUserData); ok {
		if s, ok := ud.Value.(*engine.Secret); ok {
			return s, nil
		}
	}
	if _, ok := v.(lua.LString); ok { // not to be repeated: it may be a password
		return nil, &Error{Msg: "must be secret.file, secret.env or param.secret, not a string", Hint: `write secret.file("path") or param.secret("name")`}
	}
	return nil, want("secret.file, secret.env or param.secret", v)
}}

var secretNameRE = LazyRE(`^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,62}$`)

// secretsType is the table of a guest's secrets by their file names.
var secretsType = &Type{Name: "table of secrets", Want: `secrets, such as { password = secret.file("password") }`, Sub: SecretSchema, Form: ByName, Conv: convSecrets}

func convSecrets(d *Decoder, at Place, v lua.LValue) (any, error) {
	t, ok := v.(*lua.LTable)
	if !ok {
		return nil, &Error{Msg: "must be a table of secrets", Hint: `write { password = secret.file("password") }`}
	}
	out := map[string]engine.Secret{}
	wrong := func(here Place, k lua.LValue) {
		d.Failf(here, `write { password = secret.file("password") }`, "%s is not a file name for a secret", k)
	}
	d.eachNamed(t, at, secretNameRE().MatchString, wrong, func(here Place, name string, e lua.LValue) {
		d.note(here, here.Key)
		if table, ok := e.(*lua.LTable); ok {
			if s, ok := d.secretEntry(here, table); ok {
				out[name] = s
			}
			return
		}
		if s, ok := d.conv(secretType, here, e); ok {
			out[name] = *s.(*engine.Secret)
		}
	})
	return out, nil
}

func (d *Decoder) secretEntry(at Place, t *lua.LTable) (engine.Secret, bool) {
	v := d.Table(SecretSchema, at, t)
	from := Get[*engine.Secret](v, "from")
	if from == nil {
		return engine.Secret{}, false
	}
	s := *from
	s.Owner, s.Mode = int(Get[int64](v, "owner")), Get[fs.FileMode](v, "mode")
	return s, true
}
