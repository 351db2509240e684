-- Small helpers that Lua 5.1 lacks: local std = require "vsl.std"
-- inspect, sha256, json, base64, utf8 and semver are made in Go: lua/std.

local std = {}

-- check raises an error about an argument at the line that called.
local function check(n, name, v, want)
  if type(v) ~= want then
    error(("bad argument #%d to '%s' (%s expected, got %s)"):format(n, name, want, type(v)), 3)
  end
end

-- trim takes the space off both ends.
-- std.trim("  a b ") --> "a b"
function std.trim(s)
  check(1, "trim", s, "string")
  return (s:match("^%s*(.-)%s*$"))
end

-- lines lists the lines of a text, without their ends.
-- std.lines("a\r\nb\n") --> { "a", "b" }
function std.lines(s)
  check(1, "lines", s, "string")
  local out = {}
  for line in (s:gsub("\n$", "") .. "\n"):gmatch("(.-)\r?\n") do
    out[#out + 1] = line
  end
  return out
end

-- split lists what is between the separators, a plain text.
-- std.split("a, b", ", ") --> { "a", "b" }
function std.split(s, sep)
  check(1, "split", s, "string")
  check(2, "split", sep, "string")
  local out, from = {}, 1
  while true do
    local at, to = s:find(sep, from, true)
    if not at or to < at then
      out[#out + 1] = s:sub(from)
      return out
    end
    out[#out + 1] = s:sub(from, at - 1)
    from = to + 1
  end
end

-- startswith says whether s begins with a text.
-- std.startswith("web1", "web") --> true
function std.startswith(s, prefix)
  check(1, "startswith", s, "string")
  check(2, "startswith", prefix, "string")
  return s:sub(1, #prefix) == prefix
end

-- endswith says whether s ends with a text.
-- std.endswith("recipe.lua", ".lua") --> true
function std.endswith(s, suffix)
  check(1, "endswith", s, "string")
  check(2, "endswith", suffix, "string")
  return suffix == "" or s:sub(-#suffix) == suffix
end

-- map gives f(v) for each item of a list.
-- std.map({ 1, 2 }, function(n) return 2 * n end) --> { 2, 4 }
function std.map(list, f)
  check(1, "map", list, "table")
  check(2, "map", f, "function")
  local out = {}
  for i, v in ipairs(list) do
    out[i] = f(v)
  end
  return out
end

-- filter gives the items of a list for which keep(v) holds.
-- std.filter({ 1, 2, 3 }, function(n) return n ~= 2 end) --> { 1, 3 }
function std.filter(list, keep)
  check(1, "filter", list, "table")
  check(2, "filter", keep, "function")
  local out = {}
  for _, v in ipairs(list) do
    if keep(v) then
      out[#out + 1] = v
    end
  end
  return out
end

-- keys lists a table's keys, sorted where they are all strings or all numbers.
-- std.keys({ b = 1, a = 2 }) --> { "a", "b" }
function std.keys(t)
  check(1, "keys", t, "table")
  local out, kinds = {}, {}
  for k in pairs(t) do
    out[#out + 1] = k
    kinds[type(k)] = true
  end
  local kind = next(kinds)
  if next(kinds, kind) == nil and (kind == "string" or kind == "number") then
    table.sort(out)
  end
  return out
end

-- contains says whether a list has an item equal to v.
-- std.contains({ "a", "b" }, "b") --> true
function std.contains(list, v)
  check(1, "contains", list, "table")
  for _, e in ipairs(list) do
    if e == v then
      return true
    end
  end
  return false
end

local function equal(a, b, assumed)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b
  end
  -- A pair that was met before is equal, or the whole comparison fails elsewhere.
  local met = assumed[a] or {}
  assumed[a] = met
  if met[b] then
    return true
  end
  met[b] = true
  for k, v in pairs(a) do
    if not equal(v, b[k], assumed) then
      return false
    end
  end
  for k in pairs(b) do
    if a[k] == nil then
      return false
    end
  end
  return true
end

-- deep_equal compares tables by what is in them, also where they contain
-- themselves; other values by ==.
-- std.deep_equal({ 1, { a = 2 } }, { 1, { a = 2 } }) --> true
function std.deep_equal(a, b)
  return equal(a, b, {})
end

-- merge gives a new table with the keys of all; later ones win. It is how
-- guests share settings: std.merge(common, { ip = "198.51.100.5" }).
-- std.merge({ a = 1, b = 1 }, { b = 2 }) --> { a = 1, b = 2 }
function std.merge(...)
  local out = {}
  for i = 1, select("#", ...) do
    local t = select(i, ...)
    check(i, "merge", t, "table")
    for k, v in pairs(t) do
      out[k] = v
    end
  end
  return out
end

-- shell_quote makes one word of a POSIX shell out of any text.
-- std.shell_quote("it's") --> "'it'\\''s'"
function std.shell_quote(s)
  check(1, "shell_quote", s, "string")
  return "'" .. s:gsub("'", "'\\''") .. "'"
end

return std
