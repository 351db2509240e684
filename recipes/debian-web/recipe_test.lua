describe("debian-web", function()
  it("writes the title into its page", function()
    local r = recipe { params = { title = "My page" } }
    r:up()
    expect(r.guests["debian-web"]:read "/var/www/html/index.html"):contains "<h1>My page</h1>"
    r:down()
  end)

  it("takes another address", function()
    expect(recipe({ params = { ip = "198.51.100.10" } }).guests["debian-web"].ip):equals "198.51.100.10"
    expect(function() recipe { params = { ip = "198.51.100.300" } } end):fails "is not an address"
  end)

  it("does what it always did", function()
    local r = recipe()
    expect(r:plan()):golden "plan.golden"
    r:up()
    r:down()
    expect(r:calls()):golden "calls.golden"
  end)
end)
