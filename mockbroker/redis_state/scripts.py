"""The scripts, in Lua, that read and change the state in Redis.

Redis runs a script in one step: no other command comes between its parts. Each script gets the
prefix of the keys, and in its first two arguments the epoch of the replica and its version. The
epoch is a random string that is replaced when Redis has lost the state. A script that finds another
epoch changes nothing and returns nil. Other scripts return the version, what has changed since the
replica's version, and results of their own. The changes are nil if Redis no longer lists them all.

A change is a letter and a value:

T  a token was issued: its number, a colon, and its record
D  a token was dropped: its value
E  a token was ended before its time: its number, a colon and how (successor, revoked, expired)
R  the tokens up to a number were revoked: that number
X  every token was removed
C  a client was registered: its record
M  a client was removed: its client_id
I  every client was removed but one: its record
O  the clock was moved: its offset in seconds
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

__all__ = [
    "ADVANCE",
    "ARRIVE",
    "CLEAR_ASSERTIONS",
    "CLEAR_EXCHANGES",
    "CLEAR_FAULTS",
    "CLEAR_TOKENS",
    "COUNT_EXCHANGES",
    "COUNT_FAULTS",
    "END",
    "EXCHANGES",
    "EXTEND",
    "FAULTS",
    "FORGOTTEN",
    "HAVE_KEY",
    "ISSUE",
    "KEEP_ONE_CLIENT",
    "LISTED_CHANGES",
    "LOAD",
    "PUT_KEYS",
    "READ",
    "RECORD",
    "REGISTER",
    "REMOVE_CLIENT",
    "REMOVE_FAULT",
    "REQUEST",
    "RESET_CLOCK",
    "REVOKE",
    "USE_ASSERTION",
    "Script",
]

LISTED_CHANGES = 10_000
"""How many changes Redis lists. A replica that is further behind is loaded as a whole."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script, and the digest by which Redis knows it."""

    text: str
    digest: str = field(init=False, default="")

    def __post_init__(self) -> None:
        digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "digest", digest)


_KEYS = """
local P = KEYS[1]
local META, CHANGES = P .. 'meta', P .. 'changes'
local call = redis.call
local function refusing()
  -- A fault that lasts has the count 0.
  local bits = 0
  if call('LINDEX', P .. 'counts:token', 0) == '0' then bits = bits + 1 end
  if call('LINDEX', P .. 'counts:api', 0) == '0' then bits = bits + 2 end
  return bits
end
"""

# Redis runs one script at a time, for all workers, so scripts make few calls.
_BEGIN = (
    _KEYS
    + f"""
local head = call('HMGET', META, 'epoch', 'version', 'issued', 'revoked', 'exchanges', 'bytes')
if head[1] ~= ARGV[1] then return false end
local version = tonumber(head[2])
local function change(entry)
  version = version + 1
  call('RPUSH', CHANGES, entry)
  call('HSET', META, 'version', version)
  -- Some more than are listed, so that it seldom has to be done.
  if version % 100 == 0 then call('LTRIM', CHANGES, -{LISTED_CHANGES}, -1) end
end
local function reply(...)
  local missing = version - tonumber(ARGV[2])
  -- Redis may have read an older state from its disk. A replica that is ahead is loaded.
  if missing <= 0 then return {{version, missing == 0 and {{}}, ...}} end
  return {{version, missing <= {LISTED_CHANGES} and call('LRANGE', CHANGES, -missing, -1), ...}}
end
"""
)

READ = Script(_BEGIN + "return reply(refusing())")

ARRIVE = Script(
    _BEGIN
    + """
-- ARGV[3]: the endpoint. Takes its next fault, or one repetition of it.
local faults, counts = P .. 'faults:' .. ARGV[3], P .. 'counts:' .. ARGV[3]
local fault, count = false, call('LINDEX', counts, 0)
if count then
  fault, count = call('LINDEX', faults, 0), tonumber(count)
  if count == 1 then
    call('LPOP', faults)
    call('LPOP', counts)
    call('HDEL', META, 'begun:' .. ARGV[3])
  elseif count > 1 then
    call('LSET', counts, 0, count - 1)
    call('HSET', META, 'begun:' .. ARGV[3], 1)
  end
end
return reply(refusing(), fault, count)
"""
)

EXTEND = Script(
    _BEGIN
    + """
-- ARGV[3]: the endpoint; then, for each fault, its count and its record.
for i = 4, #ARGV, 2 do
  call('RPUSH', P .. 'counts:' .. ARGV[3], ARGV[i])
  call('RPUSH', P .. 'faults:' .. ARGV[3], ARGV[i + 1])
end
return reply(refusing())
"""
)

