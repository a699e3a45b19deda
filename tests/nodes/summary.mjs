// What `./test nodes` says in the end: a row for each test file, written while it runs, and the table of all of them, printed by this file run
// as a program.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const COLUMNS = ['exercises', 'kills', 'repeated', 'violations'];
const folder = path.join(process.env.SCRATCH ?? path.join(import.meta.dirname, '../../.test/nodes'), 'summary');

/** A test file's row: how much was done, how often a node died, what was done again after that, and what went wrong. */
export function row(name, numbers) {
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, `${name.replaceAll(' ', '-')}.json`), JSON.stringify({ name, ...numbers }));
}

function print() {
  const rows = fs.existsSync(folder) ? fs.readdirSync(folder).map((file) => JSON.parse(fs.readFileSync(path.join(folder, file), 'utf8'))) : [];
  const line = (name, cells) => console.log([name.padEnd(24), ...cells.map((cell) => String(cell).padStart(11))].join(''));
  const sum = (column) => rows.reduce((total, one) => total + one[column], 0);
  line('', COLUMNS);
  for (const one of rows) line(one.name, COLUMNS.map((column) => one[column]));
  line('together', COLUMNS.map(sum));
  const clean = rows.length > 0 && sum('violations') === 0;
  console.log(clean ? 'history clean' : 'history NOT clean');
  process.exitCode = clean ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) print();
