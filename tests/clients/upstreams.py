"""Scripted upstreams for the SDK suites: one speaks OpenAI chat completions, one Anthropic Messages, one Gemini.

The scenario is the upstream's model id (`text`, `tools`, `cut`, ...), so that a test chooses it by the
name of the model it asks for. Standard library only. `python3 upstreams.py` prints one line of JSON with
both ports and serves until its standard input closes. `GET /log` tells what was asked and which answers
were left by the other side; `DELETE /log` forgets it.

The shapes are those of the vendors' API references (read November 2026).
"""

import asyncio
import json
import re
import sys

# A square of one pixel; what the vision scenario must find in the request.
IMAGE = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
WORDS = ["Sluices ", "let ", "every ", "ship ", "through."]
CITY = '{"city":"Oslo","degrees":-3}'
# What the `thinking` scenario thinks, and Anthropic's proof of it; both must come back with the tool's result.
THOUGHT = ["Cold? ", "I ask."]
PROOF = "c2lnbmVk"
ERRORS = {
    400: ("invalid_request_error", "invalid_value", "invalid_request_error"),
    401: ("invalid_request_error", "invalid_api_key", "authentication_error"),
    402: ("insufficient_quota", "insufficient_quota", "billing_error"),
    403: ("invalid_request_error", None, "permission_error"),
    404: ("invalid_request_error", "model_not_found", "not_found_error"),
    409: ("invalid_request_error", None, "conflict_error"),
    413: ("invalid_request_error", None, "request_too_large"),
    422: ("invalid_request_error", None, "invalid_request_error"),
    429: ("rate_limit_error", "rate_limit_exceeded", "rate_limit_error"),
    500: ("server_error", None, "api_error"),
    529: ("service_unavailable_error", None, "overloaded_error"),
}


class Gone(Exception):
    """The other side has closed."""


