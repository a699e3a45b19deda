// The matrix as a table for people: scenario by cell and totals, and what was found as a list. What the words mean is decided here; what
// passes and what fails, in matrix.test.mjs.

const LONGEST_MESSAGE = 400;

function verdict(outcome) {
  if (!outcome) return 'not run';
  if (outcome.open.length > 0) return 'FAILED';
  if (outcome.excused.length > 0) return 'n.a.';
  return outcome.looked ? 'passed' : 'skipped';
}

/** One revision's table. `columns` are its cells; required scenarios come first, those that are not scored in italics. */
export function table(revision, columns, { required, optional }) {
  const rows = [...required, ...optional].map((scenario) => ({ scenario, verdicts: columns.map((cell) => verdict(cell.outcomes.get(scenario))) }));
  const cells = (texts) => `| ${texts.join(' | ')} |`;
  const lines = [
    `## Clients of ${revision}`,
    '',
    cells(['scenario', ...columns.map(({ place }) => place.name)]),
    cells(['---', ...columns.map(() => '---')]),
    ...rows.map(({ scenario, verdicts }) => cells([optional.includes(scenario) ? `*${scenario}*` : scenario, ...verdicts])),
    '',
    `${total('required', rows, required)}  `,
    total('not scored', rows, optional),
  ];
  return `${lines.join('\n')}\n`;
}

function total(kind, rows, scenarios) {
  const counted = new Map();
  for (const { scenario, verdicts } of rows) {
    if (!scenarios.includes(scenario)) continue;
    for (const one of verdicts) counted.set(one, (counted.get(one) ?? 0) + 1);
  }
  const parts = ['passed', 'FAILED', 'n.a.', 'skipped', 'not run'].filter((one) => counted.has(one)).map((one) => `${counted.get(one)} ${one}`);
  return `${kind}: ${parts.join(', ')}`;
}

/** Everything that was found in `cells` and is not excused. */
export function findings(cells) {
  const lines = ['## Findings', ''];
  for (const { revision, place, outcomes } of cells) {
    for (const [scenario, { open }] of outcomes) {
      for (const { check, message } of open) lines.push(`- ${revision}, ${place.name}, ${scenario}, ${check}: ${short(message)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function short(message) {
  const line = message.replace(/\s+/g, ' ');
  return line.length > LONGEST_MESSAGE ? `${line.slice(0, LONGEST_MESSAGE)}…` : line;
}
