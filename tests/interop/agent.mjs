// A browser without a window: cookies, redirects, HTML forms. It does what a person's browser does with an authorization URL, so
// that the OAuth flows of real clients run unattended. The person's choices are given as answers; the pages are read, not assumed.
// The servers it talks to are started in processes.mjs.
import http from 'node:http';

const PAGES_AT_MOST = 25;

export class Browser {
  /** `answers`: what the person types or presses, by field name, for example `{ login: 'alice', decision: 'allow', person: /alice/i }`. */
  constructor(answers) {
    this.answers = answers;
    this.cookies = [];
    /** Every request made: method, url, status. */
    this.trail = [];
  }

  /**
   * Opens `url` and goes on, answering forms, until a redirect leads to `until` (not fetched; returned as a URL) or a page is
   * reached that asks nothing (returned as `{ status, url, body }`).
   */
  async visit(url, until) {
    let request = { method: 'GET', url: new URL(url) };
    for (let pages = 0; pages < PAGES_AT_MOST; pages += 1) {
      const answer = await this.#send(request);
      const location = answer.headers.location;
      if (answer.status >= 300 && answer.status < 400 && location) {
        const next = new URL(location, request.url);
        if (until && next.href.startsWith(until)) return next;
        if (answer.status === 307 || answer.status === 308) throw new Error(`${answer.status} would repeat the form at ${next.href}`);
        request = { method: 'GET', url: next };
        continue;
      }
      const next = answer.status < 400 ? this.#answer(answer.body, request.url) : undefined;
      if (!next) {
        const page = { status: answer.status, url: request.url, headers: answer.headers, body: answer.body };
        if (until) throw new Error(`never came to ${until}: ended at ${request.url.href} with ${answer.status}\n${textOf(answer.body)}\n${this.story()}`);
        return page;
      }
      request = next;
    }
    throw new Error(`more than ${PAGES_AT_MOST} pages:\n${this.story()}`);
  }

  /** Opens `url` and reads where its redirects lead, without touching anything there. */
  async look(url) {
    let at = new URL(url);
    for (let pages = 0; pages < PAGES_AT_MOST; pages += 1) {
      const answer = await this.#send({ method: 'GET', url: at });
      const location = answer.headers.location;
      if (answer.status < 300 || answer.status >= 400 || !location) return { ...answer, url: at };
      at = new URL(location, at);
    }
    throw new Error(`more than ${PAGES_AT_MOST} redirects:\n${this.story()}`);
  }

  story() {
    return this.trail.map(({ method, url, status }) => `  ${status} ${method} ${url}`).join('\n');
  }