CLEAR_FAULTS = Script(
    _BEGIN
    + """
call('DEL', P .. 'counts:' .. ARGV[3], P .. 'faults:' .. ARGV[3])
call('HDEL', META, 'begun:' .. ARGV[3])
return reply(refusing())
"""
)

FAULTS = Script(
    _BEGIN
    + """
-- ARGV[3]: the endpoint. Returns the records of its faults, their counts, and whether an answer has
-- had the first one.
return reply(call('LRANGE', P .. 'faults:' .. ARGV[3], 0, -1),
  call('LRANGE', P .. 'counts:' .. ARGV[3], 0, -1), call('HEXISTS', META, 'begun:' .. ARGV[3]))
"""
)

REMOVE_FAULT = Script(
    _BEGIN
    + """
-- ARGV[3]: the endpoint; [4] and [5]: the count and the record of a fault. Removes the first such.
local faults, counts = P .. 'faults:' .. ARGV[3], P .. 'counts:' .. ARGV[3]
for i, fault in ipairs(call('LRANGE', faults, 0, -1)) do
  if fault == ARGV[5] and call('LINDEX', counts, i - 1) == ARGV[4] then
    -- Redis removes items of a list by their value only.
    call('LSET', faults, i - 1, 'removed')
    call('LSET', counts, i - 1, 'removed')
    call('LREM', faults, 1, 'removed')
    call('LREM', counts, 1, 'removed')
    if i == 1 then call('HDEL', META, 'begun:' .. ARGV[3]) end
    break
  end
end
return reply(refusing())
"""
)

COUNT_FAULTS = Script(
    _BEGIN
    + """
local sum = 0
for _, count in ipairs(call('LRANGE', P .. 'counts:' .. ARGV[3], 0, -1)) do
  sum = sum + math.max(1, tonumber(count))
end
return reply(sum)
"""
)

# A fingerprint of a value has four bits among 2^25, as `mockbroker.broker.forgotten_tokens` has it.
_FINGERPRINT = """
local function fingerprint(value)
  local digest, bits = redis.sha1hex(value), {}
  for i = 1, 25, 8 do
    bits[#bits + 1] = tonumber(digest:sub(i, i + 7), 16) % 33554432
  end
  return bits
end
"""

ISSUE = Script(
    _BEGIN
    + _FINGERPRINT
    + """
-- ARGV[3]: the token's record; [4]: its value; [5] and [6]: when it is issued and expires; [7]: the
-- client and scope; [8]: whether it ends the previous token; [9]: how many tokens are remembered.
-- Returns the token's number, and whether a valid token was forgotten.
local TOKENS, ORDER, EXPIRY, ENDED = P .. 'tokens', P .. 'order', P .. 'expiry', P .. 'ended'
local value, latest = ARGV[4], P .. 'latest'
local function drop(old)
  call('HDEL', P .. 'endings', call('ZSCORE', ORDER, old))
  call('HDEL', TOKENS, old)
  call('ZREM', ORDER, old)
  call('ZREM', EXPIRY, old)
  call('ZREM', ENDED, old)
  change('D' .. old)
end
-- The oldest among the first that was revoked, that was ended and that has expired; or the oldest,
-- which is then valid.
local function most_expendable()
  local oldest = call('ZRANGE', ORDER, 0, 0, 'WITHSCORES')
  local found, number = false, math.huge
  local function consider(candidate, its_number)
    if candidate and tonumber(its_number) < number then
      found, number = candidate, tonumber(its_number)
    end
  end
  if tonumber(oldest[2]) <= tonumber(head[4]) then
    consider(oldest[1], oldest[2])
  end
  local ended = call('ZRANGE', ENDED, 0, 0, 'WITHSCORES')
  consider(ended[1], ended[2])
  local expired = call('ZRANGEBYSCORE', EXPIRY, '-inf', ARGV[5], 'LIMIT', 0, 1)[1]
  consider(expired, expired and call('ZSCORE', ORDER, expired))
  return found or oldest[1], not found
end
local number, old, was_valid = head[3] + 1, nil, false
call('HSET', META, 'issued', number)
if call('HEXISTS', TOKENS, value) == 1 then
  drop(value)
elseif call('HLEN', TOKENS) >= tonumber(ARGV[9]) then
  old, was_valid = most_expendable()
  drop(old)
  for _, bit in ipairs(fingerprint(old)) do call('SETBIT', P .. 'forgotten', bit, 1) end
end
local record = number .. ':' .. ARGV[3]
call('HSET', TOKENS, value, record)
call('ZADD', ORDER, number, value)
call('ZADD', EXPIRY, ARGV[6], value)
change('T' .. record)
local previous = ARGV[8] == '1' and call('HGET', latest, ARGV[7])
if previous then
  local its_number, its_value = previous:match('^(%d+):(.*)$')
  if call('ZSCORE', ORDER, its_value) == its_number then
    call('ZADD', ENDED, its_number, its_value)
    call('HSET', P .. 'endings', its_number, 'successor')
    change('E' .. its_number .. ':successor')
  end
end
call('HSET', latest, ARGV[7], number .. ':' .. value)
return reply(number, was_valid and 1 or 0)
"""
)

