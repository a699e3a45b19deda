// One client at one server, directly or through the gateway: connects, does the exercises one after the other, and tells what came of
// each. What is made of it stands in peers.test.mjs.
import { REVISION } from '../eras/clients/clients.mjs';

/** The exercise that the others need: who cannot connect is not asked for more. */
export const CONNECT = 'connect';

/** `name → { ok, saw }` or `name → { ok: false, why }`, for the server's exercises that are named in `wanted`, or all. */
export async function round({ client, server, dock, where, patienceFor, wanted, isWorthAnother = () => false }) {
  const outcomes = new Map();
  let connected;
  const attempt = async (name, act) => {
    const outcome = await inTime(patienceFor(name), act).then(
      (saw) => ({ ok: true, saw: plain(saw) }),
      (error) => ({ ok: false, why: words(error), late: error instanceof Late }),
    );
    outcomes.set(name, outcome);
    return outcome;
  };
  const connect = () => attempt(CONNECT, async () => {
    connected = await dock.connect(client, where);
    const protocol = connected.protocol ?? REVISION[client.era];
    if (protocol !== REVISION[client.era]) throw new Error(`agreed on ${protocol}`);
    // A client that was pinned to a revision asked no server: the first request shows whether the server speaks it.
    await connected.tools();
    return { protocol };
  });
  if (!(await connect()).ok) {
    await dock.abandon(client, connected);
    return outcomes;
  }
  for (const [name, exercise] of Object.entries(server.exercises)) {
    if (wanted && !wanted.has(name)) continue;
    const patient = (what, condition) => until(patienceFor(name) / 2, what, condition);
    const facing = { client: connected, thing: server.thing, prefix: '', clientEra: client.era, until: patient };
    let outcome = await attempt(name, () => exercise(facing));
    if (!outcome.ok && !outcome.late && isWorthAnother(name, outcome.why)) outcome = await attempt(name, () => exercise(facing));
    if (!outcome.late) continue;
    await dock.abandon(client, connected);
    if (!(await connect()).ok) return outcomes;
  }
  await inTime(patienceFor(CONNECT), () => connected.close()).catch(() => dock.abandon(client, connected));
  return outcomes;
}

/** Waits for what another process does. */
async function until(longest, what, condition) {
  for (const end = Date.now() + longest; Date.now() < end; ) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`not in ${longest / 1000} seconds: ${what}`);
}

class Late extends Error {}

async function inTime(patience, act) {
  let timer;
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Late(`not in ${patience / 1000} seconds`)), patience);
  });
  try {
    return await Promise.race([act(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * As JSON has it: what was not said and what was said to be nothing are the same. Who may keep a copy is left out: what a server would have
 * all clients keep is for the person who signed in.
 */
function plain(saw) {
  if (saw === undefined) return undefined;
  return JSON.parse(JSON.stringify(saw, (key, value) => (value === null || key === 'cacheScope' ? undefined : value)));
}

function words(error) {
  const code = error.code === undefined || error.code === 'ERR_ASSERTION' ? '' : `${error.code} `;
  return `${code}${error.message ?? error}`.split('\n').slice(0, 6).join(' ').slice(0, 300);
}
