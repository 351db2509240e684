package main

import (
	"strings"

	"vsl/lua/bind"
)

// paramsPage is vsl help params.
func paramsPage() string {
	text := `Parameters make one recipe fit many hosts:

  local count  = param.int("count", { default = 3, min = 1, max = 200, doc = "how many web guests" })
  local domain = param.string("domain", { pattern = "[%l%d.-]+", doc = "the site's name" })

  vsl up ./shop -p count=5 -p domain=shop.test
  vsl up ./shop --params prod.json
  VSL_PARAM_COUNT=5 vsl up ./shop

A value is taken from the first of these that has one:

  -p name=value         the command line
  --params FILE         one JSON object: { "count": 5, "domain": "shop.test" }
  $VSL_PARAM_NAME       the environment; the name in capitals, with _ for what is no letter or digit
  default               without one the parameter must be given

vsl up RECIPE --help lists a recipe's parameters, with their values and where those come from; so does
vsl check RECIPE --json for programs. What was given is kept with the guest, for restart and down.
The kinds: ` + strings.Join(sortedNames(bind.ParamTypes), ", ") + `.
A size is bytes in Lua and a duration seconds; a list is given as a,b,c.
`
	for _, kind := range []string{"string", "int"} {
		s := bind.ParamSchema(kind)
		text += keys("Keys of "+s.Name+":", s)
	}
	return text
}
