"""FastMCP's server, on stdio or Streamable HTTP, with or without sessions. What it offers is the same, word for word, as what the servers
in the folders next door offer; the exercises that use it are in ../exercises.mjs, the client in fastmcp_client.py.

    fastmcp_server.py --transport stdio|http [--port N] [--thing URI] [--stateless] [--json]
"""

import argparse
import asyncio
import base64

import mcp_types as types
from fastmcp import Context, FastMCP
from fastmcp.exceptions import McpError, ToolError
from fastmcp.tools import ToolResult

options = argparse.ArgumentParser()
options.add_argument("--transport", choices=["stdio", "http"], default="stdio")
options.add_argument("--port", type=int, default=0)
options.add_argument("--thing", default="peer://thing")
options.add_argument("--stateless", action="store_true")
options.add_argument("--json", action="store_true")
how = options.parse_args()

server = FastMCP("fastmcp-peer", version="1.0.0", instructions="A peer of the gateway, in Python.")
# What the process remembers, for all its clients.
story = {"touched": 0, "cancelled": 0}


@server.tool
def echo(message: str) -> ToolResult:
    """Says it again."""
    return ToolResult(content=message)


@server.tool(annotations={"title": "Sum", "readOnlyHint": True})
def sum(a: int, b: int) -> dict[str, int]:
    """Adds."""
    return {"sum": a + b}


@server.tool
def parts() -> ToolResult:
    """Answers with a part of every kind."""
    inside = types.TextResourceContents(uri="peer://embedded", mime_type="text/plain", text="inside")
    content = [
        types.TextContent(type="text", text="words", annotations=types.Annotations(audience=["user"], priority=0.5)),
        types.ImageContent(type="image", mime_type="image/png", data=base64.b64encode(b"not really a picture").decode()),
        types.AudioContent(type="audio", mime_type="audio/wav", data=base64.b64encode(b"not really a sound").decode()),
        types.ResourceLink(type="resource_link", uri="peer://linked", name="linked", mime_type="text/plain"),
        types.EmbeddedResource(type="resource", resource=inside),
    ]
    return ToolResult(content=content, meta={"example.com/kept": "as it is"})


@server.tool
def fail() -> ToolResult:
    """Fails, and says so in its result."""
    raise ToolError("the kettle is empty")


@server.tool
def refuse() -> ToolResult:
    """Is refused with an error of the protocol."""
    raise McpError(-31042, "no tea today", {"kettle": "empty"})


async def asking(context, request):
    """What the client answers to a request: once it did, in the modern era; there and then in the legacy one. `None`: not yet."""
    if context._is_modern_protocol():
        return (context.input_responses or {}).get("it")
    session, params, related = context.session, request.params, context.request_id
    if isinstance(params, types.ElicitRequestURLParams):
        return await session.elicit_url(params.message, params.url, params.elicitation_id, related)
    if isinstance(params, types.ElicitRequestFormParams):
        return await session.elicit_form(params.message, params.requested_schema, related)
    if isinstance(request, types.CreateMessageRequest):
        wanted = {"max_tokens": params.max_tokens, "temperature": params.temperature}
        return await session.create_message(params.messages, **wanted, related_request_id=related)
    return await session.list_roots()


def question(request):
    return types.InputRequiredResult(input_requests={"it": request})


@server.tool
async def elicit(context: Context) -> ToolResult:
    """Asks for a name in a form, and greets."""
    schema = {"type": "object", "properties": {"name": {"type": "string", "title": "Name"}}, "required": ["name"]}
    form = types.ElicitRequestFormParams(mode="form", message="What is your name?", requested_schema=schema)
    request = types.ElicitRequest(params=form)
    said = await asking(context, request)
    if said is None:
        return question(request)
    return ToolResult(content=f"hello {said.content['name']}" if said.action == "accept" else f"no name: {said.action}")


@server.tool
async def elicit_url(context: Context) -> ToolResult:
    """Sends the person to a page."""
    where = "https://example.com/sign-here"
    page = types.ElicitRequestURLParams(mode="url", message="Please sign there.", url=where, elicitation_id="visit-1")
    request = types.ElicitRequest(params=page)
    said = await asking(context, request)
    return question(request) if said is None else ToolResult(content=f"page: {said.action}")


@server.tool
async def sample(prompt: str, context: Context) -> ToolResult:
    """Asks the client's model."""
    asked = types.SamplingMessage(role="user", content=types.TextContent(type="text", text=prompt))
    request = types.CreateMessageRequest(params=types.CreateMessageRequestParams(messages=[asked], max_tokens=50, temperature=0.5))
    said = await asking(context, request)
    return question(request) if said is None else ToolResult(content=said.content.text)


@server.tool
async def roots(context: Context) -> ToolResult:
    """Lists the client's roots."""
    request = types.ListRootsRequest()
    said = await asking(context, request)
    return question(request) if said is None else ToolResult(content="\n".join(f"{root.name} {root.uri}" for root in said.roots))


@server.tool
async def slow(steps: int, milliseconds: int, context: Context) -> ToolResult:
    """Takes its time."""
    try:
        for step in range(1, steps + 1):
            await context.report_progress(step, steps, f"step {step}")
            await asyncio.sleep(milliseconds / 1000)
    except asyncio.CancelledError:
        story["cancelled"] += 1
        raise
    return ToolResult(content=f"{steps} steps done")


@server.tool
def cancelled() -> ToolResult:
    """How many slow calls were called off."""
    return ToolResult(content=str(story["cancelled"]))


@server.tool
def touch() -> ToolResult:
    """Changes the thing."""
    # Tells no client: this library keeps no subscriptions.
    story["touched"] += 1
    return ToolResult(content="touched")


@server.tool
async def log(level: str, message: str, context: Context) -> ToolResult:
    """Logs a message."""
    await context.log(message, level=level, logger_name="peer")
    return ToolResult(content="logged")


@server.resource(how.thing, name="thing", description="Changes when it is touched.", mime_type="text/plain")
def thing() -> str:
    return f"touched {story['touched']} times"


@server.resource(how.thing + "/numbers/{number}", name="number", mime_type="text/plain")
def number(number: str) -> str:
    return f"number {number}"


@server.prompt
def greet(name: str) -> str:
    """Greets somebody."""
    return f"hello {name}"


@server.completion
def complete(_ref, argument, _context):
    return [name for name in ("Ada", "Alan", "Grace") if name.startswith(argument.value)]


if how.transport == "stdio":
    server.run(transport="stdio", show_banner=False)
else:
    server.run(
        transport="http",
        host="127.0.0.1",
        port=how.port,
        path="/mcp",
        stateless_http=how.stateless,
        json_response=how.json,
        show_banner=False,
    )
