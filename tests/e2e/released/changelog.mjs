// Lists what changed between two documents, operation by operation, in Markdown:
//
//   node tests/e2e/released/changelog.mjs openapi/released/0.1.0/openapi.json openapi/openapi.json
//
// `tests/e2e/released/add` writes it into the folder of each release after the first.
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

import { changes } from './compare.mjs';

const KINDS = { major: 'breaks clients', minor: 'compatible', patch: 'documentation' };
const METHODS = ['get', 'head', 'post', 'put', 'patch', 'delete', 'options', 'trace'];

/** The changes as Markdown, for the versions that the documents name. */
export function changelog(before, after) {
  const [old, now] = [before, after].map((path) => JSON.parse(readFileSync(path, 'utf8')));
  const sections = new Map();
  for (const { impact, message, pointer } of changes(before, after)) {
    const title = titleOf(pointer, old, now);
    const what = message.replace(/^#\S*\/(\S+) (\w+)$/, (_, name, kind) => `\`${unescape(name)}\` ${kind}`);
    const line = `- ${what} (${KINDS[impact] ?? impact})`;
    sections.set(title, [...new Set([...(sections.get(title) ?? []), line])]);
  }
  const head = `# Changes of the document from ${old.info.version} to ${now.info.version}\n`;
  if (sections.size === 0) return `${head}\nNone.\n`;
  const order = [...sections].toSorted(([a], [b]) => a.localeCompare(b, 'en'));
  return [head, ...order.map(([title, lines]) => `## ${title}\n\n${lines.join('\n')}\n`)].join('\n');
}

/** A part of a JSON Pointer as it stands in the document (RFC 6901, section 4). */
function unescape(part) {
  return part.replaceAll('~1', '/').replaceAll('~0', '~');
}

/** The operation that a change concerns, by its id and its path, or what else it is about. */
function titleOf(pointer, old, now) {
  const [, kind, ...rest] = (pointer ?? '').split('/').map(unescape);
  if (kind === 'paths') {
    const [path, method] = rest;
    const operation = now.paths[path]?.[method] ?? old.paths[path]?.[method];
    if (METHODS.includes(method)) return `${operation?.operationId ?? ''} (\`${method.toUpperCase()} ${path}\`)`;
    return `\`${path}\``;
  }
  if (kind === 'components' && rest[0] === 'schemas') return `Schema \`${rest[1]}\``;
  return 'Everywhere';
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) process.stdout.write(changelog(...process.argv.slice(2)));
