-- Checks of examples/reaper/mnmf_separate.lua, run by test_reaper_script.py: lua reaper_script.lua SCRIPT FOLDER.
-- The last one runs all of it against a stand-in of REAPER, in FOLDER, with the command FOLDER/mnmf.

local path, folder = arg[1], arg[2]
local M = dofile(path)

local function same(a, b, where)
  where = where or "value"
  if type(a) == "table" and type(b) == "table" then
    for key, value in pairs(a) do same(value, b[key], where .. "." .. tostring(key)) end
    for key in pairs(b) do assert(a[key] ~= nil, where .. "." .. tostring(key) .. " is missing") end
  else
    assert(a == b, where .. ": " .. tostring(a) .. " instead of " .. tostring(b))
  end
end

-- words
same(M.words("  --solos 'my labels.txt'  --spot \"a b\"=2 x"), { "--solos", "my labels.txt", "--spot", "a b=2", "x" })
same(M.words(""), {})
same(M.words("''"), { "" })
assert(M.words("--solos 'labels") == nil)

-- commands and scripts
same(M.command("mnmf", { "-a.wav" }, "o", { "--residual" }),
  { "mnmf", "separate", "--residual", "--json", "--out", "o", "--", "-a.wav" })
assert(M.quoted("it's $HOME `x` \"y\"") == "'it'\\''s $HOME `x` \"y\"'")
assert(M.quoted("50%\\", true) == '"50%%\\\\"')
assert(M.quoted('a"b', true) == nil)
assert(M.quoted("a\nb") == nil and M.quoted("a\0b") == nil and M.quoted("a\rb", true) == nil)
local batch = M.script({ "mnmf", "a & b.wav" }, "C:\\log", true)
assert(batch:find('\r\n"mnmf" "a & b.wav" > "C:\\log" 2>&1\r\n', 1, true))
assert(batch:find('"status": %errorlevel%}>> "C:\\log"', 1, true))
local script, why = M.script({ "mnmf", 'a"b' }, "log", true)
assert(script == nil and why:find('a"b', 1, true))

-- JSON
same(M.json(' {"a": [1, -2.5e3, true, false, null, {}], "b": {"c": []}} '),
  { a = { 1, -2500.0, true, false, {} }, b = { c = {} } })
assert(M.json('"\\u00e4\\ud83c\\udfbb\\n\\"\\\\"') == "ä🎻\n\"\\")
for _, wrong in ipairs({ "", "{", "[1,", '"a', '{"a"}', '{"a":}', "[1 2]", "1 2", "nul", "{1:2}", '"\\x"', "[}", "-" }) do
  local value, reason = M.json(wrong)
  assert(value == nil and reason, wrong)
end
assert(M.json(("["):rep(100000)) == nil)

-- what the command says
local report = M.report('{"event": "progress", "stage": "fit", "whole": 0.25}\n{"event": "said", "text": "va: mic 2"}\n'
  .. 'mnmf: short\n{"event": "warning", "text": "short"}\n{"event": "progress", "whole": 0.5}\n{"event": "prog')
same(report, { whole = 0.5, said = { "va: mic 2" }, warnings = { "short" } })
report = M.report('{"event": "error", "text": "no such file"}\r\nmnmf: no such file\r\n{"event": "exit", "status": 2}\r\n')
assert(report.status == 2 and report.wrong == "no such file")
report = M.report('sh: 1: mnmf: not found\n\n{"event": "exit", "status": 127}\n')
assert(report.status == 127 and report.wrong == "sh: 1: mnmf: not found")
assert(M.report('\n{"event": "exit", "status": 0}\n').wrong == nil)

-- what is laid where
local function item(track, file, channels, more)
  local made = { track = track, file = file, channels = channels, mode = 0, position = 10, length = 4, offset = 1, rate = 1 }
  for key, value in pairs(more or {}) do made[key] = value end
  return made
end
local function source(name, mic, residual)
  return { name = name, file = name .. ".wav", mics = { mic }, residual = residual and name .. ".residual.wav" }
