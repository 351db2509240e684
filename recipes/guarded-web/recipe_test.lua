-- What is in the file is never shown: the plan names secrets, and no more.
local params = { htpasswd = "file:htpasswd", count = 2 }

describe("guarded-web", function()
  it("has as many guests as it is told", function()
    local r = recipe { params = { htpasswd = "file:htpasswd", count = 3 } }
    expect(r.guests):has "guarded3"
    expect(r.guests).never:has "guarded4"
    expect(recipe({ params = { htpasswd = "file:htpasswd", count = 0 } }).guests):equals {}
  end)

  it("puts the title into the template", function()
    local r = recipe { params = { htpasswd = "file:htpasswd", title = "Changed" } }
    r:build "guarded-web"
    expect(r:calls()):contains "<h1>Changed</h1>"
  end)

  it("finishes requests before it goes down", function()
    local r = recipe { params = params }
    r:up "guarded"
    r:down "guarded1"
    expect(r:calls()):contains 'exec guarded1 nginx -s quit'
    expect(r.guests.guarded2.state):equals "running"
  end)

  it("does what it always did", function()
    local r = recipe { params = params }
    expect(r:plan()):golden "plan.golden"
    r:build "guarded-web"
    r:up()
    r:down()
    expect(r:calls()):golden "calls.golden"
  end)
end)
