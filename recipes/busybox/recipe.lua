--- busybox: a system of one static program, with busybox's own init, inittab,
-- log and web server.
--
--   vsl up busybox
--   vsl exec busybox ps
--   vsl exec busybox wget -qO- http://127.0.0.1/
--   vsl down busybox

local inittab = [[
::sysinit:/bin/mkdir -p /var/run
::respawn:/sbin/syslogd -n -O /var/log/messages
::respawn:/usr/sbin/httpd -f -p 80 -h /var/www
::shutdown:/bin/sync
]]

local root = template "busybox" {
  from = debian { suite = "bookworm", variant = "extract", packages = { "busybox-static" } },
  build = function(t)
    for _, dir in ipairs { "/bin", "/sbin", "/usr/bin", "/usr/sbin", "/var/log", "/var/www", "/root" } do
      t:mkdir(dir)
    end
    t:exec { "/bin/busybox", "--install", "-s", check = true }
    t:write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
    t:write("/etc/group", "root:x:0:\n")
    t:write("/etc/inittab", inittab)
    t:write("/var/www/index.html", "hello from busybox\n")
  end,
}

guest "busybox" {
  template = root,
  limit = { memory = "32M", pids = 64 },
  ready = probe.http { port = 80, within = "10s" },
}
