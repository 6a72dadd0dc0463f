// Verifies a duck-cookie-session cookie at a CDN worker or gateway: WebCrypto, no dependencies.
// What it can't know is the revocation list: let in here, a session may still be refused behind.

const utf8 = new TextEncoder(), text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const field = (x) => [x.length >> 24, x.length >> 16, x.length >> 8, x.length, ...x];
const base64url = (b) => btoa(b).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
const latin = (bytes) => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
const bytesOf = (binary) => Uint8Array.from(binary, (char) => char.charCodeAt(0));

/** The keys of one application; derive them once. Secrets are text or bytes, newest first. */
export function keysOf(secrets, cookieName, audience = "") {
  const parts = ["duck-cookie-session", "1", cookieName, audience].map((x) => utf8.encode(x));
  const info = new Uint8Array(parts.flatMap(field));
  return Promise.all(secrets.map(async (secret) => {
    const bytes = typeof secret === "string" ? utf8.encode(secret) : secret;
    const base = await crypto.subtle.importKey("raw", bytes, "HKDF", false, ["deriveBits"]);
    const hmac = { name: "HMAC", hash: "SHA-256" };
    const hkdf = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info };
    const key = await crypto.subtle.deriveBits(hkdf, base, 256);
    return Promise.all([
      crypto.subtle.importKey("raw", key.slice(0, 16), hmac, false, ["verify"]),
      crypto.subtle.importKey("raw", key.slice(16), "AES-CBC", false, ["decrypt"]),
    ]);
  }));
}

/** What a cookie says: { liveUntil (ms since 1970), sessionId, subject }, or { reason }. */
export async function verify(cookie, keys, nowMs = Date.now(), absoluteAgeS = 30 * 86400) {
  const raw = decoded(cookie);
  const plain = raw && (await opened(raw, await keys));
  if (raw && !plain) return { reason: "no key" };
  const claims = plain && readClaims(plain);
  if (!claims) return { reason: "malformed" };
  const { sessionId, subject, created, expires } = claims;
  const oldest = (created + absoluteAgeS) * 1000;
  if (nowMs >= expires) return { reason: "expired" };
  if (nowMs >= oldest) return { reason: "too old" };
  return { liveUntil: Math.min(expires, oldest), sessionId, subject };
}

function decoded(cookie) {
  if (typeof cookie !== "string" || cookie.length % 4 === 1) return null;
  if (!/^[A-Za-z0-9_-]{1,4096}$/.test(cookie)) return null;
  const binary = atob(cookie.replaceAll("-", "+").replaceAll("_", "/"));
  return base64url(binary) === cookie ? bytesOf(binary) : null;
}

async function opened(raw, keys) {
  const signed = raw.subarray(0, -32), mac = raw.subarray(-32), sealed = signed.subarray(25);
  if (raw[0] !== 0x80 || !sealed.length || sealed.length % 16) return null;
  for (const [signing, encryption] of keys) {
    if (!(await crypto.subtle.verify("HMAC", signing, mac, signed))) continue;
    const cbc = { name: "AES-CBC", iv: signed.subarray(9, 25) };
    const plain = await crypto.subtle.decrypt(cbc, encryption, sealed).catch(() => null);
    if (plain) return new Uint8Array(plain);
  }
  return null;
}

// The claims, or null for what no writer writes. The data are not looked at.
function readClaims(plain) {
  let at = 0, good = true, subject = null;
  const take = (size) => ((good &&= at + size <= plain.length), plain.subarray(at, (at += size)));
  const number = (size) => take(size).reduce((sum, byte) => sum * 256 + byte, 0);
  const counted = (n = number(7)) => (good &&= n > 0 && n <= Number.MAX_SAFE_INTEGER);
  const version = number(1), flags = number(2), sessionId = base64url(latin(take(16)));
  const [created, expires] = [number(5), number(6), number(5)];
  const has = (flag) => (flags & flag) !== 0;
  good &&= version === 1 && flags < 2048 && (has(64) || !has(16 | 128));
  for (const flag of [2, 4, 4, 8, 16, 32]) if (good && has(flag)) counted();
  if (good && has(64)) {
    const size = number(has(128) ? 2 : 1);
    subject = readText(take(size));
    good &&= subject !== null && (size > 255 || !has(128));
  }
  if (good && has(256)) readGroups(number(1));
  const authenticated = has(512) ? number(5) : null;
  good &&= authenticated !== created;
  return good ? { sessionId, created, expires, subject } : null;

  function readGroups(mark) {
    const count = mark & 7;
    good &&= count >= 1 && count <= 4 && !(mark & 8) && mark >> 4 < 1 << count;
    for (let i = 0, last = "", next; good && i < count; i++, last = next) {
      next = latin(take(16));
      good &&= next > last;
      if ((mark >> (4 + i)) & 1) counted();
    }
  }
}

// UTF-8 in which lone surrogates take three bytes; null for what is none.
function readText(bytes) {
  const parts = latin(bytes).split(/(\xed[\xa0-\xbf][\x80-\xbf])/);
  const surrogate = ([, b, c]) =>
    String.fromCharCode(0xd000 | ((b.charCodeAt(0) & 63) << 6) | (c.charCodeAt(0) & 63));
  const read = (part, i) => i % 2 ? surrogate(part) : text.decode(bytesOf(part));
  try { return parts.map(read).join(""); } catch { return null; }
}
