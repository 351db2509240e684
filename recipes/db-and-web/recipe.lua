--- db-and-web: a redis database and web servers that need it, each with its own
-- address on the host's network stack and unchanged default ports.
--
--   vsl up db-and-web
--   curl http://127.77.1.11/ http://127.77.1.12/
--   vsl down db-and-web
--
-- The web servers come up in parallel once the database is ready; on the way
-- down they finish their requests first, then the database saves and ends.

local net = subnet(param.string("subnet", { default = "127.77.1.0/24", doc = "where the guests' addresses are taken from" }))
local count = param.int("count", { default = 2, min = 1, max = 100, doc = "how many web servers" })

local function debian_with(...)
  return debian { suite = "bookworm", packages = { "systemd", "systemd-sysv", "dbus", ... } }
end

local db_root = template "db" {
  from = debian_with("redis-server"),
  build = function(t)
    -- The guest has one address: 0.0.0.0 is that one, and its private loopback.
    t:sh("sed -i -e 's/^bind .*/bind 0.0.0.0/' -e 's/^protected-mode .*/protected-mode no/' /etc/redis/redis.conf", { check = true })
  end,
}

local web_root = template "web" { from = debian_with("nginx-light", "redis-tools") }

local db_ip = net:at(10)

local db = guest "db" {
  template = db_root,
  limit = { memory = "512M", pids = 256 },
  ip = db_ip,
  ready = probe.exec { "redis-cli", "-h", db_ip, "ping", within = "60s" },
  shutdown = function(g)
    g:exec { "redis-cli", "-h", g.ip, "save" }
    g:shutdown()
  end,
}

for i = 1, count do
  guest("web" .. i) {
    template = web_root,
    limit = { memory = "256M", cpu = 0.5, pids = 256 },
    ip = net:at(10 + i),
    after = { [db] = "ready" },
    provision = function(g)
      local visitors = g:exec { "redis-cli", "-h", db.ip, "incr", "guests", check = true }.stdout
      g:write("/var/www/html/index.html", ("%s, registered as number %s"):format(g.name, visitors))
    end,
    ready = probe.http { port = 80, within = "60s" },
    shutdown = function(g)
      g:exec { "nginx", "-s", "quit" } -- finish the requests that are under way
      g:shutdown()
    end,
  }
end
