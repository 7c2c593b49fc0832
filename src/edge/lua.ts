// The few lines of Lua inside HAProxy: holding requests while nobody can serve them, replays, and
// servers that went silent. The idea: what must go on without the daemon can't be in the daemon.
// Danger: one Lua state serves all threads under one lock, so ordinary requests must not enter it.

import { REPLAY_LOOK_MS, SILENT_S_MAX } from "./config.ts";

const POLL_MS = 250;

/** The text of wait.lua; `statsSocket` is where the current worker answers. */
export function renderLua(statsSocket: string): string {
  return `-- Rendered by Understudy; changes are overwritten.

local stopping = false -- this worker was replaced by a reload; its health checks have stopped
local lost = {}        -- request id -> the server that it was lost with
local LOST_KEPT_S = 660 -- longer than any replay waits

local function nowMs()
  local now = core.now()
  return now.sec * 1000 + now.usec // 1000
end

-- Until when a request may be held: LIMIT ms since it arrived.
local function latestFor(txn, limit)
  return (tonumber(txn:get_var("txn.arrived")) or nowMs()) + tonumber(limit)
end

-- Waits until a server of BACKEND can take the request. In a former worker it returns at once: the
-- outer tier then takes the request to the current one.
local function hold(txn, backend, limit)
  local latest = latestFor(txn, limit)
  while txn.f:nbsrv(backend) < 1 and not stopping and nowMs() < latest do
    core.msleep(${POLL_MS})
  end
end

core.register_action("hold", { "http-req" }, hold, 2)

-- A request that comes again: its server died, and others may have died with it.
core.register_action("again", { "http-req" }, function(txn, backend, limit)
  local id = txn:get_var("txn.id")
  if id ~= nil and lost[id] ~= nil then
    txn:set_var("txn.lost", lost[id].server)
  end
  -- Nobody looks anew for one whose time is up.
  if nowMs() >= latestFor(txn, limit) then return end
  core.msleep(${REPLAY_LOOK_MS})
  hold(txn, backend, limit)
end, 2)

-- Called where a server was lost in the middle of a request.
core.register_fetches("note_loss", function(txn)
  local id = txn:get_var("txn.id")
  local server = txn.f:srv_name()
  if id ~= nil then lost[id] = { server = server or "?", at = core.now().sec } end
  return server or "?"
end)

local function forgetOld(now)
  for id, entry in pairs(lost) do
    if now - entry.at > LOST_KEPT_S then lost[id] = nil end
  end
end

-- Backends whose servers lose their requests after so many seconds of silence since they were marked
-- down, and a backend that takes requests to the same servers.
local WATCHED = {
  { backend = "compilers", also = "light", silentS = ${SILENT_S_MAX} },
  { backend = "authority", silentS = 1 },
  { backend = "changes", silentS = 1 },
}

-- Silence only: a server that answers its check, with whatever status, goes on with what it has.
local function isSilent(status, check, since, most)
  return string.match(status or "", "^DOWN") ~= nil
    and (string.match(check or "", "TOUT$") ~= nil or check == "L4CON" or check == "SOCKERR")
    and (tonumber(since) or 0) >= most
end

local function endRequests(watched, name)
  for _, backend in ipairs({ watched.backend, watched.also }) do
    local server = core.backends[backend].servers[name]
    if server ~= nil then server:shut_sess() end
  end
end

local function watchHere(watched)
  for name, server in pairs(core.backends[watched.backend].servers) do
    local stats = server:get_stats()
    if isSilent(stats.status, stats.check_status, stats.lastchg, watched.silentS) then
      endRequests(watched, name)
    end
  end
end

local function fields(line)
  local list = {}
  for field in string.gmatch(line .. ",", "([^,]*),") do list[#list + 1] = field end
  return list
end

-- A former worker's own checks have stopped, so it asks the current worker.
local function watchThere(watched)
  local socket = core.tcp()
  socket:settimeout(2)
  if socket:connect("unix@${statsSocket}") == nil then return end
  socket:send("show stat " .. watched.backend .. " 4 -1\\n")
  local text = socket:receive("*a") or ""
  socket:close()
  local column = {}
  for line in string.gmatch(text, "[^\\n]+") do
    local list = fields(line)
    if string.sub(line, 1, 1) == "#" then
      for index, name in ipairs(list) do column[name] = index end
    elseif isSilent(list[column.status], list[column.check_status], list[column.lastchg],
        watched.silentS) then
      endRequests(watched, list[column.svname])
    end
  end
end

core.register_task(function()
  while true do
    core.msleep(stopping and 2000 or 500)
    stopping = tonumber(core.get_info()["Stopping"]) == 1
    forgetOld(core.now().sec)
    for _, watched in ipairs(WATCHED) do
      pcall(stopping and watchThere or watchHere, watched)
    end
  end
end)
`;
}