END = Script(
    _BEGIN
    + """
-- ARGV[3]: the value of a token; [4]: its number; [5]: how it ends. Another number changes nothing.
if call('ZSCORE', P .. 'order', ARGV[3]) == ARGV[4] then
  call('ZADD', P .. 'ended', ARGV[4], ARGV[3])
  call('HSET', P .. 'endings', ARGV[4], ARGV[5])
  change('E' .. ARGV[4] .. ':' .. ARGV[5])
end
return reply()
"""
)

FORGOTTEN = Script(
    _BEGIN
    + _FINGERPRINT
    + """
-- ARGV[3]: a value. Returns whether a token of that value was forgotten.
for _, bit in ipairs(fingerprint(ARGV[3])) do
  if call('GETBIT', P .. 'forgotten', bit) == 0 then return reply(0) end
end
return reply(1)
"""
)

REVOKE = Script(
    _BEGIN
    + """
call('HSET', META, 'revoked', head[3])
change('R' .. head[3])
return reply()
"""
)

_KEYS_OF_TOKENS = (
    "P .. 'tokens', P .. 'order', P .. 'expiry', P .. 'ended', P .. 'endings', P .. 'latest', "
    "P .. 'forgotten', P .. 'requests'"
)

CLEAR_TOKENS = Script(
    _BEGIN
    + f"""
call('DEL', {_KEYS_OF_TOKENS})
call('HSET', META, 'issued', 0, 'revoked', 0)
change('X')
return reply()
"""
)

REQUEST = Script(
    _BEGIN
    + """
-- ARGV[3]: a client_id; [4]: the time; then, for each quota, its number of requests and its period
-- in seconds. Returns for how many seconds the client must wait. If it need not, notes the request.
local REQUESTS = P .. 'requests'
local moments, now, wait, kept = {}, tonumber(ARGV[4]), 0, 0
for moment in string.gmatch(call('HGET', REQUESTS, ARGV[3]) or '', '[^,]+') do
  moments[#moments + 1] = moment
end
for i = 5, #ARGV, 2 do
  local number = tonumber(ARGV[i])
  kept = math.max(kept, number)
  if #moments >= number then
    wait = math.max(wait, moments[#moments - number + 1] + ARGV[i + 1] - now)
  end
end
if wait <= 0 then
  moments[#moments + 1] = ARGV[4]
  call('HSET', REQUESTS, ARGV[3], table.concat(moments, ',', math.max(1, #moments - kept + 1)))
end
return reply(tostring(wait))
"""
)

REGISTER = Script(
    _BEGIN
    + """
-- ARGV[3]: a client_id; [4]: the client's record. The first client stays the first.
local ids = P .. 'client_ids'
if call('LINDEX', ids, 0) ~= ARGV[3] then
  call('LREM', ids, 0, ARGV[3])
  call('RPUSH', ids, ARGV[3])
end
call('HSET', P .. 'clients', ARGV[3], ARGV[4])
change('C' .. ARGV[4])
return reply()
"""
)

REMOVE_CLIENT = Script(
    _BEGIN
    + """
-- ARGV[3]: a client_id. Returns how many clients there were with that id, and altogether.
local ids = P .. 'client_ids'
local found, count = call('HEXISTS', P .. 'clients', ARGV[3]), call('LLEN', ids)
if found == 1 and count > 1 then
  call('LREM', ids, 0, ARGV[3])
  call('HDEL', P .. 'clients', ARGV[3])
  change('M' .. ARGV[3])
end
return reply(found, count)
"""
)

KEEP_ONE_CLIENT = Script(
    _BEGIN
    + """
call('DEL', P .. 'client_ids', P .. 'clients')
call('RPUSH', P .. 'client_ids', ARGV[3])
call('HSET', P .. 'clients', ARGV[3], ARGV[4])
change('I' .. ARGV[4])
return reply()
"""
)

ADVANCE = Script(
    _BEGIN
    + """
change('O' .. call('HINCRBYFLOAT', META, 'offset', ARGV[3]))
return reply()
"""
)

RESET_CLOCK = Script(
    _BEGIN
    + """
call('HSET', META, 'offset', 0)
change('O0')
return reply()
"""
)

