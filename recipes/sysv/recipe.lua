--- sysv: Debian with sysvinit instead of systemd, running cron and nginx.
--
--   vsl up sysv
--   curl http://127.77.0.20/
--   vsl exec sysv service --status-all
--   vsl down sysv

local ip = param.string("ip", { default = "127.77.0.20", doc = "address of the web server" })

local root = template "sysv" {
  from = debian { suite = "bookworm", packages = { "sysvinit-core", "cron", "nginx-light" } },
  build = function(t)
    -- A guest has no virtual terminals for getty to wait on.
    t:sh("sed -i '/getty/d' /etc/inittab", { check = true })
  end,
}

guest "sysv" {
  template = root,
  limit = { memory = "256M", pids = 256 },
  ip = ip,
  ready = probe.http { port = 80, within = "60s" },
}
