--- hello: the smallest guest, on the host's own /usr. Nothing is downloaded.
--
--   vsl up hello
--   vsl exec hello id
--   vsl logs hello
--   vsl down hello

guest "hello" {
  template = host(),
  command = { "/bin/sh", "-c", "echo hello from $(hostname); exec sleep infinity" },
  limit = { memory = "64M", pids = 64 },
}