RECORD = Script(
    _BEGIN
    + """
-- ARGV[3]: an exchange's record; [4]: its size in bytes; [5] and [6]: the limits of the journal.
local EXCHANGES = P .. 'exchanges'
local number, bytes = head[5] + 1, head[6] + ARGV[4]
local count = call('RPUSH', EXCHANGES, ARGV[4] .. ':' .. ARGV[3])
while count > tonumber(ARGV[5]) or (bytes > tonumber(ARGV[6]) and count > 1) do
  bytes = bytes - call('LPOP', EXCHANGES):match('^%d+')
  count = count - 1
end
call('HSET', META, 'exchanges', number, 'bytes', bytes)
return reply(number)
"""
)

EXCHANGES = Script(
    _BEGIN
    + """
-- ARGV[3]: a number. Returns the number of the last exchange, and the exchanges after that number,
-- each with its size, a colon and its record.
local total = tonumber(head[5])
local wanted = total - ARGV[3]
return reply(total, wanted > 0 and call('LRANGE', P .. 'exchanges', -wanted, -1) or {})
"""
)

COUNT_EXCHANGES = Script(_BEGIN + "return reply(tonumber(head[5]), call('LLEN', P .. 'exchanges'))")

CLEAR_EXCHANGES = Script(
    _BEGIN
    + """
call('DEL', P .. 'exchanges')
call('HSET', META, 'exchanges', 0, 'bytes', 0)
return reply()
"""
)

HAVE_KEY = Script(
    _BEGIN
    + """
-- ARGV[3]: a key, which becomes the first one if there is none, or empty. Returns the keys, the
-- oldest first.
local KEYS_OF_TOKENS = P .. 'keys'
if ARGV[3] ~= '' and call('EXISTS', KEYS_OF_TOKENS) == 0 then
  call('RPUSH', KEYS_OF_TOKENS, ARGV[3])
end
return reply(call('LRANGE', KEYS_OF_TOKENS, 0, -1))
"""
)

PUT_KEYS = Script(
    _BEGIN
    + """
-- ARGV[3]: which keys are removed: "none", "withdraw" (all) or "reset" (all but the first); [4]: a
-- key that is added, or empty.
local KEYS_OF_TOKENS = P .. 'keys'
if ARGV[3] == 'withdraw' then call('DEL', KEYS_OF_TOKENS) end
if ARGV[3] == 'reset' then call('LTRIM', KEYS_OF_TOKENS, 0, 0) end
if ARGV[4] ~= '' then call('RPUSH', KEYS_OF_TOKENS, ARGV[4]) end
return reply()
"""
)

USE_ASSERTION = Script(
    _BEGIN
    + """
-- ARGV[3]: what identifies an assertion; [4]: how many are remembered. Returns whether it is new.
local USED, ORDER = P .. 'assertions', P .. 'assertion_order'
if call('SADD', USED, ARGV[3]) == 0 then return reply(0) end
local count = call('RPUSH', ORDER, ARGV[3])
if count > tonumber(ARGV[4]) then call('SREM', USED, call('LPOP', ORDER)) end
return reply(1)
"""
)

CLEAR_ASSERTIONS = Script(
    _BEGIN
    + """
call('DEL', P .. 'assertions', P .. 'assertion_order')
return reply()
"""
)

LOAD = Script(
    _KEYS
    + f"""
-- ARGV[1]: an epoch for a state that does not exist yet; then, for each of its clients, its
-- client_id and its record. Returns the whole state but the faults and the exchanges.
if not call('HGET', META, 'epoch') then
  call('DEL', CHANGES, P .. 'keys', P .. 'exchanges', P .. 'clients', P .. 'client_ids',
    P .. 'assertions', P .. 'assertion_order',
    P .. 'counts:token', P .. 'faults:token', P .. 'counts:api', P .. 'faults:api',
    {_KEYS_OF_TOKENS})
  call('HSET', META, 'epoch', ARGV[1], 'version', 0, 'issued', 0, 'revoked', 0, 'offset', 0,
    'exchanges', 0, 'bytes', 0)
  for i = 2, #ARGV, 2 do
    call('RPUSH', P .. 'client_ids', ARGV[i])
    call('HSET', P .. 'clients', ARGV[i], ARGV[i + 1])
  end
end
local meta = call('HMGET', META, 'epoch', 'version', 'revoked', 'offset')
local clients = {{}}
for i, id in ipairs(call('LRANGE', P .. 'client_ids', 0, -1)) do
  clients[i] = call('HGET', P .. 'clients', id)
end
local endings = call('HGETALL', P .. 'endings')
return {{meta[1], tonumber(meta[2]), refusing(), tonumber(meta[3]), meta[4], clients,
  call('HVALS', P .. 'tokens'), endings}}
"""
)
