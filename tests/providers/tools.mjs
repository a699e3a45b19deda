// Small things that the files of several providers need.

/** A broken setting: a gateway that people reach elsewhere, at an address that no provider here was told of. */
export const ELSEWHERE = { BASE_URL: 'http://localhost:9' };

/** A setting that `./test providers` gives, such as where a provider is installed. */
export function must(variable) {
  const value = process.env[variable];
  if (!value) throw new Error(`${variable} is not set: run ./test providers`);
  return value;
}

/** Waits until `holds` holds, a minute at most; an error of its own counts as no. `story` says what to tell if it never does. */
export async function until(holds, story) {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    if (await holds().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`it did not come about in a minute: ${story()}`);
}
