// Runs `portunus check --online` and reads its verdicts: what stands before each finding, and the setting that it names. What each
// provider's broken settings are to give stands in the provider's own file.
import { execFile } from 'node:child_process';

import { freePort, gatewayBinary, plainEnvironment } from '../interop/processes.mjs';

const FINDING = /^ {2}(fine |WRONG|\? {4}) (?:AUTH_[A-Z]+_)?([^:]+): (.*)$/;

/**
 * Returns `{ code, output, findings }`: the output is that of asking, or all of it if no provider was asked. A finding is
 * `{ state, setting, found }`, its state `fine`, `WRONG` or `?`.
 */
export async function check(folder, env) {
  // A port of its own, since the gateway whose settings these are may be running.
  const environment = plainEnvironment({ ...env, PORT: String(await freePort()) });
  const { code, output } = await new Promise((resolve) => {
    execFile(gatewayBinary(), ['check', '--online'], { cwd: folder, env: environment, timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error ? (error.code ?? error.signal) : 0, output: stdout + stderr });
    });
  });
  const lines = output.split('\n');
  const from = lines.findIndex((line) => line.startsWith('Asking '));
  const findings = [];
  for (const line of from < 0 ? [] : lines.slice(from + 1)) {
    const found = FINDING.exec(line);
    if (found) findings.push({ state: found[1].trim(), setting: found[2], found: found[3] });
    else if (line && !line.startsWith('    ')) break;
  }
  return { code, output: from < 0 ? output : lines.slice(from).join('\n'), findings };
}

/** The settings of this state, each once. */
export function settingsThat(findings, state) {
  return [...new Set(findings.filter((finding) => finding.state === state).map(({ setting }) => setting))].sort();
}
