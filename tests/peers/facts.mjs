// What clients and servers cannot do without the gateway either: found by trying, each time the step runs. A fact that is not found for
// one of the pairs that it is about fails the step, and so does a failure that no fact tells of. The table that uses them is in
// table.mjs.

const ANY = /./;
const LEGACY = /^((?!modern).)*$/;
const ASKING = /^(sampling|elicitation|elicitation by URL|roots)$/;
const NOT_TOLD = /^not in \S+ seconds: /;

/** Which clients, at which servers, fail in which exercises, and how. The first that fits counts. */
export const FACTS = [
  {
    says: "MCP Inspector's command line answers nothing that it is asked, and has no roots",
    client: /^Inspector/,
    server: ANY,
    exercise: /^(sampling|elicitation|elicitation by URL|roots|elicit|elicit_url|url required|sample)$/,
    why: ANY,
  },
  {
    says: "MCP Inspector's command line has no subscriptions and no completion",
    client: /^Inspector/,
    server: ANY,
    exercise: /^(resource updates|subscribe|completion)$/,
    why: /has no method/,
  },
  {
    says: "MCP Inspector's command line ends with the answer: it tells of no progress, and calls nothing off",
    client: /^Inspector/,
    server: ANY,
    exercise: /^(progress|cancellation|cancel)$/,
    why: ANY,
  },
  {
    says: "MCP Inspector's command line ends with the answer, and has no log level in the modern era: it tells of no log messages",
    client: /^Inspector/,
    server: /^(?!everything)/,
    exercise: /^logging$/,
    why: ANY,
  },
  {
    says: 'a server of the Go SDK with sessions, on HTTP, speaks 2025-11-25 and nothing newer',
    client: /modern/,
    server: /^go-(http|json)$/,
    exercise: /^connect$/,
    why: /agreed on 2025-11-25|Unsupported protocol version|not supported by this server/,
  },
  {
    says: 'server-everything and servers of the Java SDK speak 2025-11-25 and nothing newer; some answer all the same, some not at all',
    client: /modern/,
    server: /^(everything|java)-/,
    exercise: /^connect$/,
    why: /agreed on 2025-11-25|did not offer pinned|Server not initialized|Field required|returned an error response|^not in \S+ seconds$/,
  },
  {
    says: "the Go SDK's client cannot listen to a server of the Java SDK, which answers listeners when it has something to tell",
    client: /^Go, legacy/,
    server: /^java-http$/,
    exercise: /^resource updates$/,
    why: NOT_TOLD,
  },
  {
    says: "the Java SDK's client tells no server that it gave up",
    client: /^Java/,
    server: /^(go|java|fastmcp)-/,
    exercise: /^cancellation$/,
    why: NOT_TOLD,
  },
  {
    says: 'a server of the Java SDK does not notice that it was called off',
    client: ANY,
    server: /^java-/,
    exercise: /^cancellation$/,
    why: NOT_TOLD,
  },
  {
    says: "FastMCP's client sets no log level in the modern era",
    client: /^FastMCP, modern/,
    server: ANY,
    exercise: /^logging$/,
    why: /logging\/setLevel is not available/,
  },
  {
    says: "FastMCP's client has no subscriptions in the modern era",
    client: /^FastMCP, modern/,
    server: /^go-/,
    exercise: /^resource updates$/,
    why: /resources\/subscribe/,
  },
  {
    says: "FastMCP's server has no subscriptions",
    client: ANY,
    server: /^fastmcp-/,
    exercise: /^resource updates$/,
    why: /Method not found|^not in \S+ seconds: /,
  },
  {
    says: "the Go SDK's client cannot read how FastMCP's server asks for roots in the modern era",
    client: /^Go, modern/,
    server: /^fastmcp-/,
    exercise: /^roots$/,
    why: /unexpected end of JSON input/,
  },
  {
    says: "the Java SDK's client takes log messages that are text only, and FastMCP's server sends objects",
    client: /^Java/,
    server: /^fastmcp-/,
    exercise: /^logging$/,
    why: NOT_TOLD,
  },
  {
    says: 'a server of the Go SDK without sessions asks nobody in the legacy era',
    client: LEGACY,
    server: /^go-stateless$/,
    exercise: ASKING,
    why: /rejected by transport|client does not support elicitation/,
  },
  {
    says: 'a server of the Go SDK without sessions tells of no updates and notices no cancellation in the legacy era',
    client: LEGACY,
    server: /^go-stateless$/,
    exercise: /^(resource updates|cancellation)$/,
    why: NOT_TOLD,
  },
  {
    says: 'a server of the Java SDK without sessions asks nobody and tells of nothing',
    client: LEGACY,
    server: /^java-stateless$/,
    exercise: /^(sampling|elicitation|elicitation by URL|roots|progress|logging|resource updates)$/,
    why: /nobody to ask|\[\]\s*-\s*\[|Method not found|capabilities are not enabled/,
  },
  {
    says: "FastMCP's server that answers in JSON asks nobody in the legacy era, except for roots where it has sessions",
    client: LEGACY,
    server: /^fastmcp-json$/,
    exercise: /^(sampling|elicitation|elicitation by URL)$/,
    why: /Cannot send/,
  },
  {
    says: "FastMCP's server without sessions asks nobody in the legacy era",
    client: LEGACY,
    server: /^fastmcp-stateless$/,
    exercise: ASKING,
    why: /Cannot se/,
  },
  {
    says: "FastMCP's server that answers in JSON tells of nothing before it has answered, and notices no cancellation",
    client: ANY,
    server: /^fastmcp-(json|stateless)$/,
    exercise: /^(progress|logging|cancellation)$/,
    why: /\[\]\s*-\s*\[|^not in \S+ seconds: /,
  },
];
