--- guarded-web: a pool of web servers behind a password, replaced one by one when something changes.
--
--   printf 'me:{PLAIN}%s\n' "$PASSWORD" > htpasswd && chmod 600 htpasswd
--   vsl up guarded-web -p htpasswd=file:htpasswd -p count=3
--   curl -u me http://127.77.2.11/
--   vsl up guarded-web -p htpasswd=file:htpasswd -p count=2 -p title=Changed
--   vsl down guarded-web
--
-- The users' passwords are a file on a tmpfs of each guest, which nobody but nginx
-- can read there; vsl keeps them nowhere. The title is part of the template: to
-- change it makes another template, and of it other guests.

local count = param.int("count", { default = 2, min = 0, max = 100, doc = "how many web servers" })
local title = param.string("title", { default = "It works", doc = "heading of the page" })
local memory = param.size("memory", { default = "256M", min = "64M", doc = "what each may use" })
local net = subnet(param.cidr("subnet", { default = "127.77.2.0/24", doc = "where the guests' addresses are taken from" }))
local users = param.secret("htpasswd", { doc = "file of users and their passwords, as nginx reads it" })

local root = template "guarded-web" {
  from = debian { suite = "bookworm", packages = { "systemd", "systemd-sysv", "dbus", "nginx-light" } },
  build = function(t)
    t:write("/var/www/html/index.html", ("<h1>%s</h1>\n"):format(title))
    t:write("/etc/nginx/conf.d/guard.conf", [[
auth_basic "guarded";
auth_basic_user_file /run/secrets/htpasswd;
add_header X-Served-By $hostname;
]])
  end,
}

pool "guarded" {
  size = count,
  max_unavailable = 1,
  each = function(i)
    return {
      template = root,
      limit = { memory = memory, pids = 256 },
      ip = net:at(10 + i),
      secrets = { htpasswd = { from = users, owner = 33 } }, -- 33 is www-data
      ready = probe.http { port = 80, status = 401, within = "60s" }, -- serves, and to nobody without a password
      shutdown = function(g)
        g:exec { "nginx", "-s", "quit" } -- finish the requests that are under way
        g:shutdown()
      end,
    }
  end,
}
