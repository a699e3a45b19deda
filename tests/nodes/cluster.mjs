// Three gateways on one Redis behind the nginx of deploy/, which knows nothing but round robin, all of it on loopback and started here; and ways to do
// harm to it. What is tested with it is in the files named *.test.mjs.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';

import { adapted } from '../deploy/fronts.mjs';
import { answers, freePort, gatewayBinary, plainEnvironment, start, tail } from '../interop/processes.mjs';

const NODES = 3;

/** An open port, in the time of a busy machine. */
async function connects(port, process_) {
  const net = await import('node:net');
  let over = false;
  process_.ended.then(() => {
    over = true;
  });
  for (let attempt = 0; attempt < 300 && !over; attempt += 1) {
    const open = await new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nobody listens on ${port}:\n${tail(process_.log)}`);
}

/** A Redis that keeps what it has acknowledged. */
export async function startRedis(folder) {
  const port = await freePort();
  const data = path.join(folder, 'redis');
  fs.mkdirSync(data, { recursive: true });
  const launch = () =>
    start('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--dir', data, '--appendonly', 'yes', '--save', ''], {
      log: path.join(folder, 'redis.log'),
    });
  let server = launch();
  await connects(port, server);
  return {
    address: `127.0.0.1:${port}`,
    async restart() {
      await server.stop();
      server = launch();
      await connects(port, server);
    },
    stop: () => server.stop(),
  };
}

/** The nginx of deploy/, on one plain port of loopback. */
async function startNginx(folder, port, upstreams) {
  const [first, second, third] = upstreams;
  const site = adapted('nginx/portunus.conf', [
    ['server {\n    listen 80;\n    listen [::]:80;\n    server_name mcp.example.com;\n    return 308 https://$host$request_uri;\n}\n', '', 1],
    ['    # From nginx 1.25.1 on: without `http2` here, and a line `http2 on;` below.\n    listen 443 ssl http2;\n    listen [::]:443 ssl http2;\n', `    listen 127.0.0.1:${port};\n`, 1],
    ['    ssl_certificate     /etc/nginx/certs/fullchain.pem;\n    ssl_certificate_key /etc/nginx/certs/privkey.pem;\n', '', 1],
    ['    ssl_protocols TLSv1.2 TLSv1.3;\n    ssl_session_cache shared:portunus:10m;\n', '', 1],
    // The port is not the scheme's own here.
    ['$host;', '$http_host;', 2],
    ['127.0.0.1:3001', `127.0.0.1:${first}`, 1],
    ['127.0.0.1:3002', `127.0.0.1:${second}`, 1],
    ['127.0.0.1:3003', `127.0.0.1:${third}`, 1],
    // Nodes die so often here that all of them would be left alone at once.
    ['max_fails=3 fail_timeout=5s', 'max_fails=0', 3],
  ]);
  fs.writeFileSync(path.join(folder, 'site.conf'), site);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `  ${kind}_temp_path ${folder}/nginx-${kind};`);
  // As root it would serve as a user who cannot enter this folder.
  const user = process.getuid() === 0 ? 'user root;\n' : '';
  const config = path.join(folder, 'nginx.conf');
  fs.writeFileSync(
    config,
    `${user}daemon off;\nworker_processes 1;\npid ${folder}/nginx.pid;\nerror_log stderr warn;\nevents { worker_connections 2048; }\n` +
      `http {\n  access_log off;\n${temporary.join('\n')}\n  include ${folder}/site.conf;\n}\n`,
  );
  const nginx = start('nginx', ['-c', config, '-p', folder], { log: path.join(folder, 'nginx.log') });
  await connects(port, nginx);
  return nginx;
}

/** Started like one gateway (`startGateway` of ../interop/processes.mjs); `port` is nginx's. */
export async function startCluster(folder, { port, env, mcp, config }) {
  const redis = await startRedis(folder);
  const baseUrl = `http://localhost:${port}`;
  const nodes = [];
  for (let n = 0; n < NODES; n += 1) {
    const own = path.join(folder, `node-${n}`);
    fs.mkdirSync(own, { recursive: true });
    fs.writeFileSync(path.join(own, 'mcp.json'), JSON.stringify(mcp, null, 2));
    fs.writeFileSync(path.join(own, 'config.yaml'), config);
    const node = { n, port: await freePort(), log: path.join(own, 'gateway.log') };
    node.launch = async () => {
      node.process = start(gatewayBinary(), ['serve', '--mcp-config', path.join(own, 'mcp.json'), '--config', path.join(own, 'config.yaml')], {
        cwd: own,
        env: plainEnvironment({ ...env, PORT: String(node.port), BASE_URL: baseUrl, KVS_ADDR: redis.address, STOP_DELAY: '1s' }),
        log: node.log,
      });
      await answers(`http://localhost:${node.port}/health`, node.process);
    };
    node.url = `http://localhost:${node.port}`;
    /** Asks this node past nginx, as nginx would. Answers with the status. */
    node.post = (at, headers, body) => post(node.url + at, { ...headers, host: new URL(baseUrl).host }, body);
    /** Without a word, as a machine that loses power. */
    node.kill = async () => {
      process.kill(node.process.pid, 'SIGKILL');
      await node.process.ended;
    };
    node.stop = () => node.process.stop();
    /** It keeps its connections and says nothing more, as behind a network that swallows everything. */
    node.freeze = () => process.kill(node.process.pid, 'SIGSTOP');
    node.thaw = () => process.kill(node.process.pid, 'SIGCONT');
    await node.launch();
    nodes.push(node);
  }
  const nginx = await startNginx(folder, port, nodes.map((node) => node.port));
  await answers(`${baseUrl}/health`, nginx);
  return {
    baseUrl,
    redis,
    nodes,
    logs: nodes.map((node) => node.log),
    /** Until every node says that it can work. */
    async ready() {
      for (const node of nodes) {
        for (let attempt = 0; (await fetch(`${node.url}/ready`)).status !== 200; attempt += 1) {
          if (attempt > 200) throw new Error(`node ${node.n} is not ready:\n${tail(node.log)}`);
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      }
    },
    async stop() {
      await nginx.stop();
      for (const node of nodes) await node.stop();
      await redis.stop();
    },
  };
}

function post(url, headers, body) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method: 'POST', headers: { accept: 'application/json, text/event-stream', ...headers } }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
    });
    request.on('error', reject).end(body);
  });
}
