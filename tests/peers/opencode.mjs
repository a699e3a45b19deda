// opencode as a client, as far as it goes without a model: it signs in at a server, and lists which servers it is connected to.
// Everything it keeps is in a folder of its own, and whatever it would fetch from elsewhere goes to a proxy on loopback that refuses it,
// and notes what it was.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';

import { Browser } from '../interop/agent.mjs';
import { plainEnvironment } from '../interop/processes.mjs';
import { HERE } from './servers.mjs';

const PROGRAM = path.join(HERE, 'node/node_modules/opencode-ai/bin/opencode.exe');
const PATIENCE = 60_000;

/** A proxy that lets nothing through. */
export async function startRefusal() {
  const asked = [];
  const proxy = http.createServer((request, response) => {
    asked.push(request.url);
    response.writeHead(403).end();
  });
  proxy.on('connect', (request, socket) => {
    asked.push(request.url);
    socket.on('error', () => {});
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
  });
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const stop = () => new Promise((resolve) => proxy.close(resolve).closeAllConnections());
  return { url: `http://127.0.0.1:${proxy.address().port}`, asked, stop };
}

function walk(url) {
  return new Browser({ login: 'alice', password: 'not looked at', decision: 'allow' }).visit(url);
}

export class Opencode {
  /** `servers`: name → URL. */
  constructor(folder, servers, proxy) {
    this.home = path.join(folder, 'opencode');
    this.bin = path.join(this.home, 'bin');
    this.opened = path.join(this.home, 'opened');
    fs.mkdirSync(this.bin, { recursive: true });
    for (const name of ['xdg-open', 'x-www-browser']) {
      fs.writeFileSync(path.join(this.bin, name), `#!/bin/sh\nprintf '%s\\n' "$1" >> '${this.opened}'\n`, { mode: 0o755 });
    }
    const mcp = Object.fromEntries(Object.entries(servers).map(([name, url]) => [name, { type: 'remote', url, enabled: true }]));
    fs.writeFileSync(path.join(this.home, 'opencode.json'), JSON.stringify({ mcp, autoupdate: false, share: 'disabled' }));
    this.environment = plainEnvironment({
      HOME: this.home,
      PATH: `${this.bin}:${process.env.PATH}`,
      BROWSER: path.join(this.bin, 'x-www-browser'),
      XDG_CONFIG_HOME: path.join(this.home, 'config'),
      XDG_DATA_HOME: path.join(this.home, 'data'),
      XDG_STATE_HOME: path.join(this.home, 'state'),
      XDG_CACHE_HOME: path.join(this.home, 'cache'),
      OPENCODE_DISABLE_AUTOUPDATE: 'true',
      OPENCODE_DISABLE_MODELS_FETCH: 'true',
      OPENCODE_DISABLE_LSP_DOWNLOAD: 'true',
      OPENCODE_DISABLE_DEFAULT_PLUGINS: 'true',
      HTTP_PROXY: proxy.url,
      HTTPS_PROXY: proxy.url,
      http_proxy: proxy.url,
      https_proxy: proxy.url,
      NO_PROXY: 'localhost,127.0.0.1',
      no_proxy: 'localhost,127.0.0.1',
    });
  }

  /** Runs `opencode mcp …`; opens what it wants opened, and answers with what it printed and its exit code. */
  async mcp(...words) {
    fs.rmSync(this.opened, { force: true });
    const child = spawn(PROGRAM, ['mcp', ...words], { cwd: this.home, env: this.environment, stdio: ['ignore', 'pipe', 'pipe'] });
    const kill = () => child.kill('SIGKILL');
    process.on('exit', kill);
    const timer = setTimeout(kill, PATIENCE);
    let printed = '';
    for (const stream of ['stdout', 'stderr']) child[stream].setEncoding('utf8').on('data', (part) => (printed += part));
    const ended = new Promise((resolve, reject) => child.once('close', resolve).once('error', reject));
    const walks = [];
    const watching = setInterval(() => {
      const urls = fs.existsSync(this.opened) ? fs.readFileSync(this.opened, 'utf8').trim().split('\n') : [];
      // It listens for the callback itself, which is part of the walk.
      for (const url of urls.slice(walks.length)) walks.push(walk(url));
    }, 100);
    try {
      const code = await ended;
      await Promise.all(walks);
      // Without the colours.
      return { code, printed: printed.replace(/\u001b\[[0-9;?]*[a-zA-Z]/g, ''), signIns: walks.length };
    } finally {
      clearInterval(watching);
      clearTimeout(timer);
      process.off('exit', kill);
    }
  }
}
