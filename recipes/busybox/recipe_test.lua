describe("busybox", function()
  it("serves a page with busybox alone", function()
    local r = recipe()
    r:answer("busybox", "wget *", { stdout = "hello from busybox\n" })
    r:up()
    local got = r.guests.busybox:exec { "wget", "-qO-", "http://127.0.0.1/", check = true }
    expect(got.stdout):equals "hello from busybox\n"
    r:down()
  end)

  it("does what it always did", function()
    local r = recipe()
    expect(r:plan()):golden "plan.golden"
    r:build "busybox"
    r:up()
    r:down()
    expect(r:calls()):golden "calls.golden"
  end)
end)
