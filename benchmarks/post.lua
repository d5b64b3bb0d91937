-- wrk: post one body again and again. BODY is its file, HEADERS a file of "Name: value" lines;
-- with USERS, a number, each request is of another of so many users; with PAUSE, milliseconds, each connection
-- rests before it asks again, so long on average.
local file = assert(io.open(os.getenv("BODY"), "rb"))
wrk.method, wrk.body = "POST", file:read("*a")
file:close()
for line in io.lines(os.getenv("HEADERS")) do
  local name, value = line:match("^([^:]+): (.*)$")
  wrk.headers[name] = value
end

local users, asked = tonumber(os.getenv("USERS")), 0
if users then
  function request()
    asked = asked + 1
    wrk.headers["X-User-Id"] = "user-" .. (asked * 7919) % users
    return wrk.format()
  end
end

local pause = tonumber(os.getenv("PAUSE"))
if pause then
  function delay()
    return math.random(0, 2 * pause)
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'DONE {"requests": %d, "microseconds": %d, "bytes": %d, "p50": %d, "p99": %d, "refused": %d, "broken": %d}\n',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
