-- The flows that a guest gets when its recipe gives none of its own. They are
-- here to be read, copied and changed: a recipe may call them too, as in
--
--   local flows = require "vsl.flows"
--   boot = function(g) flows.boot(g) log.info("up", { guest = g.name }) end
--
-- g.spec is what the recipe declared.

local flows = {}

-- provision runs once, after the clone was made and before the first boot.
function flows.provision(g) end

-- boot makes a context, fills it, and starts the guest's init in it. What was
-- done is undone in reverse when a step fails.
function flows.boot(g)
  local spec = g.spec
  context { g }
  cow_clone { g, template = spec.template, kind = spec.clone }
  limit { g, spec.limit }
  bind_ip { g, ip = spec.ip, net = spec.net }
  boot { g, init = spec.init, command = spec.command, env = spec.env, hostname = spec.hostname }
end

-- ready returns once the guest serves: its probe succeeds, or without one its
-- init says so.
function flows.ready(g)
  g:wait_ready()
end

-- shutdown asks the init to end, then goes through spec.stop; whatever is left
-- after that is killed at once.
function flows.shutdown(g)
  kill { g, graceful = true }
end

return flows
