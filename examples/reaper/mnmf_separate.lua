-- Separate the sources of the selected items with mnmf, and lay each stem, muted, on a track under its item.
--
-- In REAPER: Actions > Show action list > New action > Load ReaScript, and choose this file. Select one item of each
-- microphone of a take (or the item of a polyphonic file) and run it. It asks for the folder of the stems, for further
-- options of `mnmf separate` such as  --solos "labels.txt" --solo-take warmup.wav --residual  and for the command
-- itself: give its full path if REAPER does not find it, as it often does not on macOS.
--
-- REAPER was not at hand when this was written: what builds the command and reads its output is tested in plain Lua,
-- and what talks to REAPER was tested against a stand-in of it only. Tell us if something is wrong.
--
-- Without REAPER this file returns its functions, for tests.

local M = {}

-- Text that the user typed, split into words at spaces; a word in ' or " may have spaces. nil if a quote has no end.
function M.words(text)
  local words, word, quote = {}, nil, nil
  for c in text:gmatch(".") do
    if quote then
      if c == quote then quote = nil else word = word .. c end
    elseif c == '"' or c == "'" then
      quote, word = c, word or ""
    elseif c:match("%s") then
      if word then words[#words + 1] = word end
      word = nil
    else
      word = (word or "") .. c
    end
  end
  if quote then return nil end
  if word then words[#words + 1] = word end
  return words
end

-- The words of the command that separates these files. `--` keeps a file from being taken for an option.
function M.command(program, files, out, options)
  local words = { program, "separate" }
  for _, word in ipairs(options) do words[#words + 1] = word end
  for _, word in ipairs({ "--json", "--out", out, "--" }) do words[#words + 1] = word end
  for _, file in ipairs(files) do words[#words + 1] = file end
  return words
end

-- A word as /bin/sh or a batch file of Windows reads it back; nil if there is no way.
function M.quoted(word, windows)
  if word:find("[%z\r\n]") then return nil end
  if not windows then return "'" .. word:gsub("'", "'\\''") .. "'" end
  if word:find('"', 1, true) then return nil end
  word = word:gsub("%%", "%%%%")
  return '"' .. word:gsub("(\\+)$", "%1%1") .. '"' -- else the last backslash would escape the quote
end

-- A script that runs the command, with all that it says in the file `log`, and at last its exit status there as well.
-- nil and why if it cannot be written.
function M.script(words, log, windows)
  local quoted = {}
  for _, word in ipairs(words) do
    local found = M.quoted(word, windows)
    if not found then return nil, "cannot be passed to a command: " .. word end
    quoted[#quoted + 1] = found
  end
  local command, place = table.concat(quoted, " "), M.quoted(log, windows)
  if not place then return nil, "cannot be passed to a command: " .. log end
  if windows then
    return "@echo off\r\nchcp 65001 >nul\r\n" .. command .. " > " .. place .. " 2>&1\r\n"
      .. 'echo {"event": "exit", "status": %errorlevel%}>> ' .. place .. "\r\n"
  end
  return "#!/bin/sh\n" .. command .. " > " .. place .. " 2>&1\n"
    .. "printf '\\n{\"event\": \"exit\", \"status\": %d}\\n' $? >> " .. place .. "\n"
end

local ESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }
local DEEPEST = 32

local function string_at(text, at)
  local parts = {}
  while true do
    local stop = text:find('["\\]', at)
    if not stop then error("a string has no end") end
    parts[#parts + 1] = text:sub(at, stop - 1)
    if text:sub(stop, stop) == '"' then return table.concat(parts), stop + 1 end
    local escape = text:sub(stop + 1, stop + 1)
    at = stop + 2
    if escape == "u" then
      local code = tonumber(text:match("^%x%x%x%x", at) or error("a string has a wrong escape"), 16)
      at = at + 4
      local low = code >= 0xD800 and code < 0xDC00 and text:match("^\\u([dD][c-fC-F]%x%x)", at)
      if low then
        code, at = 0x10000 + (code - 0xD800) * 0x400 + tonumber(low, 16) - 0xDC00, at + 6
      end
      parts[#parts + 1] = utf8.char(code)
    else
      parts[#parts + 1] = ESCAPES[escape] or error("a string has a wrong escape")
    end
  end
end

local value_at

local function list_at(text, at, close, add)
  at = text:match("^%s*()", at)
  if text:sub(at, at) == close then return at + 1 end
  while true do
    at = add(at)
    local mark
    mark, at = text:match("^%s*([,%]}])%s*()", at)
    if mark == close then return at end
    if mark ~= "," then error("a list has no end") end
  end
end

function value_at(text, at, depth)
  if depth > DEEPEST then error("it is nested too deeply") end
  at = text:match("^%s*()", at)
  local first = text:sub(at, at)
  if first == '"' then return string_at(text, at + 1) end
  if first == "[" then
    local list = {}
    return list, list_at(text, at + 1, "]", function(place)
      local value, after = value_at(text, place, depth + 1)
      list[#list + 1] = value
      return after
    end)
  end
  if first == "{" then
    local map = {}
    return map, list_at(text, at + 1, "}", function(place)
      local start = text:match('^%s*"()', place) or error("a key is missing")
      local key, after = string_at(text, start)
      after = text:match("^%s*:()", after) or error("a value is missing")
      map[key], after = value_at(text, after, depth + 1)
      return after
    end)
  end
  for word, value in pairs({ ["true"] = true, ["false"] = false }) do
    if text:sub(at, at + #word - 1) == word then return value, at + #word end
  end
  if text:sub(at, at + 3) == "null" then return nil, at + 4 end
  local number, after = text:match("^(%-?%d[%d%.eE%+%-]*)()", at)
  return tonumber(number or "") or error("it is no JSON"), after
end

-- What a text of JSON holds, or nil and why it is none; null is nil, and left out of lists.
function M.json(text)
  local good, value, after = pcall(value_at, text, 1, 0)
  if not good then return nil, tostring(value) end
  if text:find("%S", after) then return nil, "there is more after it" end
  return value
end

-- What is known from all that `mnmf separate --json` has said: how much of the work is done, from 0 to 1, what it said,
-- what it warned of, what was wrong, and its exit status once it has ended.
function M.report(text)
  local report = { whole = 0, said = {}, warnings = {} }
  local last
  for line in text:gmatch("([^\r\n]+)\r?\n") do -- a line without its end is not complete yet
    local event = line:sub(1, 1) == "{" and M.json(line)
    if type(event) ~= "table" then
      last = line
    elseif event.event == "progress" and type(event.whole) == "number" then
      report.whole = event.whole
    elseif event.event == "said" then
      report.said[#report.said + 1] = tostring(event.text)
    elseif event.event == "warning" then
      report.warnings[#report.warnings + 1] = tostring(event.text)
    elseif event.event == "error" then
      report.wrong = tostring(event.text)
    elseif event.event == "exit" then
      report.status = math.tointeger(event.status)
    end
  end
  if report.status and report.status ~= 0 and not report.wrong then
    report.wrong = last or ("exit status " .. report.status)
  end
  return report
end

-- The files of some items, each once, and with that the order of the microphones.
function M.files(items)
  local files, known = {}, {}
  for _, item in ipairs(items) do
    if not known[item.file] then
      files[#files + 1] = item.file
      known[item.file] = true
    end
  end
  return files
end

-- The one channel that an item plays, from 1 on, or nil if it plays more.
function M.channel(mode)
  if mode >= 3 and mode <= 66 then return mode - 2 end
  if mode >= 131 and mode <= 194 then return mode - 66 end
  return nil
end

-- Which channels of a source's stem, from 1 on, are of microphones that an item plays; `before` is the number of
-- microphones in files before the item's. nil if the manifest cannot be used.
local function played(item, source, before)
  local found = {}
  for i = 1, math.tointeger(source.channels) or 1 do
    local mic = type(source.mics) == "table" and source.mics[i]
    if type(mic) ~= "number" then return nil end
    local channel, only = mic - before, M.channel(item.mode)
    if channel >= 1 and channel <= item.channels and (only == nil or only == channel or item.channels == 1) then
      found[#found + 1] = i
    end
  end
  return found
end

-- Which part of a stem lies under an item: like the item, unless the stem is of a part of the take only (--preview). Of
-- a stem of several channels an item that plays some of their microphones has these, one each.
local function under(item, path, record, channel)
  local first = (record.first_sample or 0) / record.sample_rate
  local offset, length, position = item.offset - first, item.length, item.position
  if offset < 0 then
    position, length, offset = position - offset / item.rate, length + offset / item.rate, 0
  end
  length = math.min(length, (record.samples / record.sample_rate - offset) / item.rate)
  if length <= 0 then return nil end
  local mode = channel and (channel <= 64 and channel + 2 or channel + 66) or 0
  return {
    like = item, file = path, position = position, length = length, offset = offset, rate = item.rate, mode = mode,
  }
end

-- Which tracks are to be made, from top to bottom, and which muted items are on each: for each item the stem of the
-- source whose own microphone it is, and its residual if there is one. `items` have the `track` they are on, counted
-- from 1, `file`, `channels` of the file, `mode` (I_CHANMODE), `position`, `length`, `offset` and `rate`. nil and why if
-- the manifest cannot be used.
function M.plan(items, record, folder)
  if type(record) ~= "table" or type(record.sources) ~= "table" or type(record.samples) ~= "number"
    or type(record.sample_rate) ~= "number" or record.sample_rate <= 0 then
    return nil, "the manifest of the stems cannot be read"
  end
  local first, count = {}, 0 -- of each file, its first microphone less one
  for _, item in ipairs(items) do
    if not first[item.file] then
      first[item.file] = count
      count = count + item.channels
    end
  end
  local tracks = {}
  local function add(track, name, item)
    for _, known in ipairs(tracks) do
      if known.under == track and known.name == name then
        known.items[#known.items + 1] = item
        return
      end
    end
    tracks[#tracks + 1] = { under = track, name = name, items = { item }, place = #tracks }
  end
  for _, source in ipairs(record.sources) do
    for _, item in ipairs(items) do
      local channels = played(item, source, first[item.file])
      if not channels or type(source.file) ~= "string" or type(source.name) ~= "string" then
        return nil, "the manifest of the stems cannot be read"
      end
      local whole = #channels == (source.channels or 1)
      for n = 1, whole and 1 or #channels do
        local channel = not whole and channels[n] or nil
        local stem = under(item, folder .. "/" .. source.file, record, channel)
        if stem then add(item.track, source.name .. " stem", stem) end
        if stem and source.residual then
          add(item.track, source.name .. " residual", under(item, folder .. "/" .. source.residual, record, channel))
        end
      end
    end
  end
  table.sort(tracks, function(a, b)
    if a.under ~= b.under then return a.under < b.under end
    return a.place < b.place
  end)
  return tracks
end

-- Where the stems of a file go if nothing else is said.
function M.folder(file)
  return (file:gsub("%.[^./\\]*$", "")) .. " stems"
end

if not reaper then return M end

local TITLE, SECTION = "mnmf separate", "mnmf"
local windows = reaper.GetOS():find("Win") ~= nil

local function refuse(text) reaper.MB(text, TITLE, 0) end

local function selected_items()
  local items = {}
  for n = 0, reaper.CountSelectedMediaItems(0) - 1 do
    local item = reaper.GetSelectedMediaItem(0, n)
    local take = reaper.GetActiveTake(item)
    if take and not reaper.TakeIsMIDI(take) then
      local source, shift = reaper.GetMediaItemTake_Source(take), 0
      local section, start, _, reversed = reaper.PCM_Source_GetSectionInfo(source)
      if section then
        if reversed then return nil, "a selected item is reversed; mnmf separates files as they are" end
        source, shift = reaper.GetMediaSourceParent(source), start
      end
      items[#items + 1] = {
        item = item,
        take = take,
        track = math.tointeger(reaper.GetMediaTrackInfo_Value(reaper.GetMediaItem_Track(item), "IP_TRACKNUMBER")),
        file = reaper.GetMediaSourceFileName(source, ""),
        channels = math.tointeger(reaper.GetMediaSourceNumChannels(source)),
        mode = math.tointeger(reaper.GetMediaItemTakeInfo_Value(take, "I_CHANMODE")),
        position = reaper.GetMediaItemInfo_Value(item, "D_POSITION"),
        length = reaper.GetMediaItemInfo_Value(item, "D_LENGTH"),
        offset = reaper.GetMediaItemTakeInfo_Value(take, "D_STARTOFFS") + shift,
        rate = reaper.GetMediaItemTakeInfo_Value(take, "D_PLAYRATE"),
      }
    end
  end
  if #items == 0 then return nil, "select one audio item of each microphone of a take first" end
  return items
end

local function asked(items)
  local folder = M.folder(items[1].file)
  local program = reaper.GetExtState(SECTION, "program")
  local before = { folder, reaper.GetExtState(SECTION, "options"), program ~= "" and program or "mnmf" }
  local captions = "Folder for the stems,Options of mnmf separate,Command,extrawidth=300,separator=\n"
  local good, answers = reaper.GetUserInputs(TITLE, 3, captions, table.concat(before, "\n"))
  if not good then return nil end
  local out, options, command = answers:match("^([^\n]*)\n([^\n]*)\n([^\n]*)$")
  reaper.SetExtState(SECTION, "options", options or "", true)
  reaper.SetExtState(SECTION, "program", command or "", true)
  return out, options, command
end

local function lay(tracks)
  reaper.Undo_BeginBlock()
  reaper.PreventUIRefresh(1)
  for n = #tracks, 1, -1 do -- from the last one on, so that the numbers of those above stay as they are
    local track = tracks[n]
    reaper.InsertTrackAtIndex(track.under, false)
    local made = reaper.GetTrack(0, track.under)
    reaper.GetSetMediaTrackInfo_String(made, "P_NAME", track.name, true)
    for _, each in ipairs(track.items) do
      local item = reaper.AddMediaItemToTrack(made)
      local take = reaper.AddTakeToMediaItem(item)
      reaper.SetMediaItemTake_Source(take, reaper.PCM_Source_CreateFromFile(each.file))
      reaper.GetSetMediaItemTakeInfo_String(take, "P_NAME", track.name, true)
      for _, name in ipairs({ "D_VOL", "D_FADEINLEN", "D_FADEOUTLEN", "C_FADEINSHAPE", "C_FADEOUTSHAPE" }) do
        reaper.SetMediaItemInfo_Value(item, name, reaper.GetMediaItemInfo_Value(each.like.item, name))
      end
      for _, name in ipairs({ "D_VOL", "D_PAN", "D_PITCH", "B_PPITCH" }) do
        reaper.SetMediaItemTakeInfo_Value(take, name, reaper.GetMediaItemTakeInfo_Value(each.like.take, name))
      end
      reaper.SetMediaItemTakeInfo_Value(take, "I_CHANMODE", each.mode)
      reaper.SetMediaItemTakeInfo_Value(take, "D_PLAYRATE", each.rate)
      reaper.SetMediaItemTakeInfo_Value(take, "D_STARTOFFS", each.offset)
      reaper.SetMediaItemInfo_Value(item, "D_POSITION", each.position)
      reaper.SetMediaItemInfo_Value(item, "D_LENGTH", each.length)
      reaper.SetMediaItemInfo_Value(item, "B_LOOPSRC", 0)
      reaper.SetMediaItemInfo_Value(item, "B_MUTE", 1)
    end
  end
  reaper.PreventUIRefresh(-1)
  reaper.Undo_EndBlock("Lay stems of mnmf under their items", -1)
  reaper.UpdateArrange()
  reaper.Main_OnCommand(40047, 0) -- build any missing peaks
end

local function content(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end

local function started(script, place)
  local file = io.open(place, "wb")
  if not file then return false end
  file:write(script)
  file:close()
  if windows then return reaper.ExecProcess('cmd.exe /d /c ""' .. place .. '""', -2) ~= nil end
  return os.execute("/bin/sh " .. M.quoted(place) .. " </dev/null >/dev/null 2>&1 &")
end

local function finish(report, items, out)
  for _, line in ipairs(report.warnings) do reaper.ShowConsoleMsg("mnmf: " .. line .. "\n") end
  if report.status ~= 0 then return refuse(report.wrong) end
  for _, item in ipairs(items) do
    if not reaper.ValidatePtr2(0, item.item, "MediaItem*") then
      return refuse("the selected items have gone meanwhile; the stems are in " .. out)
    end
    local track = reaper.GetMediaItem_Track(item.item)
    item.track = math.tointeger(reaper.GetMediaTrackInfo_Value(track, "IP_TRACKNUMBER")) -- it may have been moved
  end
  local record = M.json(content(out .. "/manifest.json") or "")
  local tracks, why = M.plan(items, record, out)
  if not tracks then return refuse(why) end
  lay(tracks)
end

local function main()
  local items, why = selected_items()
  if not items then return refuse(why) end
  local out, options, program = asked(items)
  if not out then return end
  local words = M.words(options)
  if not words then return refuse("a quote in the options has no end") end
  local place = reaper.GetResourcePath() .. "/mnmf-" .. tostring(reaper.time_precise()):gsub("%D", "")
  local log, file = place .. ".log", place .. (windows and ".bat" or ".sh")
  local script, wrong = M.script(M.command(program, M.files(items), out, words), log, windows)
  if not script then return refuse(wrong) end
  if not started(script, file) then return refuse("mnmf cannot be started by " .. file) end
  local shown, next_time = 0, 0
  local function wait()
    if reaper.time_precise() < next_time then return reaper.defer(wait) end
    next_time = reaper.time_precise() + 0.5
    local report = M.report(content(log) or "")
    if report.whole >= shown + 0.1 then
      shown = report.whole
      reaper.ShowConsoleMsg(string.format("mnmf: %d%%\n", math.floor(100 * shown)))
    end
    if not report.status then return reaper.defer(wait) end
    os.remove(log)
    os.remove(file)
    finish(report, items, out)
  end
  wait()
end

main()
