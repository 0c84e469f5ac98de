// Takes addresses out of package-lock.json: npm adds funding pages, and no file of ours names a host.
// npm runs it in the folder of the lock file that it has changed.
import { readFileSync, writeFileSync } from 'node:fs';

const path = 'package-lock.json';
const text = readFileSync(path, 'utf8');
const lock = JSON.parse(text);
for (const entry of Object.values(lock.packages)) {
  delete entry.funding;
  delete entry.deprecated; // often with an address
}
const clean = `${JSON.stringify(lock, null, 2)}\n`;
if (clean !== text) writeFileSync(path, clean);
