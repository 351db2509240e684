package api

// FieldDoc describes a field of an object. Type is as LuaLS writes it.
type FieldDoc struct{ Name, Type, Doc string }

// ObjectDoc describes a kind of object by its fields; its methods are among Functions.
type ObjectDoc struct {
	Class, Doc string // "vsl.Guest"
	Fields     []FieldDoc
}

// Fields lists the fields of a guest's handle.
func Fields() []FieldDoc {
	return []FieldDoc{
		{"name", "string", "The guest's name."},
		{"xid", "integer?", "The number of its context; nil before it has one."},
		{"ip", "string?", "Its first address."},
		{"root", "string?", "Where the host sees its root, while it runs."},
		{"spec", "vsl.guest", "What the recipe declared, as a table."},
		{"state", `"declared"|"stopped"|"running"|"frozen"|"failed"`, `"declared", "stopped", "running", "frozen", or "failed": up --keep left it so.`},
		{"data", "table", "A table that is kept beside the guest from one flow to the next."},
	}
}

// Objects lists the kinds of object that the language gives.
func Objects() []ObjectDoc {
	return []ObjectDoc{
		{"vsl.Guest", "A guest, as flows are given it. Its methods act on it.", Fields()},
		{"vsl.Pool", "A pool: pool[1] is its first guest.", []FieldDoc{{"[integer]", "vsl.Guest", "The guest of that number."},
			{"name", "string", "The pool's name."}, {"size", "integer", "How many guests it has."}}},
		{"vsl.Template", "A template.", []FieldDoc{{"name", "string", "The template's name."}}},
		{"vsl.Source", "What a template is made from.", nil},
		{"vsl.Probe", "How a guest is asked whether it is ready.", nil},
		{"vsl.Secret", "Where a secret is; Lua code never has its text.", nil},
		{"vsl.Subnet", "A range of addresses.", []FieldDoc{{"bits", "integer", "The length of its prefix."}}},
		{"vsl.Result", "What a command gave.", []FieldDoc{{"code", "integer", "The exit status."}, {"signal", "integer", "The signal that ended it, or 0."},
			{"stdout", "string", "What it printed."}, {"stderr", "string", "Its messages."}}},
		{"vsl.Exit", "How a guest ended.", []FieldDoc{{"code", "integer", "The exit status."}, {"signal", "integer", "The signal that ended it, or 0."},
			{"reboot", "boolean", "It asked for a reboot."}, {"halt", "boolean", "It halted."}}},
		{"vsl.Status", "What vsl status --json gives.", []FieldDoc{{"name", "string", "The guest's name."}, {"state", "string", "As g.state."},
			{"xid", "integer", "As g.xid."}, {"pid", "integer", "Its pid 1 on the host; 0 when stopped."}, {"ip", "string[]", "Its addresses."}}},
	}
}