class Exchange:
    """One request, and the ways to answer it."""

    def __init__(self, server, reader, writer, method, path, headers, body):
        self.server, self.reader, self.writer = server, reader, writer
        self.method, self.path, self.headers, self.body = method, path, headers, body
        self.entry = {"path": path, "headers": headers, "body": body, "left": False}

    async def whole(self, status, value, headers=()):
        body = json.dumps(value, separators=(",", ":")).encode()
        lines = [f"HTTP/1.1 {status} Scripted", "content-type: application/json", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await self.writer.drain()

    async def begin(self):
        head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
        self.writer.write(head.encode())
        await self.writer.drain()

    async def event(self, data, name=None):
        data = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        text = (f"event: {name}\n" if name else "") + f"data: {data}\n\n"
        piece = text.encode()
        self.writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        await self.writer.drain()

    async def end(self):
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    async def pause(self, seconds):
        """Waits, unless the other side leaves meanwhile: then the log says so."""
        try:
            if await asyncio.wait_for(self.reader.read(1), seconds) == b"":
                raise Gone
        except TimeoutError:
            return
        except ConnectionError:
            raise Gone from None

    def cut(self):
        self.writer.transport.abort()


# How the coding agents' own tools are told to show a file, by the tool's name.
READING = {
    "Read": lambda path: {"file_path": path},
    "read_file": lambda path: {"file_path": path},
    "exec_command": lambda path: {"cmd": f"cat {path}"},
    "shell": lambda path: {"command": ["cat", path]},
    "shell_command": lambda path: {"command": f"cat {path}"},
}


def reading(tools, text):
    """The call that shows the file which the task names, by the first tool that can."""
    path = re.search(r"/[^\s\"\\]*word\.txt", text)
    name = next((name for name in READING if name in tools), None)
    return [(name, json.dumps(READING[name](path[0])))] if path and name else None


def word_in(result):
    """The word of the file, out of a tool's result with line numbers, headings and the like around it."""
    found = re.search(r"spuisluis", result)
    return f"The word is {found[0]}." if found else f"No word in {result!r}."


def calls_of(scenario, tools, messages):
    """The calls a scenario makes: name and arguments."""
    if scenario == "agent":
        return reading(tools, json.dumps(messages)) or []
    if scenario not in ("tools", "thinking", "parallel", "no-arguments"):
        return []
    if scenario in ("tools", "thinking"):
        return [("get_weather", '{"city":"Oslo"}')]
    if scenario == "parallel":
        return [("get_weather", '{"city":"Oslo"}'), ("get_weather", '{"city":"Rome"}')]
    return [("get_time", "")]


def pieces(text):
    """A text in three deltas, the first one empty."""
    middle = len(text) // 2
    return ["", text[:middle], text[middle:]]


class Server:
    """What both dialects share: HTTP, the log, and the scenarios that are no answers."""

    def __init__(self):
        self.log, self.busy = [], False

    async def start(self):
        server = await asyncio.start_server(self.connection, "127.0.0.1", 0)
        return server.sockets[0].getsockname()[1]

    async def connection(self, reader, writer):
        try:
            while await self.request(reader, writer):
                pass
        except (Gone, ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def request(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        if headers.get("transfer-encoding", "").lower() == "chunked":
            raw = await chunked(reader)
        else:
            raw = await reader.readexactly(int(headers.get("content-length", 0)))
        exchange = Exchange(self, reader, writer, method, path, headers, json.loads(raw) if raw else None)
        if path == "/log":
            await exchange.whole(200, self.log)
            if method == "DELETE":
                self.log = []
            return True
        self.log.append(exchange.entry)
        try:
            return await self.serve(exchange)
        except (Gone, ConnectionError):
            exchange.entry["left"] = True
            raise

    async def serve(self, exchange):
        if exchange.method == "GET" and exchange.path.split("?")[0].endswith("/models"):
            await exchange.whole(200, self.models(["text", "tools"]))
            return True
        if exchange.path.endswith("ount_tokens") or exchange.path.endswith("ountTokens"):
            await exchange.whole(200, self.count(len(json.dumps(exchange.body)) // 4))
            return True
        scenario, streams = self.asked(exchange)
        if scenario.startswith("error-"):
            await self.error(exchange, int(scenario.removeprefix("error-")))
            return True
        if scenario == "silent":
            await exchange.pause(60)
        if scenario == "busy-once":
            self.busy = not self.busy
            if self.busy:
                await exchange.whole(429, self.fault(429, "scripted 429"), [("retry-after", "1")])
                return True
        if scenario == "vision" and not self.sees(exchange.body):
            await exchange.whole(400, self.fault(400, "no image came"))
            return True
        if scenario == "thinking" and self.results(exchange.body) and not self.remembers(exchange.body):
            await exchange.whole(400, self.fault(400, "the thinking did not come back"))
            return True
        if streams:
            return await self.stream(exchange, scenario)
        await exchange.whole(200, self.answer(scenario, exchange.body))
        return True

    def asked(self, exchange):
        """The scenario, and whether it is to be streamed."""
        return exchange.body["model"], exchange.body.get("stream")

    def count(self, tokens):
        return {"input_tokens": tokens}

    def models(self, names):
        return {"object": "list", "data": [self.model(name) for name in names]}

    async def error(self, exchange, status):
        await exchange.whole(status, self.fault(status, f"scripted {status}"), [("x-request-id", "req_up")])

    async def stream(self, exchange, scenario):
        await exchange.begin()
        if scenario == "late":
            await exchange.pause(0.5)
        if scenario == "broken":
            await self.broken(exchange)
            return False
        await self.play(exchange, scenario)
        await exchange.end()
        return True


async def chunked(reader):
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body


def texts(scenario, body, results):
    """What the scenarios that speak say."""
    if scenario in ("tools", "thinking", "parallel", "no-arguments") and results:
        return [f"I saw: {', '.join(results)}."]
    if scenario == "agent":
        return [word_in(results[-1])] if results else ["Nothing to do."]
    if scenario == "schema":
        return pieces(CITY)
    if scenario == "list":
        # Google's models alone take a schema for something else than an object.
        return pieces(f"[{CITY}]" if "contents" in body else f'{{"value":[{CITY}]}}')
    if scenario == "vision":
        return ["one pixel"]
    if scenario == "unicode":
        return ["\u4f60\u597d ", "\U0001f30d ", "\u2028", "caf\u00e9"]
    if scenario == "history":
        return [" / ".join(message["role"] for message in body["messages"])]
    return WORDS


class OpenAi(Server):
    """Chat completions."""

    def model(self, name):
        return {"id": name, "object": "model", "created": 1795000000, "owned_by": "scripted"}

    def fault(self, status, message):
        kind, code, _ = ERRORS[status]
        return {"error": {"message": message, "type": kind, "param": None, "code": code}}

    def sees(self, body):
        parts = [part for message in body["messages"] if isinstance(message["content"], list) for part in message["content"]]
        return any(part.get("image_url", {}).get("url") == f"data:image/png;base64,{IMAGE}" for part in parts)

    def remembers(self, body):
        return any(message.get("reasoning_content") == "".join(THOUGHT) for message in body["messages"])

    def results(self, body):
        contents = [message["content"] for message in body["messages"] if message["role"] == "tool"]
        return [text if isinstance(text, str) else "".join(part["text"] for part in text) for text in contents]

    def calls(self, scenario, body):
        tools = [tool["function"]["name"] for tool in body.get("tools") or [] if "function" in tool]
        return [] if self.results(body) else calls_of(scenario, tools, body["messages"])

    def usage(self):
        details = {"cached_tokens": 0}
        return {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14, "prompt_tokens_details": details}

    def answer(self, scenario, body):
        message, finish = {"role": "assistant", "content": None, "refusal": None, "annotations": []}, "stop"
        if scenario == "thinking":
            message["reasoning_content"] = "".join(THOUGHT)
        if calls := self.calls(scenario, body):
            finish = "tool_calls"
            message["tool_calls"] = [
                {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": arguments or "{}"}}
                for index, (name, arguments) in enumerate(calls)
            ]
        else:
            message["content"] = "".join(texts(scenario, body, self.results(body)))
        return {
            "id": "chatcmpl-up", "object": "chat.completion", "created": 1795000000, "model": f"{scenario}-2026",
            "service_tier": "default", "system_fingerprint": None,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
            "usage": self.usage(),
        }

    def chunk(self, scenario, delta, finish=None):
        return {
            "id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 1795000000,
            "model": f"{scenario}-2026", "system_fingerprint": None,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }

    async def play(self, exchange, scenario):
        body, finish = exchange.body, "stop"
        counts = (body.get("stream_options") or {}).get("include_usage")
        nothing = {"usage": None} if counts else {}
        say = lambda delta, finish=None: exchange.event({**self.chunk(scenario, delta, finish), **nothing})
        for thought in THOUGHT if scenario == "thinking" else []:
            await say({"role": "assistant", "content": None, "reasoning_content": thought})
        if calls := self.calls(scenario, body):
            finish = "tool_calls"
            await self.play_calls(say, calls)
        else:
            await say({"role": "assistant", "content": "", "refusal": None})
            for text in texts(scenario, body, self.results(body)):
                await say({"content": text})
                await exchange.pause(0.05 if scenario == "slow-stream" else 0)
            while scenario == "endless":
                await say({"content": "on "})
                await exchange.pause(0.02)
        await say({}, finish)
        if counts:
            await exchange.event({**self.chunk(scenario, {}), "choices": [], "usage": self.usage()})
        await exchange.event("[DONE]")

    async def play_calls(self, say, calls):
        for index, (name, arguments) in enumerate(calls):
            header = {"index": index, "id": f"call_{index}", "type": "function"}
            header["function"] = {"name": name, "arguments": ""}
            first = {"role": "assistant", "content": None} if index == 0 else {}
            await say({**first, "tool_calls": [header]})
            for piece in pieces(arguments or "{}"):
                await say({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})

    async def broken(self, exchange):
        await exchange.event(self.chunk("broken", {"role": "assistant", "content": "half"}))
        await exchange.pause(0.1)
        exchange.cut()


class Anthropic(Server):
    """Messages."""

    def model(self, name):
        return {"id": name, "type": "model", "display_name": name, "created_at": "2026-01-01T00:00:00Z"}

    def fault(self, status, message):
        return {"type": "error", "error": {"type": ERRORS[status][2], "message": message}, "request_id": "req_up"}

    def blocks(self, body, kind):
        contents = [message["content"] for message in body["messages"] if isinstance(message["content"], list)]
        return [block for content in contents for block in content if block["type"] == kind]

    def remembers(self, body):
        thought = {"type": "thinking", "thinking": "".join(THOUGHT), "signature": PROOF}
        return thought in self.blocks(body, "thinking")

    def sees(self, body):
        return any(block["source"].get("data") == IMAGE for block in self.blocks(body, "image"))

    def results(self, body):
        contents = [block["content"] for block in self.blocks(body, "tool_result")]
        return [text if isinstance(text, str) else "".join(part["text"] for part in text) for text in contents]

    def output_tool(self, body):
        """The tool that stands for a schema, when the caller emulates structured output by one."""
        choice = body.get("tool_choice") or {}
        return choice.get("name") if choice.get("type") == "tool" else None

    def content(self, scenario, body):
        """Blocks and the stop reason."""
        tools = [tool["name"] for tool in body.get("tools") or []]
        calls = [] if self.results(body) else calls_of(scenario, tools, body["messages"])
        before = [("thinking", THOUGHT)] if scenario == "thinking" else []
        if calls:
            called = [("tool", f"toolu_{index}", name, arguments) for index, (name, arguments) in enumerate(calls)]
            return before + called, "tool_use"
        if scenario in ("schema", "list") and (name := self.output_tool(body)):
            return [("tool", "toolu_0", name, "".join(texts(scenario, body, [])))], "tool_use"
        return [*before, ("text", texts(scenario, body, self.results(body)))], "end_turn"

    def usage(self, output=5):
        return {"input_tokens": 9, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": output}

    def message(self, scenario, content, reason, usage):
        return {
            "id": "msg_up", "type": "message", "role": "assistant", "model": f"{scenario}-2026", "content": content,
            "stop_reason": reason, "stop_sequence": None, "usage": usage,
        }

    def answer(self, scenario, body):
        parts, reason = self.content(scenario, body)
        return self.message(scenario, [self.block(part) for part in parts], reason, self.usage())

    def block(self, part):
        if part[0] == "text":
            return {"type": "text", "text": "".join(part[1])}
        if part[0] == "thinking":
            return {"type": "thinking", "thinking": "".join(part[1]), "signature": PROOF}
        return {"type": "tool_use", "id": part[1], "name": part[2], "input": json.loads(part[3] or "{}")}

    async def play(self, exchange, scenario):
        say = lambda data: exchange.event(data, data["type"])
        parts, reason = self.content(scenario, exchange.body)
        await say({"type": "message_start", "message": self.message(scenario, [], None, self.usage(1))})
        await say({"type": "ping"})
        for index, part in enumerate(parts):
            await self.play_block(exchange, say, index, part, scenario)
        delta = {"stop_reason": reason, "stop_sequence": None}
        await say({"type": "message_delta", "delta": delta, "usage": self.usage()})
        await say({"type": "message_stop"})

    async def play_block(self, exchange, say, index, part, scenario):
        if part[0] == "tool":
            block, kind, name = {"type": "tool_use", "id": part[1], "name": part[2], "input": {}}, "input_json_delta", "partial_json"
            deltas = pieces(part[3]) if part[3] else []
        elif part[0] == "thinking":
            block, kind, name = {"type": "thinking", "thinking": "", "signature": ""}, "thinking_delta", "thinking"
            deltas = part[1]
        else:
            block, kind, name, deltas = {"type": "text", "text": ""}, "text_delta", "text", part[1]
        await say({"type": "content_block_start", "index": index, "content_block": block})
        for piece in deltas:
            await say({"type": "content_block_delta", "index": index, "delta": {"type": kind, name: piece}})
            await exchange.pause(0.05 if scenario == "slow-stream" else 0)
        if part[0] == "thinking":
            signed = {"type": "signature_delta", "signature": PROOF}
            await say({"type": "content_block_delta", "index": index, "delta": signed})
        while scenario == "endless":
            delta = {"type": "text_delta", "text": "on "}
            await say({"type": "content_block_delta", "index": index, "delta": delta})
            await exchange.pause(0.02)
        await say({"type": "content_block_stop", "index": index})

    async def broken(self, exchange):
        say = lambda data: exchange.event(data, data["type"])
        await say({"type": "message_start", "message": self.message("broken", [], None, self.usage(1))})
        await say({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
        await say({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "half"}})
        await exchange.pause(0.1)
        exchange.cut()


class Gemini(Server):
    """`generateContent`. Nothing marks the last event; calls come with it, all together."""

    def asked(self, exchange):
        scenario, method = re.search(r"/models/([^:]+):(\w+)", exchange.path).groups()
        return scenario, method.startswith("stream")

    def models(self, names):
        methods = ["generateContent", "countTokens"]
        return {"models": [{"name": f"models/{name}", "supportedGenerationMethods": methods} for name in names]}

    def count(self, tokens):
        return {"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]}

    def fault(self, status, message):
        names = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL"}
        return {"error": {"code": status, "message": message, "status": names.get(status, "UNAVAILABLE")}}

    def parts(self, body, kind):
        return [part[kind] for content in body["contents"] for part in content["parts"] if kind in part]

    def sees(self, body):
        return any(data["data"].replace("-", "+").replace("_", "/") == IMAGE for data in self.parts(body, "inlineData"))

    def remembers(self, body):
        signed = [part for content in body["contents"] for part in content["parts"] if "functionCall" in part]
        return any(part.get("thoughtSignature", "").rstrip("=") == PROOF.rstrip("=") for part in signed)

    def results(self, body):
        said = [result["response"] for result in self.parts(body, "functionResponse")]
        return [text if isinstance(text := next(iter(result.values()), ""), str) else json.dumps(result) for result in said]

    def said(self, scenario, body):
        tools = [tool["name"] for group in body.get("tools") or [] for tool in group.get("functionDeclarations") or []]
        before = [{"text": text, "thought": True} for text in THOUGHT] if scenario == "thinking" else []
        calls = [] if self.results(body) else calls_of(scenario, tools, body["contents"])
        called = [
            {"functionCall": {"id": f"id{index}", "name": name, "args": json.loads(arguments or "{}")}}
            for index, (name, arguments) in enumerate(calls)
        ]
        if called and before:
            called[0]["thoughtSignature"] = PROOF
        return before + (called or [{"text": text} for text in texts(scenario, body, self.results(body))])

    def chunk(self, scenario, parts, finish=None):
        usage = {"promptTokenCount": 9, "candidatesTokenCount": 5, "totalTokenCount": 14}
        candidate = {"content": {"role": "model", "parts": parts}, "index": 0}
        candidate = {**candidate, "finishReason": finish} if finish else candidate
        return {
            "candidates": [candidate], "usageMetadata": usage, "modelVersion": f"{scenario}-2026", "responseId": "up",
        }

    def answer(self, scenario, body):
        return self.chunk(scenario, self.said(scenario, body), "STOP")

    async def play(self, exchange, scenario):
        # The vendor escapes whatever else than a line feed might end a line.
        say = lambda parts, finish=None: exchange.event(json.dumps(self.chunk(scenario, parts, finish)))
        said = self.said(scenario, exchange.body)
        calls = [part for part in said if "functionCall" in part]
        for part in said[: len(said) - len(calls)]:
            await say([part])
            await exchange.pause(0.05 if scenario == "slow-stream" else 0)
        while scenario == "endless":
            await say([{"text": "on "}])
            await exchange.pause(0.02)
        await say(calls or [{"text": ""}], "STOP")

    async def broken(self, exchange):
        await exchange.event(self.chunk("broken", [{"text": "half"}]))
        await exchange.pause(0.1)
        exchange.cut()


async def main():
    openai, anthropic, gemini = OpenAi(), Anthropic(), Gemini()
    ports = {"openai": await openai.start(), "anthropic": await anthropic.start(), "gemini": await gemini.start()}
    print(json.dumps(ports), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
