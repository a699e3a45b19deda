-- What scripts about bulletins share.

-- The mark: what was kept, `number:time in microseconds`, and which run of which server says so. One that was restarted or took over may have
-- lost the last bulletins and have what they told, so its marks are all new. A server that does not tell its run is believed as it is.
local function mark_of(kept)
  local info = redis.pcall('INFO', 'server')
  local run = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
  return string.format('%s:%s', kept or '0', run)
end
