"""What RedisRevocationList keeps in the server, byte for byte, and the scripts that change it.

Keys are text:

    dcs1:{<prefix>}:<kind><rest>

`dcs1` is this format, `<prefix>` the 16 hexadecimal digits of the application's 8 bytes, `<kind>`
one letter, and `<rest>` URL-safe base64 without padding:

    s   a session; rest: its id, 22 characters, as `inspect` shows it
    u   a subject; rest: the SHA-256 of its text, 43 characters
    *   everything; no rest
    c   the clock: the last number handed out; no rest
    r   milliseconds that entries live: the longest that any node was set to; no rest

The braces are a hash tag: a Cluster keeps all keys of one application in one slot, so on one node.
Its list can't grow past the memory of that node (at about 150 bytes an entry, a gigabyte holds
seven million revocations); several applications spread over several nodes.

Values are decimal text, which the server stores as one 64-bit number:

    n > 0   the epoch, which is also when the entry was made, in microseconds since 1970
    n < 0   an ended session (epoch 2**53 - 1); made -n microseconds after 1970
    0       `everything` of a list made anew under on_lost="accept"

Sessions and subjects expire in the server (PX); the other kinds never do.
"""

from __future__ import annotations

import hashlib
from binascii import b2a_base64
from functools import lru_cache

from ._counting import clock_scope, retention_scope
from .base import LAST_EPOCH, PREFIX_BYTES


class Script:
    """A Lua script, known to the server by its SHA-1 once it has seen it."""

    __slots__ = ("sha", "source")

    def __init__(self, source: str) -> None:
        self.source: str = source
        # The server names scripts so; nothing rests on its being hard to forge.
        self.sha: str = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


_NEXT = """
local function next_number(floor)
  local now = redis.call('TIME')
  local last = tonumber(redis.call('GET', KEYS[2]) or '0')
  return math.max(now[1] * 1000000 + now[2], last + 1, floor + 1)
end
local function text(number) return string.format('%.0f', number) end
"""

_KEEP = """
local function longest(lives)
  local kept = tonumber(redis.call('GET', KEYS[3]) or '0')
  if lives > kept then redis.call('SET', KEYS[3], string.format('%.0f', lives)) end
  return math.max(lives, kept)
end
"""

RAISE = Script(
    _NEXT
    + _KEEP
    + f"""
-- KEYS: scope, clock, retention.
-- ARGV: milliseconds to live (0: for ever), expected epoch ('': any), last?
local value = redis.call('GET', KEYS[1]) or '0'
if tonumber(value) < 0 then return ARGV[2] == '' and {LAST_EPOCH} or false end
if ARGV[2] ~= '' and value ~= ARGV[2] then return false end
local last = ARGV[3] == '1'
local number = next_number(last and 0 or tonumber(value))
local stored = (last and '-' or '') .. text(number)
if ARGV[1] == '0' then redis.call('SET', KEYS[1], stored)
else redis.call('SET', KEYS[1], stored, 'PX', text(longest(tonumber(ARGV[1])))) end
redis.call('SET', KEYS[2], text(number))
return last and {LAST_EPOCH} or number
"""
)
"""Gives the epoch that stands then, or nil where it was not the expected one."""

MAKE_EVERYTHING = Script(
    _NEXT
    + """
-- KEYS: everything, clock, retention. ARGV: start at zero?
local value = redis.call('GET', KEYS[1])
if value then return {tonumber(value), 0} end
local number = ARGV[1] == '1' and 0 or next_number(0)
redis.call('SET', KEYS[1], text(number))
return {number, 1}
"""
)
"""Gives the epoch that stands then, and whether this call made it."""

AGE = Script(
    """
-- KEYS: scope, clock, retention
local value = tonumber(redis.call('GET', KEYS[1]) or '0')
if value == 0 then return false end
local now = redis.call('TIME')
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
local made = math.abs(value)
return math.max(now[1] * 1000000 + now[2], last, made) - made
"""
)
"""Gives microseconds since the entry was made, or nil without one."""


KEEP_RETENTION = Script(
    _KEEP
    + """
-- KEYS: scope, clock, retention. ARGV: milliseconds that entries of this node live
return longest(tonumber(ARGV[1]))
"""
)
"""Gives milliseconds that entries live, the longest of all nodes."""

_REST = PREFIX_BYTES + 1
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _tag(prefix: bytes) -> bytes:
    return b"dcs1:{%b}:" % prefix.hex().encode()


@lru_cache(maxsize=16_384)
def key_of(scope: bytes) -> bytes:
    """The key of a scope."""
    rest = b2a_base64(scope[_REST:], newline=False).translate(_URL_SAFE, b"=")
    return _tag(scope[:PREFIX_BYTES]) + scope[PREFIX_BYTES:_REST] + rest


def script_keys(scope: bytes) -> tuple[bytes, bytes, bytes]:
    """The keys that every script is given: scope, clock and retention of its application."""
    return key_of(scope), key_of(clock_scope(scope)), key_of(retention_scope(scope))


def entry_pattern(prefix: bytes) -> bytes:
    """What SCAN matches the sessions and subjects of one application with."""
    return _tag(prefix) + b"[su]*"


def epoch_of(value: bytes | str) -> int:
    """The epoch that a stored value stands for.

    Raises:
        ValueError: somebody else wrote it.
    """
    number = int(value)
    return LAST_EPOCH if number < 0 else number


def made_of(value: bytes | str) -> int:
    """When the entry was made, microseconds since 1970."""
    return abs(int(value))
