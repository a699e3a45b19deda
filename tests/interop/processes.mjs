// Starts and stops the processes around these tests: MCP servers and the gateway. Each is a child with a log file of its own in the
// scratch folder; whatever is still alive when this process ends is killed by its own id.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const HERE = path.dirname(fileURLToPath(import.meta.url));
export const EVERYTHING = path.join(HERE, 'node_modules/@modelcontextprotocol/server-everything/dist/index.js');

const alive = new Set();
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

/** A port that no process listens on now. */
export async function freePort() {
  const server = net.createServer();
  await new Promise((resolve, reject) => server.listen(0, '127.0.0.1', resolve).once('error', reject));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** An empty scratch folder for one test file. */
export function scratch(name) {
  const folder = path.join(process.env.SCRATCH ?? path.join(HERE, '../../.test'), name);
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  return folder;
}

/** Runs a program; its output goes to `log`. `stop` asks with SIGTERM first and tells the exit code. */
export function start(command, args, { env = process.env, cwd, log }) {
  const out = fs.openSync(log, 'a');
  const child = spawn(command, args, { env, cwd, stdio: ['ignore', out, out] });
  fs.closeSync(out);
  alive.add(child);
  const ended = new Promise((resolve) => {
    child.on('exit', (code, signal) => {
      alive.delete(child);
      resolve({ code, signal });
    });
    child.on('error', (error) => {
      alive.delete(child);
      resolve({ code: -1, signal: String(error) });
    });
  });
  return {
    pid: child.pid,
    log,
    ended,
    async stop() {
      child.kill('SIGTERM');
      const impatient = setTimeout(() => child.kill('SIGKILL'), 30_000);
      const how = await ended;
      clearTimeout(impatient);
      return how;
    },
  };
}

/** Waits until `url` answers at all. Fails at once when the process ends, with the end of its log. */
export async function answers(url, process_) {
  let over;
  process_.ended.then((how) => {
    over = how;
  });
  for (let attempt = 0; attempt < 600; attempt += 1) {
    if (over) throw new Error(`ended with ${JSON.stringify(over)} before it answered at ${url}:\n${tail(process_.log)}`);
    try {
      const answer = await fetch(url);
      await answer.body?.cancel();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  throw new Error(`no answer at ${url} in a minute:\n${tail(process_.log)}`);
}

export function tail(log, lines = 40) {
  return fs.readFileSync(log, 'utf8').split('\n').slice(-lines).join('\n');
}

/** server-everything on Streamable HTTP at `/mcp`, or with `old` on HTTP+SSE, the transport of 2024-11-05, at `/sse`. */
export async function startEverything(folder, { old = false, port } = {}) {
  const listening = port ?? (await freePort());
  const server = start(process.execPath, [EVERYTHING, old ? 'sse' : 'streamableHttp'], {
    env: { ...process.env, PORT: String(listening) },
    log: path.join(folder, `everything-${old ? 'sse' : 'http'}.log`),
  });
  const root = `http://localhost:${listening}`;
  await answers(root, server);
  return { root, port: listening, url: root + (old ? '/sse' : '/mcp'), stop: server.stop };
}

/** What of our own environment the gateway sees: none of the settings it reads, so that a developer's own cannot leak in. */
export function plainEnvironment(extra) {
  const { PATH, HOME, LANG, TMPDIR } = process.env;
  return { PATH, HOME, ...(LANG && { LANG }), ...(TMPDIR && { TMPDIR }), ...extra };
}

export function gatewayBinary() {
  const binary = process.env.PORTUNUS ?? path.join(HERE, '../../target/debug/portunus');
  if (!fs.existsSync(binary)) throw new Error(`${binary} is not there: cargo build -p portunus`);
  return binary;
}

/** The gateway with files as its users write them. `mcp` and `config` are the contents of mcp.json and config.yaml. */
export async function startGateway(folder, { port, env, mcp, config, args = [] }) {
  const mcpFile = path.join(folder, 'mcp.json');
  const configFile = path.join(folder, 'config.yaml');
  fs.writeFileSync(mcpFile, JSON.stringify(mcp, null, 2));
  fs.writeFileSync(configFile, config);
  const baseUrl = `http://localhost:${port}`;
  const gateway = start(gatewayBinary(), ['serve', '--mcp-config', mcpFile, '--config', configFile, ...args], {
    cwd: folder,
    env: plainEnvironment({ PORT: String(port), BASE_URL: baseUrl, DB_PATH: path.join(folder, 'portunus.sqlite'), ...env }),
    log: path.join(folder, 'gateway.log'),
  });
  await answers(`${baseUrl}/health`, gateway);
  return { baseUrl, ...gateway };
}

/** The demo: the gateway with its embedded sign-in page and two built-in servers. */
export async function startDemo(folder) {
  const port = await freePort();
  const demo = start(gatewayBinary(), ['demo'], {
    cwd: folder,
    env: plainEnvironment({ PORT: String(port) }),
    log: path.join(folder, 'demo.log'),
  });
  const baseUrl = `http://localhost:${port}`;
  await answers(`${baseUrl}/health`, demo);
  return { baseUrl, ...demo };
}
