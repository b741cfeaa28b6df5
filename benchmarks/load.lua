-- Requests for wrk: LOAD_PATH and LOAD_BODY, with SEED another number each time.
local path, body = os.getenv("LOAD_PATH"), os.getenv("LOAD_BODY")
local expected = tonumber(os.getenv("LOAD_STATUS"))
local number = tonumber(os.getenv("LOAD_FROM"))
local threads = {}
wrong = 0

function setup(thread) table.insert(threads, thread) end

function init()
  if body == "" then body = nil else
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/json"
  end
end

local function filled(text)
  return text and (text:gsub("SEED", string.format("%.0f", number)))
end

function request()
  number = number + 1
  return wrk.format(nil, filled(path), nil, filled(body))
end

function response(status)
  if status ~= expected then wrong = wrong + 1 end
end

function done(summary, latency)
  local lost = summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.timeout
  for _, thread in ipairs(threads) do lost = lost + thread:get("wrong") end
  print(string.format(
    '{"requests": %d, "rate": %.2f, "p50": %.3f, "p95": %.3f, "p99": %.3f, "wrong": %d}',
    summary.requests, summary.requests / (summary.duration / 1e6),
    latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3, lost))
end
