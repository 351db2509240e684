-- Small helpers that Lua 5.1 lacks: local std = require "vsl.std"

local std = {}

-- trim takes the space off both ends.
function std.trim(s)
  return (s:match("^%s*(.-)%s*$"))
end

-- lines lists the lines of a text, without their ends.
function std.lines(s)
  local out = {}
  for line in (s:gsub("\n$", "") .. "\n"):gmatch("(.-)\r?\n") do
    out[#out + 1] = line
  end
  return out
end

-- split lists what is between the separators, a plain text.
function std.split(s, sep)
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

-- starts_with says whether s begins with a text.
function std.starts_with(s, prefix)
  return s:sub(1, #prefix) == prefix
end

-- ends_with says whether s ends with a text.
function std.ends_with(s, suffix)
  return suffix == "" or s:sub(-#suffix) == suffix
end

-- map gives f(v) for each item of a list.
function std.map(list, f)
  local out = {}
  for i, v in ipairs(list) do
    out[i] = f(v)
  end
  return out
end

-- filter gives the items of a list for which keep(v) holds.
function std.filter(list, keep)
  local out = {}
  for _, v in ipairs(list) do
    if keep(v) then
      out[#out + 1] = v
    end
  end
  return out
end

-- keys lists a table's keys, sorted where they are all strings or all numbers.
function std.keys(t)
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
function std.contains(list, v)
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
function std.deep_equal(a, b)
  return equal(a, b, {})
end

-- merge gives a new table with the keys of all; later ones win. It is how
-- guests share settings: std.merge(common, { ip = "198.51.100.5" }).
function std.merge(...)
  local out = {}
  for i = 1, select("#", ...) do
    for k, v in pairs((select(i, ...))) do
      out[k] = v
    end
  end
  return out
end

-- shell_quote makes one word of a POSIX shell out of any text.
function std.shell_quote(s)
  return "'" .. s:gsub("'", "'\\''") .. "'"
end

return std
