// oidc-provider as an authorization server for machines, by TLS on loopback: node server.mjs PORT MODULES SETTINGS
// SETTINGS names a JSON file: certificate and key (PEM files), clients (as oidc-provider registers them), scopes.
// `POST /control` changes what its answers are: ttl (seconds), delay (milliseconds before a token is answered), audience
// and format (`opaque`, `jwt`) of its tokens; it returns how often a token was asked for, and the proofs it was sent.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';

const [port, modules, file] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(createRequire(`${modules}/`).resolve('oidc-provider')));
const settings = JSON.parse(readFileSync(file));
const state = { ttl: 300, delay: 0, audience: settings.audience, format: 'opaque' };
const counted = { tokens: 0, proofs: [] };

const provider = new Provider(`https://127.0.0.1:${port}`, {
  clients: settings.clients,
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
  clientAuthSigningAlgValues: ['RS384', 'ES384'],
  clockTolerance: 0,
  scopes: settings.scopes,
  jwks: settings.jwks,
  enabledJWA: {
    clientAuthSigningAlgValues: ['RS384', 'ES384'],
  },
  async assertJwtClientAuthClaimsAndHeader(ctx, claims) {
    if (claims.exp - Date.now() / 1000 > 300) {
      ctx.throw(401, 'exp is too far away');
    }
  },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: (ctx, client) => client.clientId === 'guard' },
    revocation: { enabled: true, allowedPolicy: (ctx, client) => client.clientId === 'guard' },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => state.audience,
      useGrantedResource: () => true,
      getResourceServerInfo: (ctx, indicator) => ({
        scope: settings.scopes.join(' '),
        audience: indicator,
        accessTokenTTL: state.ttl,
        accessTokenFormat: state.format,
      }),
    },
  },
});

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

const answer = provider.callback();
const tls = { cert: readFileSync(settings.certificate), key: readFileSync(settings.key) };
createServer(tls, async (request, response) => {
  if (request.url === '/control') {
    Object.assign(state, JSON.parse((await bodyOf(request)) || '{}'));
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify({ ...state, ...counted }));
    return;
  }
  if (request.url === '/token') {
    counted.tokens += 1;
    request.body = await bodyOf(request);
    const form = new URLSearchParams(request.body);
    counted.proofs.push(form.get('client_assertion') ?? form.get('client_secret') ?? request.headers.authorization ?? '');
    await sleep(state.delay);
  }
  answer(request, response);
}).listen(Number(port), '127.0.0.1', () => console.log(`authorization ready on ${port}`));
