--- debian-ssh: Debian with systemd that you log in to with ssh.
--
--   vsl up debian-ssh -p key="$(cat ~/.ssh/id_ed25519.pub)"
--   ssh root@127.77.0.22
--   vsl down debian-ssh

local key = param.string("key", { doc = "your public key, one line of ~/.ssh/id_*.pub" })
local ip = param.string("ip", { default = "127.77.0.22", doc = "address to log in at" })

local root = template "debian-ssh" {
  from = debian { suite = "bookworm", packages = { "systemd", "systemd-sysv", "dbus", "libpam-systemd", "openssh-server" } },
  build = function(t)
    t:sh("rm -f /etc/ssh/ssh_host_*_key*", { check = true }) -- each guest makes its own
  end,
}

guest "debian-ssh" {
  template = root,
  limit = { memory = "512M", pids = 512 },
  ip = ip,
  provision = function(g)
    g:exec { "ssh-keygen", "-A", check = true }
    g:mkdir("/root/.ssh", { mode = "0700" })
    g:write("/root/.ssh/authorized_keys", key .. "\n", { mode = "0600" })
  end,
  ready = probe.tcp { port = 22, within = "60s" },
}
