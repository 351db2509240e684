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
	return text + poolsPage() + secretsPage()
}

func poolsPage() string {
	return `
A pool is a number of guests made by one rule, here web1 to web3:

  local web = pool "web" {
    size = count,
    each = function(i) return { template = base, ip = net:at(10 + i) } end,
    max_unavailable = 1,
  }
  guest "balancer" { after = web }          all of the pool

vsl up brings up or takes down the difference, the highest numbers first; files stay until vsl rm. Those
that run and need a restart to be as declared are replaced in turn (-/+): no more than max_unavailable at
once, each ready before the next, and the first failure ends it. Where the template or the kind of clone
changed, the guest is removed with all it wrote, and made anew. The pool's name stands for its guests in
after, up, down, restart, rm and status.
` + keys("Keys of pool:", bind.PoolSchema)
}

func secretsPage() string {
	return `
Secrets are files of the guest's /run/secrets, whose text is in no recipe, plan, record or message:

  secrets = {
    db_password = param.secret("db_password"),
    ["tls.key"] = { from = secret.file("tls.key"), owner = 33 },
    token = secret.env("TOKEN"),
  }

  vsl up ./shop -p db_password=file:/root/password        or env:NAME; never the secret itself
  VSL_PARAM_DB_PASSWORD=… vsl up ./shop                   here it may be the secret itself

They are read at each boot; a change takes effect at vsl restart, in a pool by replacing guests in turn.
` + keys("Keys of a secret:", bind.SecretSchema)
}
