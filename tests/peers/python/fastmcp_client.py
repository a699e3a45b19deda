"""FastMCP's client, driven in JSON lines from ../programs.mjs: {"id", "verb", ...} comes in, {"id", "result"} or {"id", "error"} goes out.
What servers ask is passed on, {"ask", "method", "params"}, and answered from there with {"answer", "result"}; what they tell is passed on
as {"told", ...}. Its sign-in is its own: it opens a "browser" that is on the other side, and listens for the callback itself. The server is
in fastmcp_server.py; the same peers in other languages are in the folders next door.
"""

import asyncio
import json
import os
import sys
import warnings
import webbrowser
from itertools import count

from fastmcp import Client
from fastmcp.client.auth import OAuth
from fastmcp.client.messages import MessageHandler
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from fastmcp.exceptions import McpError
from mcp_types import CreateMessageResult, ElicitResult, PromptReference, ResourceTemplateReference, Root

warnings.simplefilter("ignore")

MODES = {"legacy": "legacy", "modern": "2026-07-28"}


def say(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def plain(model):
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


class Window(webbrowser.BaseBrowser):
    """A browser that is on the other side."""

    def open(self, url, new=0, autoraise=True):
        say({"open": url})
        return True


webbrowser.register("peer", None, Window("peer"), preferred=True)


class Questions:
    """What servers ask: sent to the other side, which answers in any order."""

    def __init__(self):
        self.waiting = {}
        self.numbers = count(1)

    async def ask(self, method, params):
        number = next(self.numbers)
        answered = self.waiting[number] = asyncio.get_running_loop().create_future()
        say({"ask": number, "method": method, "params": params})
        return await answered

    def answer(self, number, result):
        answered = self.waiting.pop(number)
        # The call that asked may have been cancelled meanwhile.
        if not answered.done():
            answered.set_result(result)


class News(MessageHandler):
    async def on_resource_updated(self, message):
        say({"told": "updated", "uri": str(message.params.uri)})


async def on_log(params):
    say({"told": "log", "params": plain(params)})


class Driver:
    def __init__(self):
        self.questions = Questions()
        self.client = None
        self.calls = {}

    async def connect(self, where, era, roots):
        async def sample(_messages, params, _context):
            return CreateMessageResult.model_validate(await self.questions.ask("sampling/createMessage", plain(params)))

        async def elicit(_message, _type, params, _context):
            return ElicitResult.model_validate(await self.questions.ask("elicitation/create", plain(params)))

        if where.get("command"):
            transport = StdioTransport(where["command"], where["args"], keep_alive=False, env=dict(os.environ))
        else:
            transport = StreamableHttpTransport(where["url"], auth=where.get("token") or (OAuth() if where.get("redirect") else None))
        self.client = Client(
            transport,
            mode=MODES[era],
            roots=[Root.model_validate(root) for root in roots],
            sampling_handler=sample,
            elicitation_handler=elicit,
            log_handler=on_log,
            message_handler=News(),
        )
        await self.client.__aenter__()
        server = self.client.server_info
        told = {"protocol": self.client.protocol_version, "instructions": self.client.instructions or ""}
        return {**told, "server": plain(server) if server else None}

    async def perform(self, message):
        verb, client = message["verb"], self.client
        if verb == "connect":
            return await self.connect(message["where"], message["era"], message["roots"])
        if verb == "close":
            return await client.__aexit__(None, None, None)
        if verb == "tools":
            return plain(await client.list_tools_mcp())["tools"]
        if verb == "call":
            return await self.call(message)
        if verb == "prompts":
            return plain(await client.list_prompts_mcp())["prompts"]
        if verb == "prompt":
            return plain(await client.get_prompt_mcp(message["name"], message.get("args")))
        if verb == "resources":
            return plain(await client.list_resources_mcp())["resources"]
        if verb == "templates":
            return plain(await client.list_resource_templates_mcp())["resourceTemplates"]
        if verb == "read":
            return plain(await client.read_resource_mcp(message["uri"]))
        if verb == "complete":
            of = PromptReference if message["ref"]["type"] == "ref/prompt" else ResourceTemplateReference
            return plain((await client.complete_mcp(of.model_validate(message["ref"]), message["argument"])).completion)
        if verb == "wantLogs":
            return await client.set_logging_level(message["level"])
        # It has no verbs of its own for these: they are those of the SDK's session beneath it, in the legacy era only.
        if verb == "subscribe":
            return plain(await client.session.subscribe_resource(message["uri"]))
        if verb == "unsubscribe":
            return plain(await client.session.unsubscribe_resource(message["uri"]))
        raise ValueError(f"no verb {verb}")

    async def call(self, message):
        async def on_progress(progress, total, text):
            say({"told": "progress", "id": message["id"], "progress": {"progress": progress, "total": total, "message": text}})

        progress = on_progress if message.get("progress") else None
        return plain(await self.client.call_tool_mcp(message["name"], message["args"], progress_handler=progress))

    async def attend(self, message):
        try:
            self.calls[message["id"]] = asyncio.current_task()
            say({"id": message["id"], "result": await self.perform(message)})
        except asyncio.CancelledError:
            say({"id": message["id"], "error": {"message": "called off"}})
        except McpError as error:
            told = {"code": error.error.code, "message": error.error.message, "data": error.error.data}
            say({"id": message["id"], "error": {name: value for name, value in told.items() if value is not None}})
        except Exception as error:  # whatever went wrong is the other side's to judge
            say({"id": message["id"], "error": {"message": f"{type(error).__name__}: {error}"}})
        finally:
            self.calls.pop(message["id"], None)


async def main():
    driver = Driver()
    running = set()
    while line := await asyncio.to_thread(sys.stdin.readline):
        message = json.loads(line)
        if "answer" in message:
            driver.questions.answer(message["answer"], message["result"])
        elif message["verb"] == "callOff":
            if message["call"] in driver.calls:
                driver.calls[message["call"]].cancel()
            say({"id": message["id"], "result": None})
        else:
            task = asyncio.create_task(driver.attend(message))
            running.add(task)
            task.add_done_callback(running.discard)


asyncio.run(main())
