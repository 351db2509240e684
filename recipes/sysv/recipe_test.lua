describe("sysv", function()
  it("has no getty", function()
    local r = recipe()
    r:build "sysv"
    expect(r:calls()):contains "/getty/d"
  end)

  it("does what it always did", function()
    local r = recipe()
    expect(r:plan()):golden "plan.golden"
    r:up()
    r:down()
    expect(r:calls()):golden "calls.golden"
  end)
end)
