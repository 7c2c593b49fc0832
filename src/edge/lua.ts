// The few lines of Lua inside HAProxy: holding requests while nobody can serve them, replays, and
// servers that went silent. The idea: what must go on without the daemon can't be in the daemon.
// Danger: one Lua state serves all threads under one lock, so ordinary requests must not enter it.

import { REPLAY_LOOK_MS, SILENT_S_MAX } from "./config.ts";

const POLL_MS = 250;

/** The text of wait.lua; `statsSocket` is where the current worker answers. */
export function renderLua(): string {
  return `-- Rendered by Understudy; changes are overwritten.

local stopping = false -- this worker was replaced by a reload; its health checks have stopped
local lost = {}        -- request id -> which server it was lost with, until its replay asks
local LOST_KEPT_S = 60

local function sinceArrival(txn)
  local arrived = tonumber(txn:get_var("txn.arrived"))
  if arrived == nil then return 0 end
  local now = core.now()
  return now.sec * 1000 + now.usec // 1000 - arrived
end

-- Waits until a server of BACKEND can take the request, at most LIMIT ms since it arrived. In a
-- former worker it returns at once: the outer tier then takes the request to the current one.
local function hold(txn, backend, limit)
  local max = tonumber(limit)
  while txn.f:nbsrv(backend) < 1 and not stopping and sinceArrival(txn) < max do
    core.msleep(${POLL_MS})
  end
end

core.register_action("hold", { "http-req" }, hold, 2)

-- A request that comes again: its server died, and others may have died with it.
core.register_action("again", { "http-req" }, function(txn, backend, limit)
  local id = txn:get_var("txn.id")
  if id ~= nil and lost[id] ~= nil then
    txn:set_var("txn.lost", lost[id].server)
    lost[id] = nil
  end
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

-- Silence only: a server that answers its check, with whatever status, goes on with what it has.
local function isSilent(stats)
  local check = stats.check_status or ""
  return string.match(stats.status or "", "^DOWN") ~= nil
    and (string.match(check, "TOUT$") ~= nil or check == "L4CON" or check == "SOCKERR")
    and (stats.lastchg or 0) >= ${SILENT_S_MAX}
end

local function endSilent()
  for name, server in pairs(core.backends["compilers"].servers) do
    if isSilent(server:get_stats()) then
      server:shut_sess()
      local light = core.backends["light"].servers[name]
      if light ~= nil then light:shut_sess() end
    end
  end
end

core.register_task(function()
  while true do
    core.msleep(500)
    stopping = tonumber(core.get_info()["Stopping"]) == 1
    forgetOld(core.now().sec)
    if not stopping then endSilent() end
  end
end)
`;
}
