"""The scripts that RedisRevocationList runs in the server; `_redis_format` says what they keep.

Every key that a script touches is among its KEYS, as a Cluster asks for. Numbers stay below 2**53,
so the doubles of Lua hold them exactly.
"""

from __future__ import annotations

import hashlib

from ._history import STRETCH_US
from .base import LAST_EPOCH

CHECKPOINT_IS_DUE = -1
"""What a script gives, having changed nothing, when it is to replace the checkpoint whose name it
gives as well: only the caller can say which key that one gets."""

ANSWERS_LIVE = 60_000
"""Milliseconds for which the answer of a compare is kept: longer than any client tries again."""


_LONGER = 86_400_000  # milliseconds: further ahead no clock is expected to run


class Script:
    """A Lua script, known to the server by its SHA-1 once it has seen it."""

    __slots__ = ("sha", "source")

    def __init__(self, source: str) -> None:
        self.source: str = source
        # The server names scripts so; nothing rests on its being hard to forge.
        self.sha: str = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


# The replication id is the server's identity: a server draws a new one when it starts and when it
# becomes the primary, so a list that may be another than at the last raise shows by it.
_HISTORY = f"""
-- KEYS: scope, history, retention, a checkpoint, nonce. ARGV: a random name, milliseconds that
-- entries of this node live, does this node go by births?, name of the checkpoint
local function text(number) return string.format('%.0f', number) end
local function epoch_of(value)
  if not value then return 0 end
  if string.find(value, '^%-%d+$') then return {LAST_EPOCH} end
  local epoch = string.match(value, '^(%d+)$') or string.match(value, '^(%d+) %d+$')
  return tonumber(epoch) or error('the value of ' .. KEYS[1] .. ' is not ours')
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local lives = tonumber(ARGV[2])
local kept = tonumber(redis.call('GET', KEYS[3]) or '0')
if lives > kept then redis.call('SET', KEYS[3], ARGV[2]) else lives = kept end
local here = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)') or '-'
local clock, birth, newest, everything, made, where = 0, '0', '0', 0, now, here
local history = redis.call('GET', KEYS[2])
if history then
  clock, birth, newest, everything, made, where =
    string.match(history, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%S+)$')
  clock, everything, made = tonumber(clock), tonumber(everything), tonumber(made)
end
local function keep_history()
  redis.call('SET', KEYS[2], table.concat(
    {{text(clock), birth, newest, text(everything), text(made), where}}, ' '))
end
local begun = 0
if not history or (birth == '0' and ARGV[3] == '1') then
  begun = 1
  if ARGV[3] == '1' then birth, newest, made, where = ARGV[1], ARGV[1], now, here end
  keep_history()
end
local due = birth ~= '0' and (where ~= here or math.abs(now - made) >= {STRETCH_US})
local function next_number(floor)
  local number = math.min(math.max(now, clock + 1, floor + 1), {LAST_EPOCH})
  if due then
    -- Nobody carries a checkpoint under which no number was given out.
    if clock > 0 then
      -- Until every token that speaks of it is refused for its age, and longer: the server may drop
      -- it while its clock is ahead, and a token of then must prove nothing once that is set back.
      local longer = {_LONGER} + math.max(0, clock - now) / 1000
      redis.call('SET', KEYS[4], text(clock), 'PX', text(lives + longer))
    end
    newest, made, where = ARGV[1], now, here
  end
  clock = number
  keep_history()
  return number
end
"""

_ANSWERED = f"""
-- Always, so that a WAIT after a call which has nothing to change waits for what it goes by.
redis.call('SET', KEYS[3], text(lives))
if due and clock > 0 and ARGV[4] ~= newest then return {{{CHECKPOINT_IS_DUE}, begun, newest}} end
local answered = KEYS[5] and redis.call('GET', KEYS[5])
if answered then return {{tonumber(answered), begun}} end
local function answer(epoch)
  if KEYS[5] then redis.call('SET', KEYS[5], text(epoch), 'PX', {ANSWERS_LIVE}) end
  return {{epoch, begun}}
end
"""

RAISE = Script(
    _HISTORY
    + _ANSWERED
    + f"""
-- ARGV[5]: is it everything? ARGV[6]: the epoch expected ('': any).
-- ARGV[7]: the epoch that it gets ('': the clock's)
local standing = everything
if ARGV[5] == '0' then standing = epoch_of(redis.call('GET', KEYS[1])) end
if ARGV[6] ~= '' and (standing ~= tonumber(ARGV[6]) or standing == {LAST_EPOCH}) then
  return answer(0)
end
if standing == {LAST_EPOCH} then return answer(standing) end
local last = ARGV[7] == '{LAST_EPOCH}'
local number = next_number(last and 0 or standing)
if ARGV[5] == '1' then
  everything = number
  keep_history()
  return answer(number)
end
local value, epoch = text(number), number
if last then value, epoch = '-' .. value, {LAST_EPOCH}
elseif ARGV[7] ~= '' then value, epoch = ARGV[7] .. ' ' .. value, tonumber(ARGV[7]) end
redis.call('SET', KEYS[1], value, 'PX', text(lives))
return answer(epoch)
"""
)
"""Gives the epoch that stands then (0: it was not the expected one), and whether the list began."""

RAISE_IF_FORGOTTEN = Script(
    _HISTORY
    + _ANSWERED
    + """
-- KEYS[6]: the token's checkpoint.
-- ARGV[5 to 8]: its birth, its checkpoint, its reach, its epoch of everything
local its_reach, its_everything = tonumber(ARGV[7]), tonumber(ARGV[8])
local function proven()
  if ARGV[5] ~= birth or its_everything < everything then return false end
  if its_everything > everything then return true end
  if ARGV[6] == '0' or its_reach < math.max(now, clock) - lives * 1000 then return false end
  local reach = clock
  if ARGV[6] ~= newest then reach = tonumber(redis.call('GET', KEYS[6]) or '-1') end
  return its_reach > reach
end
if not proven() then return answer(0) end
everything = next_number(math.max(everything, its_everything))
keep_history()
return answer(everything)
"""
)
"""Gives the new epoch of everything (0: nothing is proven), and whether the list began."""

BEGIN = Script(_HISTORY + "return {0, begun}")
"""Has the list know the application, and how long this node needs its entries; the same reply."""

NEW_BIRTH = Script(
    _HISTORY
    + """
birth, newest, made, where = ARGV[1], ARGV[1], now, here
keep_history()
return {tonumber(birth), begun}
"""
)
"""Gives the new birth, and whether the list began."""
