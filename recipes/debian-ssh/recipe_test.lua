local key = "ssh-ed25519 AAAA me@example"

describe("debian-ssh", function()
  it("lets in who has the key, with host keys of its own", function()
    local r = recipe { params = { key = key } }
    r:up()
    local g = r.guests["debian-ssh"]
    expect(g:read "/root/.ssh/authorized_keys"):equals(key .. "\n")
    if real then
      expect(g:exec({ "sh", "-c", "ls /etc/ssh/ssh_host_*_key" }).code):equals(0)
    end
  end)

  it("needs a key", function()
    expect(function() recipe() end):fails 'parameter "key"'
  end)

  it("does what it always did", function()
    local r = recipe { params = { key = key } }
    expect(r:plan()):golden "plan.golden"
    r:build "debian-ssh"
    r:up()
    r:down()
    expect(r:calls()):golden "calls.golden"
  end)
end)
