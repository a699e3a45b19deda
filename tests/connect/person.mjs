// A person with a browser, in the place of `xdg-open`: signs in as alice at the address that is opened, and writes the address down first.
//
// Usage: person.mjs FILE ADDRESS
import fs from 'node:fs';

import { Browser } from '../interop/agent.mjs';

const [, , file, address] = process.argv;
fs.appendFileSync(file, `${address}\n`);
try {
  await new Browser({ login: 'alice', password: 'not looked at', decision: 'allow' }).visit(address);
} catch (error) {
  fs.appendFileSync(file, `failed: ${error.message}\n`);
}