end
local function laid(items, record)
  local found = {}
  for _, track in ipairs(assert(M.plan(items, record, "out"))) do
    for _, each in ipairs(track.items) do
      found[#found + 1] = string.format("%d %s %s %g %g %g", track.under, track.name, each.file, each.position,
        each.length, each.offset)
    end
  end
  return found
end
local record = { sample_rate = 100, samples = 1000, sources = { source("vc", 3), source("va", 2, true) } }
local items = { item(1, "main.wav", 1), item(2, "va.wav", 1), item(2, "va.wav", 1, { position = 20 }), item(7, "vc.wav", 1) }
same(M.files(items), { "main.wav", "va.wav", "vc.wav" })
same(laid(items, record), {
  "2 va stem out/va.wav 10 4 1", "2 va stem out/va.wav 20 4 1",
  "2 va residual out/va.residual.wav 10 4 1", "2 va residual out/va.residual.wav 20 4 1",
  "7 vc stem out/vc.wav 10 4 1",
})
-- one polyphonic file: all channels under one item, or each under the item that plays it
same(laid({ item(1, "take.wav", 4) }, record),
  { "1 vc stem out/vc.wav 10 4 1", "1 va stem out/va.wav 10 4 1", "1 va residual out/va.residual.wav 10 4 1" })
same(laid({ item(1, "take.wav", 4, { mode = 4 }), item(2, "take.wav", 4, { mode = 5 }), item(3, "take.wav", 4, { mode = 2 }) },
  { sample_rate = 100, samples = 1000, sources = { source("vc", 3), source("va", 2) } }),
  { "1 va stem out/va.wav 10 4 1", "2 vc stem out/vc.wav 10 4 1", "3 vc stem out/vc.wav 10 4 1", "3 va stem out/va.wav 10 4 1" })
