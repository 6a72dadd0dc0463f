// An OpenID provider on the loopback, at which anybody logs in by a name alone.
// SITE_PORT: where it listens; PROVIDER_CLIENTS: its clients, as JSON.
import { generateKeyPairSync } from "node:crypto";
import Provider from "oidc-provider";

const port = Number(process.env.SITE_PORT);
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: JSON.parse(process.env.PROVIDER_CLIENTS),
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid: "one", use: "sig", alg: "RS256" }] },
  cookies: { keys: ["of the tests"] },
  features: {
    backchannelLogout: { enabled: true },
    devInteractions: { enabled: true },
  },
  findAccount: (context, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
  // Without the dispatcher that keeps it from the loopback, and without its limit of 2.5 seconds,
  // which a busy machine may take.
  fetch: (url, { dispatcher, signal, ...options }) => fetch(url, options),
  // No page that asks for consent: every client is the tests' own.
  loadExistingGrant: async (context) => {
    const { client, session, provider: own } = context.oidc;
    const grant = new own.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope("openid");
    await grant.save();
    return grant;
  },
});

provider.on("backchannel.success", (context, client) => console.log(`told ${client.clientId}`));
provider.on("backchannel.error", (context, error, client) =>
  console.log(`could not tell ${client.clientId}: ${error.message}`),
);
provider.on("authorization.success", (context) =>
  console.log(`sid ${context.oidc.session.sidFor(context.oidc.client.clientId)}`),
);
provider.on("server_error", (context, error) => console.log(error));

provider.listen(port, "127.0.0.1");
