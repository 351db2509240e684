describe("db-and-web", function()
  local r

  before_each(function()
    r = recipe()
    r:answer("*", "redis-cli * incr guests", { stdout = "1\n" })
  end)

  it("brings the database up before the web servers", function()
    r:up "web2"
    expect(r.guests.db.state):equals "running"
    expect(r.guests.web1.state).never:equals "running"
    expect(r.guests.web2:read "/var/www/html/index.html"):contains "web2, registered as number 1"
  end)

  it("leaves the web servers down when the database does not come up", function()
    r:fail("wait_ready db *", "no answer")
    expect(function() r:up() end):fails "db: ready: no answer"
    expect(r:calls()).never:contains "boot web1"
  end)

  it("takes a count", function()
    local many = recipe { params = { count = 5, subnet = "198.51.100.0/24" } }
    expect(many.guests):has "web5"
    expect(many.guests.web5.ip):equals "198.51.100.15"
    expect(function() recipe { params = { count = 101 } } end):fails "count"
  end)

  it("does what it always did", function()
    expect(r:plan()):golden "plan.golden"
    r:build "db"
    r:up()
    r:down()
    expect(r:calls()):golden "calls.golden"
  end)
end)
