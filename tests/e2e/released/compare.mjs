// Checks whether a changed document is safe for the clients of an earlier one:
//
//   node tests/e2e/released/compare.mjs openapi/released/0.1.0/openapi.json openapi/openapi.json
//
// Prints the changes and exits with 1 if the version of the second document does not allow them. Redocly rates
// changes that matter for HTTP and JSON; this adds those that matter for generated code.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const RANK = ['none', 'patch', 'minor', 'major'];

/** Every change between two documents: `{ impact, message, pointer }`. */
export function changes(before, after) {
  const [old, now] = [before, after].map((path) => JSON.parse(readFileSync(path, 'utf8')));
  return [...inHttp(before, after), ...inGeneratedCode(old, now)].filter(
    ({ message }) => !message.startsWith('#/info/version '),
  );
}

function inHttp(before, after) {
  let report;
  try {
    report = execFileSync('redocly', ['diff', before, after, '--format', 'json'], { stdio: 'pipe' });
  } catch (error) {
    if (error.status !== 1) throw error; // 1 means that a change breaks clients
    report = error.stdout;
  }
  return JSON.parse(report).changes.map(({ impact, path, property, kind, verdicts = [] }) => ({
    impact,
    pointer: path,
    message: verdicts[0]?.message ?? `${path}${property ? `/${property}` : ''} ${kind}`,
  }));
}

function* inGeneratedCode(old, now) {
  const breaks = (message) => ({ impact: 'major', message });
  for (const [name, schema] of Object.entries(old.components.schemas)) {
    const successor = now.components.schemas[name];
    // a type that users import
    if (!successor) yield breaks(`schema ${name} is gone`);
    for (const value of schema['x-extensible-enum'] ?? [])
      if (successor && !successor['x-extensible-enum']?.includes(value))
        yield breaks(`${name} has no value ${value} any more`);
  }
  for (const [path, operations] of Object.entries(old.paths))
    for (const [method, { operationId, tags }] of Object.entries(operations)) {
      const successor = now.paths[path]?.[method];
      // a class or module that users import
      if (successor && successor.tags?.[0] !== tags?.[0])
        yield breaks(`${operationId} has moved from ${tags} to ${successor.tags}`);
    }
  // generators make a closed set of it, which fails at a later value
  const [had, has] = [old, now].map((document) => closedSets(document.components.schemas));
  for (const place of has) if (!had.has(place)) yield breaks(`${place} is a closed set of values now`);
}

/** The places of `enum` in the schemas. */
function closedSets(value, place = 'schema', found = new Set()) {
  if (value === null || typeof value !== 'object') return found;
  if (Array.isArray(value.enum)) found.add(place);
  for (const [name, member] of Object.entries(value)) closedSets(member, `${place}/${name}`, found);
  return found;
}

/** The most severe impact of the changes. */
export function impact(changes) {
  return RANK[Math.max(0, ...changes.map(({ impact }) => RANK.indexOf(impact)))];
}

/**
 * Does the step from one version to the next own up to changes of this impact? As Cargo reads
 * versions: before 1.0.0 the second number says that something breaks.
 */
export function owns(before, after, impact) {
  const [old, now] = [before, after].map((version) => version.split('-')[0].split('.').map(Number));
  const first = now.findIndex((number, place) => number !== old[place]);
  if (first === -1) return impact === 'none';
  if (now[first] < old[first]) return false;
  const breaking = old[0] === 0 ? 1 : 0;
  return impact !== 'major' || first <= breaking;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [before, after] = process.argv.slice(2);
  const found = changes(before, after);
  for (const { impact, message } of found) console.log(`  ${impact}: ${message}`);
  const [old, now] = [before, after].map((path) => JSON.parse(readFileSync(path, 'utf8')).info.version);
  if (!owns(old, now, impact(found))) {
    console.error(`${impact(found)} changes since ${old}, and the version is ${now}`);
    process.exitCode = 1;
  }
}
