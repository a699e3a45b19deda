// What `./test nodes` says in the end: a row for each test file, written while it runs, and the table of all of them, printed by this file run
// as a program.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const COLUMNS = ['exercises', 'kills', 'repeated', 'cap', 'violations'];
const folder = path.join(process.env.SCRATCH ?? path.join(import.meta.dirname, '../../.test/nodes'), 'summary');

/**
 * A test file's row: how much was done, how often a node died, what was done again after that, how much may be done again at most, and what
 * went wrong. Doing more again than the cap is a failure: a gateway that loses everything with each node would pass by repetition alone.
 */
export function row(name, numbers) {
  for (const column of COLUMNS) assert.ok(Number.isInteger(numbers[column]), `${name}: ${column} is ${numbers[column]}`);
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, `${name.replaceAll(' ', '-')}.json`), JSON.stringify({ name, ...numbers }));
  assert.ok(isWithin(numbers), `${name}: ${numbers.repeated} of ${numbers.exercises} were done again, after ${numbers.kills} kills; ${numbers.cap} may be`);
}

export const isWithin = ({ repeated, cap }) => repeated <= cap;

function print() {
  const rows = fs.existsSync(folder) ? fs.readdirSync(folder).map((file) => JSON.parse(fs.readFileSync(path.join(folder, file), 'utf8'))) : [];
  const line = (name, cells) => console.log([name.padEnd(24), ...cells.map((cell) => String(cell).padStart(11))].join(''));
  const sum = (column) => rows.reduce((total, one) => total + one[column], 0);
  line('', COLUMNS);
  for (const one of rows) line(one.name, COLUMNS.map((column) => one[column]));
  line('together', COLUMNS.map(sum));
  for (const one of rows.filter((other) => !isWithin(other))) console.log(`${one.name}: too much was done again`);
  const clean = rows.length > 0 && sum('violations') === 0 && rows.every(isWithin);
  console.log(clean ? 'history clean' : 'history NOT clean');
  process.exitCode = clean ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) print();
