// The OAuth side of the two TypeScript SDKs' clients: what they keep between steps, and how their authorization URL is "opened".
// How each client connects stands in clients.mjs.
import { Browser } from './agent.mjs';

export const CALLBACK = 'http://localhost:43117/callback';

/** An OAuthClientProvider as an application would write it, holding everything in memory. Serves SDK 1.x and 2.x. */
export class Keychain {
  constructor({ name, person = 'alice', redirectUrl = CALLBACK }) {
    this.name = name;
    this.redirectUrl = redirectUrl;
    this.browser = new Browser({ login: person, password: 'not looked at', decision: 'allow' });
    /** How many times a person had to look at a browser. */
    this.signIns = 0;
    this.refreshes = 0;
  }

  get clientMetadata() {
    return {
      client_name: this.name,
      redirect_uris: [this.redirectUrl],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    };
  }

  state() {
    this.lastState = crypto.randomUUID();
    return this.lastState;
  }

  clientInformation() {
    return this.client;
  }

  saveClientInformation(client) {
    this.client = client;
  }

  tokens() {
    return this.held;
  }

  saveTokens(tokens) {
    if (this.held && this.signIns === this.signInsAtSave) this.refreshes += 1;
    this.signInsAtSave = this.signIns;
    this.held = tokens;
  }

  saveCodeVerifier(verifier) {
    this.verifier = verifier;
  }

  codeVerifier() {
    return this.verifier;
  }

  saveDiscoveryState(state) {
    this.discovery = state;
  }

  discoveryState() {
    return this.discovery;
  }

  invalidateCredentials(what) {
    if (what === 'all' || what === 'client') delete this.client;
    if (what === 'all' || what === 'tokens') delete this.held;
    if (what === 'all' || what === 'discovery') delete this.discovery;
  }

  /** The person's part: the browser goes through consent and sign-in until it is sent back to the client. */
  async redirectToAuthorization(url) {
    this.signIns += 1;
    this.answer = await this.browser.visit(url, this.redirectUrl);
    const state = this.answer.searchParams.get('state');
    if (state !== this.lastState) throw new Error(`state came back as ${state}`);
  }

  /** Makes the access token useless, as it is once it has expired, so that the next request needs the refresh token. */
  spoilAccessToken() {
    this.held = { ...this.held, access_token: `${this.held.access_token.slice(0, -4)}zzzz` };
  }
}
