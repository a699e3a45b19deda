"""Python's mcp as a client, driven from python.mjs: reads one JSON object a line, {"id", "verb", ...}, and answers {"id", "result"} or
{"id", "error"}. What servers ask is passed on, {"ask", "method", "params"}, and answered from there with {"answer", "result"}; what
they tell is passed on as {"told", ...}.

Usage: python_client.py ERA CAPABLE WHERE, where ERA is legacy, modern (pinned) or probing, CAPABLE is yes or no, and WHERE is JSON:
{"url", "token"} or {"command", "args"}.
"""

import json
import sys
import warnings
from itertools import count

import anyio
import httpx2
import mcp_types as types
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError

warnings.simplefilter("ignore", MCPDeprecationWarning)

MODES = {"legacy": "legacy", "modern": "2026-07-28", "probing": "auto"}
SUBSCRIPTION_ID = "io.modelcontextprotocol/subscriptionId"
LOG_LEVEL = "io.modelcontextprotocol/logLevel"


def say(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def plain(model):
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


class Questions:
    """What servers ask: sent to the other side, which answers in any order."""

    def __init__(self):
        self.waiting = {}
        self.numbers = count(1)

    async def ask(self, method, params):
        number = next(self.numbers)
        answered = self.waiting[number] = [anyio.Event(), None]
        say({"ask": number, "method": method, "params": plain(params) if params else {}})
        await answered[0].wait()
        return answered[1]

    def answer(self, number, result):
        answered = self.waiting.pop(number)
        answered[1] = result
        answered[0].set()


def callbacks(questions):
    async def elicit(_context, params):
        return types.ElicitResult.model_validate(await questions.ask("elicitation/create", params))

    async def sample(_context, params):
        return types.CreateMessageResult.model_validate(await questions.ask("sampling/createMessage", params))

    async def roots(_context):
        return types.ListRootsResult.model_validate(await questions.ask("roots/list", None))

    return {"elicitation_callback": elicit, "sampling_callback": sample, "list_roots_callback": roots}


async def on_log(params):
    say({"told": "log", "params": plain(params)})


async def on_message(message):
    # What belongs to a listening stream the stream tells of, see Driver.listen.
    if isinstance(message, Exception) or SUBSCRIPTION_ID in ((message.params and message.params.meta) or {}):
        return
    if isinstance(message, types.ResourceUpdatedNotification):
        say({"told": "updated", "uri": str(message.params.uri)})
    elif isinstance(message, types.ToolListChangedNotification):
        say({"told": "changed"})
    elif isinstance(message, types.ElicitCompleteNotification):
        say({"told": "completed", "elicitationId": message.params.elicitation_id})


class Driver:
    def __init__(self, client, group):
        self.client = client
        self.group = group
        self.modern = client.protocol_version == MODES["modern"]
        self.meta = None
        self.calls = {}
        self.listening = None

    async def perform(self, message):
        verb = message["verb"]
        if verb == "tools":
            return [plain(tool) for tool in (await self.client.list_tools()).tools]
        if verb == "call":
            return await self.call(message)
        if verb == "prompts":
            return [plain(prompt) for prompt in (await self.client.list_prompts()).prompts]
        if verb == "resources":
            return [plain(resource) for resource in (await self.client.list_resources()).resources]
        if verb == "templates":
            return [plain(template) for template in (await self.client.list_resource_templates()).resource_templates]
        if verb == "complete":
            ref = types.PromptReference.model_validate(message["ref"])
            return plain((await self.client.complete(ref, message["argument"])).completion)
        if verb == "prompt":
            return plain(await self.client.get_prompt(message["name"], message.get("args")))
        if verb == "read":
            return plain(await self.client.read_resource(message["uri"]))
        if verb == "wantLogs":
            if self.modern:
                self.meta = {LOG_LEVEL: message["level"]}
            else:
                await self.client.session.set_logging_level(message["level"])
            return None
        if verb in ("subscribe", "watchTools"):
            if self.modern:
                await self.group.start(self.listen, message.get("uri"))
            elif verb == "subscribe":
                await self.client.subscribe_resource(message["uri"])
            return None
        if verb in ("unsubscribe", "unwatchTools"):
            if self.modern:
                self.listening.cancel()
            elif verb == "unsubscribe":
                await self.client.unsubscribe_resource(message["uri"])
            return None
        raise ValueError(f"no verb {verb}")

    async def call(self, message):
        async def on_progress(progress, total, text):
            say({"told": "progress", "id": message["id"], "progress": {"progress": progress, "total": total, "message": text}})

        with anyio.CancelScope() as scope:
            self.calls[message["id"]] = scope
            progress = on_progress if message["progress"] else None
            return plain(await self.client.call_tool(message["name"], message["args"], progress_callback=progress, meta=self.meta))
        raise RuntimeError("called off")

    async def listen(self, uri, *, task_status):
        """Listens to a resource, or without one to the list of tools."""
        wanted = {"resource_subscriptions": [uri]} if uri else {"tools_list_changed": True}
        with anyio.CancelScope() as self.listening:
            async with self.client.listen(**wanted) as subscription:
                honored = subscription.honored
                if not (uri in (honored.resource_subscriptions or []) if uri else honored.tools_list_changed):
                    raise RuntimeError(f"honoured: {plain(honored)}")
                task_status.started()
                async for event in subscription:
                    say({"told": "updated", "uri": str(event.uri)} if uri else {"told": "changed"})


async def attend(client, questions):
    async with anyio.create_task_group() as group:
        driver = Driver(client, group)

        async def perform(message):
            try:
                say({"id": message["id"], "result": await driver.perform(message)})
            except Exception as error:  # whatever went wrong is the other side's to judge
                code = f" {error.error.code}" if isinstance(error, MCPError) else ""
                say({"id": message["id"], "error": f"{type(error).__name__}{code}: {error}"})

        while line := await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            message = json.loads(line)
            if "answer" in message:
                questions.answer(message["answer"], message["result"])
            elif message["verb"] == "callOff":
                driver.calls[message["call"]].cancel()
            elif message["verb"] == "close":
                break
            else:
                group.start_soon(perform, message)
        group.cancel_scope.cancel()


async def main(era, capable, where):
    questions = Questions()
    offered = {"logging_callback": on_log, "message_handler": on_message, **(callbacks(questions) if capable == "yes" else {})}
    headers = {"authorization": f"Bearer {where['token']}"} if where.get("token") else {}
    async with httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(30, read=300)) as http:
        if "url" in where:
            transport = streamable_http_client(where["url"], http_client=http)
        else:
            transport = stdio_client(StdioServerParameters(command=where["command"], args=where["args"]))
        async with Client(transport, mode=MODES[era], **offered) as client:
            say({"id": 0, "result": {"protocol": client.protocol_version}})
            await attend(client, questions)


anyio.run(main, sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
