// Takes addresses out of package-lock.json: npm adds each package's funding page, and no file of ours names a host.
import { readFileSync, writeFileSync } from 'node:fs';

const path = new URL('package-lock.json', import.meta.url);
const text = readFileSync(path, 'utf8');
const lock = JSON.parse(text);
for (const entry of Object.values(lock.packages)) delete entry.funding;
const clean = `${JSON.stringify(lock, null, 2)}\n`;
if (clean !== text) writeFileSync(path, clean);
