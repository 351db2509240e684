describe("hello", function()
  it("comes up and goes down", function()
    local r = recipe()
    r:answer("hello", "hostname", { stdout = "hello\n" })
    r:up()
    expect(r.guests.hello.state):equals "running"
    expect(r.guests.hello:exec({ "hostname" }).stdout):equals "hello\n"
    r:down()
    expect(r.guests.hello.state):equals "stopped"
  end)

  it("is limited", function()
    expect(recipe().guests.hello.spec.limit):equals { memory = 64 * 1024 * 1024, pids = 64 }
  end)

  it("does what it always did", function()
    local r = recipe()
    expect(r:plan()):golden "plan.golden"
    r:up()
    r:down()
    expect(r:calls()):golden "calls.golden"
  end)
end)
