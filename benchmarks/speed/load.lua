-- What `wrk` asks: the lines of a file (a path, a tab, a body), one after another on each connection; one connection a
-- thread, so that each thread can take the time of its answers by status. Usage: wrk -s load.lua URL -- FILE PAUSE
-- REST, where a connection asks at most once in PAUSE seconds and rests REST to twice REST seconds after a refusal.

local ffi = require("ffi")
ffi.cdef [[ typedef struct { long seconds; long nanoseconds; } moment; int clock_gettime(int, moment *); ]]
local moment = ffi.new("moment")
local threads = {}

local function now()
   ffi.C.clock_gettime(1, moment)
   return tonumber(moment.seconds) + tonumber(moment.nanoseconds) / 1e9
end

function setup(thread)
   thread:set("number", #threads)
   threads[#threads + 1] = thread
end

function init(words)
   asked, statuses, took, began = {}, {}, {}, 0
   for line in io.lines(words[1]) do
      local path, body = line:match("^(%S+)\t(.*)$")
      local headers = { ["Content-Type"] = "application/json", Host = "localhost" }
      asked[#asked + 1] = wrk.format("POST", path, headers, body)
   end
   place = (number or 0) * 97
   math.randomseed(place)
   pause, rest, resume = tonumber(words[2]), tonumber(words[3]), 0
   if pause + rest > 0 then
      delay = function() return math.max(0, math.floor((math.max(began + pause, resume) - now()) * 1000)) end
   end
end

function request()
   place = place % #asked + 1
   began = now()
   first = first or began
   return asked[place]
end

function response(status)
   last = now()
   took[#took + 1] = last - began
   statuses[#statuses + 1] = status
   if status == 503 then resume = last + rest * (1 + math.random()) end
end

function done(summary)
   local errors = summary.errors
   local from, to = math.huge, 0
   for _, thread in ipairs(threads) do  -- they do not begin at once
      from, to = math.min(from, thread:get("first") or math.huge), math.max(to, thread:get("last") or 0)
   end
   print(string.format("seconds %.6f", to - from))
   print(string.format("broken %d", errors.connect + errors.read + errors.write + errors.timeout))
   for _, thread in ipairs(threads) do
      local codes, times = thread:get("statuses"), thread:get("took")
      for place = 1, #times do print(string.format("%d %.6f", codes[place], times[place])) end
   end
end
