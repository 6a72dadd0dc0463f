// Gives every vector on standard input to the verifier, and prints what it says of each.
import { readFileSync } from "node:fs";
import { keysOf, verify } from "../../examples/edge/verify.mjs";

const said = [];
for (const one of JSON.parse(readFileSync(0, "utf-8"))) {
  const keys = keysOf(one.secrets, one.cookie_name, one.audience);
  said.push(await verify(one.token, keys, one.now_ms, one.absolute_age_s));
}
const none = await Promise.all([undefined, null, 5, ""].map((cookie) => verify(cookie, [])));
if (none.some((one) => one.reason !== "malformed")) throw new Error("what is no text is malformed");
process.stdout.write(JSON.stringify(said));