-- a stem of two channels: whole under the item of both microphones, else of each the channel that it plays
local piano = source("piano", 2, true)
piano.mics, piano.channels = { 2, 3 }, 2
local function modes(given)
  local found = {}
  for _, track in ipairs(assert(M.plan(given, { sample_rate = 100, samples = 1000, sources = { piano } }, "out"))) do
    for _, each in ipairs(track.items) do found[#found + 1] = string.format("%d %s %d", track.under, track.name, each.mode) end
  end
  return found
end
same(modes({ item(1, "vl.wav", 1), item(2, "piano.wav", 2) }), { "2 piano stem 0", "2 piano residual 0" })
same(modes({ item(1, "vl.wav", 1), item(2, "left.wav", 1), item(3, "right.wav", 1) }),
  { "2 piano stem 3", "2 piano residual 3", "3 piano stem 4", "3 piano residual 4" })
same(modes({ item(1, "vl.wav", 1), item(2, "piano.wav", 2, { mode = 4 }) }), { "2 piano stem 4", "2 piano residual 4" })
piano.mics = { 2 }
assert(M.plan({ item(1, "vl.wav", 1) }, { sample_rate = 1, samples = 1, sources = { piano } }, "out") == nil)
assert(M.channel(0) == nil and M.channel(3) == 1 and M.channel(66) == 64 and M.channel(131) == 65 and M.channel(67) == nil)
-- a stem of seconds 2 to 4 of the take, under an item that plays 1 to 9 at double speed; and under one that ends before
local part = { sample_rate = 100, samples = 200, first_sample = 200, sources = { source("va", 1) } }
same(laid({ item(1, "va.wav", 1, { rate = 2 }) }, part), { "1 va stem out/va.wav 10.5 1 0" })
same(laid({ item(1, "va.wav", 1, { length = 0.5 }) }, part), {})
for _, wrong in ipairs({ {}, { sources = {}, samples = 1 }, { sources = { {} }, samples = 1, sample_rate = 1 } }) do
  local plan, reason = M.plan(items, wrong, "out")
  assert(plan == nil and reason)
end
assert(M.plan(items, nil, "out") == nil)
assert(M.folder("/a.b/take.1.wav") == "/a.b/take.1 stems" and M.folder("/a.b/take") == "/a.b/take stems")

-- all of it, with a stand-in of REAPER that knows tracks, items and takes as tables of values
local said, state, tracks, pending = {}, {}, {}, nil
local function get(thing, key) return thing[key] or 0 end
local function set(thing, key, value) thing[key] = value return true end
local function text(thing, key, value) thing[key] = value return true, value end
for n, name in ipairs({ "vl", "va" }) do
  local take = { source = { file = folder .. "/" .. name .. "'s.wav" }, D_PLAYRATE = 1, D_STARTOFFS = 0.5 }
  tracks[n] = { P_NAME = name, { take = take, D_POSITION = 3, D_LENGTH = 2, D_VOL = 0.5, track = name } }
end
local selected = { tracks[1][1], tracks[2][1] }
local function number_of(track)
  for n, each in ipairs(tracks) do if each == track then return n end end
end
reaper = {
  GetOS = function() return "Other" end,
  MB = function(words) said[#said + 1] = words end,
  ShowConsoleMsg = function(words) said[#said + 1] = words end,
  CountSelectedMediaItems = function() return #selected end,
  GetSelectedMediaItem = function(_, n) return selected[n + 1] end,
  GetActiveTake = function(each) return each.take end,
  TakeIsMIDI = function() return false end,
  GetMediaItemTake_Source = function(take) return take.source end,
  PCM_Source_GetSectionInfo = function() return false, 0, 0, false end,
  GetMediaItem_Track = function(each)
    for _, track in ipairs(tracks) do
      for _, known in ipairs(track) do if known == each then return track end end
    end
  end,
  GetMediaTrackInfo_Value = function(track, key) assert(key == "IP_TRACKNUMBER") return number_of(track) + 0.0 end,
  GetMediaSourceFileName = function(each) return each.file end,
  GetMediaSourceNumChannels = function() return 1 end,
  GetMediaItemInfo_Value = get, SetMediaItemInfo_Value = set,
  GetMediaItemTakeInfo_Value = function(take, key) return get(take, key) + 0.0 end, SetMediaItemTakeInfo_Value = set,
  GetSetMediaItemTakeInfo_String = text, GetSetMediaTrackInfo_String = text,
  GetExtState = function(_, key) return state[key] or "" end,
  SetExtState = function(_, key, value) state[key] = value end,
  GetUserInputs = function(_, count, captions, before)
    assert(count == 3 and select(2, captions:gsub(",", ",")) == 4 and captions:find("separator=\n", 1, true))
    assert(before == folder .. "/vl's stems\n\nmnmf")
    return true, folder .. "/out\n--residual --sources vl,va\n" .. folder .. "/mnmf"
  end,
  GetResourcePath = function() return folder end,
  time_precise = function() return os.clock() end,
  defer = function(work) pending = work end,
  ValidatePtr2 = function() return true end,
  InsertTrackAtIndex = function(n) table.insert(tracks, n + 1, {}) end,
  GetTrack = function(_, n) return tracks[n + 1] end,
  AddMediaItemToTrack = function(track) track[#track + 1] = {} return track[#track] end,
  AddTakeToMediaItem = function(each) each.take = {} return each.take end,
  PCM_Source_CreateFromFile = function(file) return { file = file } end,
  SetMediaItemTake_Source = function(take, made) take.source = made end,
}
for _, name in ipairs({ "Undo_BeginBlock", "Undo_EndBlock", "PreventUIRefresh", "UpdateArrange", "Main_OnCommand" }) do
  reaper[name] = function() end
end

dofile(path)
while pending do
  local work = pending
  pending = nil
  work()
end
local names = {}
for n, track in ipairs(tracks) do names[n] = track.P_NAME end
same(names, { "vl", "vl stem", "vl residual", "va", "va stem", "va residual" })
local stem = tracks[5][1]
same({ stem.take.source.file, stem.B_MUTE, stem.D_POSITION, stem.D_LENGTH, stem.D_VOL, stem.take.D_STARTOFFS },
  { folder .. "/out/va.wav", 1, 3, 2, 0.5, 0.5 })
assert(tracks[4][1].B_MUTE == nil)
assert(#said == 1 and said[1] == "mnmf: 50%\n", said[1])
assert(state.program == folder .. "/mnmf" and state.options == "--residual --sources vl,va")
print("all good")
