"""Python's mcp client with a program as its server: lists tools, calls the first one, prints how many tools and parts of an answer there were.

Usage: python_client.py MODE PROGRAM ARGUMENT…, where MODE is the client's way to negotiate the protocol version: auto or legacy.
"""

import json
import os
import sys

import anyio
from mcp import StdioServerParameters
from mcp.client.client import Client


async def main(mode, command, args):
    async with Client(StdioServerParameters(command=command, args=args, env=dict(os.environ)), mode=mode) as client:
        tools = (await client.list_tools()).tools
        result = await client.call_tool(tools[0].name, {})
        print(json.dumps({"tools": len(tools), "content": len(result.content)}))


anyio.run(main, sys.argv[1], sys.argv[2], sys.argv[3:])
