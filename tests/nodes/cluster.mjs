// Three gateways on one Redis behind an nginx that knows nothing but round robin, all of it on loopback and started here; and ways to do
// harm to it. What is tested with it is in the files named *.test.mjs.
import fs from 'node:fs';
import path from 'node:path';

import { answers, freePort, gatewayBinary, plainEnvironment, start, tail } from '../interop/world.mjs';

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

async function startNginx(folder, port, upstreams) {
  const config = path.join(folder, 'nginx.conf');
  // Whoever refuses a connection is passed over each time; what was sent to one is never sent to another.
  fs.writeFileSync(
    config,
    `daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr warn;
events { worker_connections 2048; }
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder}/nginx-${kind};`).join('\n  ')}
  upstream nodes {
    ${upstreams.map((upstream) => `server 127.0.0.1:${upstream} max_fails=0;`).join('\n    ')}
    keepalive 16;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://nodes;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_buffering off;
      proxy_read_timeout 1h;
      proxy_next_upstream error timeout;
      client_max_body_size 8m;
    }
  }
}
`,
  );
  const nginx = start('nginx', ['-c', config, '-p', folder], { log: path.join(folder, 'nginx.log') });
  await connects(port, nginx);
  return nginx;
}

/** Started like one gateway (`startGateway` of ../interop/world.mjs); `port` is nginx's. */
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
    /** Without a word, as a machine that loses power. */
    node.kill = async () => {
      process.kill(node.process.pid, 'SIGKILL');
      await node.process.ended;
    };
    node.stop = () => node.process.stop();
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
