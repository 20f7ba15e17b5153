// Exits with 0 if the version of the second document says that it breaks clients of the first one.
import { readFileSync } from 'node:fs';
import { owns } from './compare.mjs';

const [before, after] = process.argv.slice(2).map((path) => JSON.parse(readFileSync(path, 'utf8')));
process.exitCode = owns(before.info.version, after.info.version, 'major') ? 0 : 1;
