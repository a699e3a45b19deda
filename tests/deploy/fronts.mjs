// nginx and HAProxy with the files of deploy/: only ports, addresses and paths of certificates are others, and each of these must be found in the
// file as often as is said here.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';

import { freePort, start } from '../interop/processes.mjs';

const ROOT = path.join(import.meta.dirname, '../..');
const FIXTURES = path.join(ROOT, 'crates/testkit/fixtures');
export const CA = fs.readFileSync(path.join(FIXTURES, 'hostile-hosts-root.pem'));
const CERTIFICATE = path.join(FIXTURES, 'hostile-hosts-server.pem');
const KEY = path.join(FIXTURES, 'hostile-hosts-server.key.pem');

/** The file's text with these replaced, `[what, by, how often]`. */
export function adapted(file, replacements) {
  let text = fs.readFileSync(path.join(ROOT, 'deploy', file), 'utf8');
  for (const [what, by, times] of replacements) {
    const found = text.split(what).length - 1;
    if (found !== times) throw new Error(`${file}: ${JSON.stringify(what)} is there ${found} times, not ${times}`);
    text = text.replaceAll(what, by);
  }
  return text;
}

async function nginx(folder, [first, second, third]) {
  const [plain, tls] = [await freePort(), await freePort()];
  const site = adapted('nginx/portunus.conf', [
    ['    listen [::]:80;\n', '', 1],
    ['    listen [::]:443 ssl http2;\n', '', 1],
    ['listen 80;', `listen 127.0.0.1:${plain};`, 1],
    ['listen 443 ssl', `listen 127.0.0.1:${tls} ssl`, 1],
    ['127.0.0.1:3001', `127.0.0.1:${first}`, 1],
    ['127.0.0.1:3002', `127.0.0.1:${second}`, 1],
    ['127.0.0.1:3003', `127.0.0.1:${third}`, 1],
    ['/etc/nginx/certs/fullchain.pem', CERTIFICATE, 1],
    ['/etc/nginx/certs/privkey.pem', KEY, 1],
  ]);
  fs.writeFileSync(path.join(folder, 'site.conf'), site);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `  ${kind}_temp_path ${folder}/${kind};`);
  const main = path.join(folder, 'nginx.conf');
  // As root it would serve as a user who cannot enter this folder.
  const user = process.getuid() === 0 ? 'user root;\n' : '';
  fs.writeFileSync(
    main,
    `${user}daemon off;\nworker_processes 1;\npid ${folder}/pid;\nerror_log stderr;\nevents {}\n` +
      `http {\n  access_log off;\n${temporary.join('\n')}\n  include ${folder}/site.conf;\n}\n`,
  );
  return { plain, tls, check: ['nginx', ['-t', '-q', '-c', main]], run: ['nginx', ['-c', main]] };
}

async function haproxy(folder, ports) {
  const [plain, tls] = [await freePort(), await freePort()];
  const certificate = path.join(folder, 'certificate.pem');
  fs.writeFileSync(certificate, fs.readFileSync(KEY, 'utf8') + fs.readFileSync(CERTIFICATE, 'utf8'), { mode: 0o600 });
  const text = adapted('haproxy/haproxy.cfg', [
    ['bind :80 v4v6', `bind 127.0.0.1:${plain}`, 1],
    ['bind :443 v4v6', `bind 127.0.0.1:${tls}`, 1],
    ['crt /etc/haproxy/certs/', `crt ${certificate}`, 1],
  ]);
  const file = path.join(folder, 'haproxy.cfg');
  fs.writeFileSync(file, text);
  const servers = ports.map((port, n) => [`PORTUNUS_${n + 1}`, `127.0.0.1:${port}`]);
  const env = { ...process.env, ...Object.fromEntries(servers) };
  return { plain, tls, env, check: ['haproxy', ['-c', '-q', '-f', file]], run: ['haproxy', ['-db', '-f', file]] };
}

const KINDS = { nginx, haproxy };

/** Checks the file, then runs the balancer in front of gateways at these three ports. */
export async function front(kind, folder, ports) {
  fs.mkdirSync(folder, { recursive: true });
  const { plain, tls, env = process.env, check, run } = await KINDS[kind](folder, ports);
  execFileSync(...check, { env, stdio: ['ignore', 'inherit', 'inherit'] });
  const log = path.join(folder, 'log');
  const { ended, stop } = start(...run, { env, log });
  let gone = false;
  ended.then(() => { gone = true; });
  for (let attempt = 0; !(await accepts(tls)); attempt += 1) {
    if (attempt > 3000) throw new Error(`${kind} does not listen: ${fs.readFileSync(log, 'utf8')}`);
    if (gone) throw new Error(`${kind} ended: ${fs.readFileSync(log, 'utf8')}`);
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
  return { plain, tls, stop };
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false)).once('connect', () => socket.destroy());
  });
}