  /** What the person does on this page: fills in the first form that the answers fit, or follows the first link to press. */
  #answer(html, base) {
    for (const form of formsOf(html)) {
      const fields = new URLSearchParams();
      for (const { name, value } of form.hidden) {
        const asked = this.answers[name];
        // What a script of the page would make of it.
        fields.append(name, typeof asked === 'function' ? asked(value) : value);
      }
      let pressed = false;
      for (const name of form.inputs) {
        if (name in this.answers) fields.append(name, this.answers[name]);
      }
      for (const button of form.buttons) {
        const wanted = this.answers[button.name];
        const fits = wanted instanceof RegExp ? wanted.test(button.value) : wanted === button.value;
        if (!pressed && (wanted === undefined ? !button.name : fits)) {
          if (button.name) fields.append(button.name, button.value);
          pressed = true;
        }
      }
      if (!pressed) continue;
      const action = new URL(form.action || base.href, base);
      if (form.method === 'post') return { method: 'POST', url: action, body: fields.toString(), origin: base.origin };
      action.search = fields.toString();
      return { method: 'GET', url: action };
    }
    const link = /<a\b[^>]*class="[^"]*\bprimary\b[^"]*"[^>]*>/.exec(html);
    const href = link && attribute(link[0], 'href');
    return href ? { method: 'GET', url: new URL(href, base) } : undefined;
  }

  #send({ method, url, body, origin }) {
    const headers = { accept: 'text/html,application/xhtml+xml', 'user-agent': 'interop-browser/1' };
    const cookie = this.#cookiesFor(url);
    if (cookie) headers.cookie = cookie;
    if (body !== undefined) {
      headers['content-type'] = 'application/x-www-form-urlencoded';
      headers['content-length'] = Buffer.byteLength(body);
      headers.origin = origin;
    }
    return new Promise((resolve, reject) => {
      const sent = http.request(url, { method, headers, agent: false }, (answer) => {
        const chunks = [];
        answer.on('data', (chunk) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () => {
          this.#keepCookies(url, answer.headers['set-cookie'] ?? []);
          this.trail.push({ method, url: url.href, status: answer.statusCode });
          resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks).toString('utf8') });
        });
      });
      sent.on('error', reject);
      sent.setTimeout(20_000, () => sent.destroy(new Error(`no answer from ${url.href}`)));
      sent.end(body);
    });
  }

  // As in a browser, cookies belong to a host and a path; the port does not matter.
  #cookiesFor(url) {
    return this.cookies
      .filter((cookie) => cookie.host === url.hostname && pathCovers(cookie.path, url.pathname))
      .map((cookie) => `${cookie.name}=${cookie.value}`)
      .join('; ');
  }

  #keepCookies(url, lines) {
    for (const line of lines) {
      const [pair, ...rest] = line.split(';').map((part) => part.trim());
      const name = pair.slice(0, pair.indexOf('='));
      const value = pair.slice(pair.indexOf('=') + 1);
      const attributes = Object.fromEntries(rest.map((part) => [part.split('=')[0].toLowerCase(), part.slice(part.indexOf('=') + 1)]));
      const path = attributes.path ?? (url.pathname.slice(0, url.pathname.lastIndexOf('/')) || '/');
      const gone = attributes['max-age'] === '0' || (attributes.expires && Date.parse(attributes.expires) <= Date.now());
      this.cookies = this.cookies.filter((cookie) => !(cookie.host === url.hostname && cookie.name === name && cookie.path === path));
      if (!gone) this.cookies.push({ host: url.hostname, path, name, value });
    }
  }
}

function pathCovers(path, asked) {
  return asked === path || asked.startsWith(path.endsWith('/') ? path : `${path}/`);
}

function formsOf(html) {
  return [...html.matchAll(/<form\b[^>]*>[\s\S]*?<\/form>/g)].map(([form]) => {
    const opening = /<form\b[^>]*>/.exec(form)[0];
    const fields = [...form.matchAll(/<input\b[^>]*>/g)].map(([tag]) => tag);
    const submits = fields.filter((tag) => attribute(tag, 'type') === 'submit');
    const inputs = fields.filter((tag) => !submits.includes(tag));
    const hidden = inputs.filter((tag) => attribute(tag, 'type') === 'hidden');
    const buttons = [...form.matchAll(/<button\b[^>]*>/g)].map(([tag]) => tag).filter((tag) => attribute(tag, 'type') !== 'button');
    return {
      action: attribute(opening, 'action'),
      method: (attribute(opening, 'method') ?? 'get').toLowerCase(),
      hidden: hidden.map((tag) => ({ name: attribute(tag, 'name'), value: attribute(tag, 'value') ?? '' })),
      inputs: inputs.filter((tag) => !hidden.includes(tag)).map((tag) => attribute(tag, 'name')),
      buttons: [...buttons, ...submits].map((tag) => ({ name: attribute(tag, 'name'), value: attribute(tag, 'value') ?? '' })),
    };
  });
}

function attribute(tag, name) {
  const found = new RegExp(`\\s${name}="([^"]*)"`).exec(tag);
  return found ? decode(found[1]) : undefined;
}

function decode(text) {
  const named = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(amp|lt|gt|quot|apos));/gi, (_, hex, decimal, name) =>
    name ? named[name.toLowerCase()] : String.fromCodePoint(hex ? Number.parseInt(hex, 16) : Number(decimal)),
  );
}

/** A page as a person would read it, for error messages. */
export function textOf(html) {
  return decode(
    html
      .replace(/<(style|script|head)\b[\s\S]*?<\/\1>/g, ' ')
      .replace(/<[^>]*>/g, ' ')
      .replace(/\s+/g, ' '),
  ).trim();
}
