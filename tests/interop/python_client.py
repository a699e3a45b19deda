"""Python's mcp client, driven from clients.mjs: reads one JSON object a line, {"id", "verb", "args"}, and answers {"id", "result"} or
{"id", "error"}. When a person has to sign in it prints {"open", "redirect"} and reads {"callback"}: the browser is on the other side.

Usage: python_client.py URL MODE, where MODE is the client's way to negotiate the protocol version: auto (its default) or legacy.
"""

import json
import sys
import time

import anyio
import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from mcp_types import PromptReference

REDIRECT = "http://127.0.0.1:43118/callback"


def say(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


async def hear():
    line = await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)
    if not line:
        sys.exit("nobody is listening any more")
    return json.loads(line)


class Memory:
    """Where the client keeps its tokens and its registration."""

    def __init__(self):
        self.tokens = None
        self.client = None
        self.token_answers = 0

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.token_answers += 1
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


def plain(model):
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


async def perform(client, message):
    verb, args = message["verb"], message.get("args", {})
    if verb == "tools":
        return [plain(tool) for tool in (await client.list_tools()).tools]
    if verb == "call":

        async def on_progress(progress, total, text):
            say({"id": message["id"], "progress": {"progress": progress, "total": total}})

        return plain(await client.call_tool(args["name"], args["args"], progress_callback=on_progress))
    if verb == "prompts":
        return [plain(prompt) for prompt in (await client.list_prompts()).prompts]
    if verb == "prompt":
        return plain(await client.get_prompt(args["name"], args["args"]))
    if verb == "resources":
        return [plain(resource) for resource in (await client.list_resources()).resources]
    if verb == "templates":
        return [plain(template) for template in (await client.list_resource_templates()).resource_templates]
    if verb == "read":
        return plain(await client.read_resource(args["uri"]))
    if verb == "complete":
        answer = await client.complete(PromptReference(name=args["ref"]["name"]), args["argument"])
        return plain(answer.completion)
    raise ValueError(f"no verb {verb}")


async def main(url, mode):
    memory = Memory()
    signed_in = []

    async def open_browser(authorization_url):
        say({"open": authorization_url, "redirect": REDIRECT})

    async def callback():
        answer = (await hear())["callback"]
        signed_in.append(True)
        return AuthorizationCodeResult(code=answer["code"], state=answer.get("state"), iss=answer.get("iss"))

    oauth = OAuthClientProvider(
        server_url=url,
        # As its documentation does, without a token_endpoint_auth_method: the server chooses.
        client_metadata=OAuthClientMetadata(client_name="Python interop", redirect_uris=[REDIRECT]),
        storage=memory,
        redirect_handler=open_browser,
        callback_handler=callback,
    )
    first = await hear()
    async with (
        httpx2.AsyncClient(auth=oauth, timeout=30) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        say({"id": first["id"], "result": {"protocol": client.protocol_version, "client": memory.client and plain(memory.client)}})
        # bounded: by the test, which says when to end.
        while True:
            message = await hear()
            if message["verb"] == "close":
                break
            try:
                if message["verb"] == "expire":
                    oauth.context.token_expiry_time = time.time() - 1
                    result = None
                elif message["verb"] == "refreshes":
                    result = memory.token_answers - len(signed_in)
                else:
                    result = await perform(client, message)
                say({"id": message["id"], "result": result})
            except Exception as error:  # whatever went wrong is the other side's to judge
                say({"id": message["id"], "error": f"{type(error).__name__}: {error}"})


anyio.run(main, sys.argv[1], sys.argv[2])
