--- debian-web: Debian with systemd and nginx, on an address of its own.
--
--   vsl up debian-web
--   curl http://127.77.0.10/
--   vsl enter debian-web
--   vsl down debian-web
--
-- Another address, and another text; the text is written once, into a new guest:
--
--   vsl rm -f debian-web
--   vsl up debian-web -p ip=198.51.100.10 -p title="My page"

local ip = param.string("ip", { default = "127.77.0.10", doc = "address of the web server" })
local title = param.string("title", { default = "It works", doc = "heading of the page" })

local debian_web = template "debian-web" {
  from = debian { suite = "bookworm", packages = { "systemd", "systemd-sysv", "dbus", "nginx-light" } },
}

guest "debian-web" {
  template = debian_web,
  limit = { memory = "512M", cpu = 1, pids = 512 },
  ip = ip,
  provision = function(g)
    g:write("/var/www/html/index.html", ("<h1>%s</h1>\n<p>This is %s.</p>\n"):format(title, g.name))
  end,
  ready = probe.http { port = 80, within = "60s" },
}
