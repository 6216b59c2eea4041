"""Would the vendor's own client take it? Each fixture that our tests decode is served to the SDK of the
vendor it is said to come from. What no SDK parses is no fixture."""

import json

import pytest
from replay import Case, Replay, cases

# Fixtures that show a broken or failing stream, or what no client knows yet: no SDK gives an answer.
BROKEN = {"cut", "truncated", "unknown_events", "unknown_operation"}
FAILS = ("_first", "_mid_stream", "error_line", "error_first_line", "error_whole")


def answers(vendor):
    """The cases with an answer, and how it is asked for."""
    for case in cases(vendor):
        if case.name in BROKEN or case.name.startswith("error_") or case.name.endswith(FAILS):
            continue
        if case.has("response.json"):
            yield pytest.param(case, False, id=f"{vendor}-{case}")
        if case.streams:
            yield pytest.param(case, True, id=f"{vendor}-{case}-stream")


def errors(vendor):
    for case in cases(vendor, "error_"):
        if case.status != 200 and case.has("error.json") and is_json(case):
            yield pytest.param(case, id=f"{vendor}-{case}")


def is_json(case: Case):
    try:
        json.loads((case.folder / "error.json").read_text())
        return True
    except ValueError:
        return False


def raw(case: Case):
    return (case.folder / "response.json").read_text()


# === Gemini ===


def gemini(server):
    from google import genai
    from google.genai import types

    options = types.HttpOptions(base_url=f"http://127.0.0.1:{server.port}")
    return genai.Client(api_key="AIza-scripted", http_options=options)


@pytest.mark.parametrize("case, stream", [*answers("gemini")])
def test_gemini(case, stream):
    with Replay(case) as server:
        ask = {"model": "gemini-3.8-flash", "contents": "Hi"}
        client = gemini(server)
        if stream:
            chunks = list(client.models.generate_content_stream(**ask))
            assert chunks and any(chunk.candidates or chunk.prompt_feedback for chunk in chunks)
            return
        answer = client.models.generate_content(**ask)
        assert answer.candidates or answer.prompt_feedback
        parts = [part for candidate in answer.candidates or [] for part in (candidate.content and candidate.content.parts) or []]
        calls = [part.function_call.name for part in parts if part.function_call]
        assert len(calls) == raw(case).count('"functionCall"')
        assert answer.usage_metadata is None or answer.usage_metadata.total_token_count is not None


@pytest.mark.parametrize("case", [*errors("gemini")])
def test_gemini_errors(case):
    from google.genai import errors as of

    with Replay(case) as server, pytest.raises(of.APIError) as raised:
        client = gemini(server)
        client.models.generate_content(model="gemini-3.8-flash", contents="Hi")
    assert raised.value.code == case.status


# === Bedrock ===


def bedrock(server):
    import boto3
    from botocore.config import Config

    return boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{server.port}",
        aws_access_key_id="AKIASCRIPTED",
        aws_secret_access_key="scripted",
        config=Config(retries={"max_attempts": 0, "mode": "standard"}),
    )


CONVERSE = {"modelId": "m", "messages": [{"role": "user", "content": [{"text": "Hi"}]}]}


@pytest.mark.parametrize("case, stream", [*answers("bedrock")])
def test_bedrock(case, stream):
    with Replay(case) as server:
        client = bedrock(server)
        if stream:
            events = list(client.converse_stream(**CONVERSE)["stream"])
            [stop] = [event["messageStop"] for event in events if "messageStop" in event]
            assert stop["stopReason"]
            return
        answer = client.converse(**CONVERSE)
        assert answer["stopReason"] and answer["output"]["message"]["role"] == "assistant"
        calls = [block for block in answer["output"]["message"]["content"] if "toolUse" in block]
        assert len(calls) == raw(case).count('"toolUse":')


@pytest.mark.parametrize("case", [*errors("bedrock")])
def test_bedrock_errors(case):
    from botocore.exceptions import ClientError

    with Replay(case) as server, pytest.raises(ClientError) as raised:
        bedrock(server).converse(**CONVERSE)
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == case.status


# === Ollama ===


def chat(server, stream):
    import ollama

    client = ollama.Client(host=f"http://127.0.0.1:{server.port}")
    return client.chat(model="qwen3:8b", messages=[{"role": "user", "content": "Hi"}], stream=stream)


@pytest.mark.parametrize("case, stream", [*answers("ollama")])
def test_ollama(case, stream):
    with Replay(case) as server:
        answer = chat(server, stream)
        last = list(answer)[-1] if stream else answer
        assert last.done and last.message.role == "assistant"
        if not stream:
            assert len(last.message.tool_calls or []) == raw(case).count('"function":')


@pytest.mark.parametrize("case", [*errors("ollama")])
def test_ollama_errors(case):
    import ollama

    with Replay(case) as server, pytest.raises(ollama.ResponseError) as raised:
        chat(server, False)
    assert raised.value.status_code == case.status and raised.value.error


# === Cohere ===


def cohere(server):
    import cohere

    return cohere.ClientV2(api_key="scripted", base_url=f"http://127.0.0.1:{server.port}")


COHERE = {"model": "command-a-03-2025", "messages": [{"role": "user", "content": "Hi"}]}
ONCE = {"max_retries": 0}


@pytest.mark.parametrize("case, stream", [*answers("cohere")])
def test_cohere(case, stream):
    with Replay(case) as server:
        client = cohere(server)
        if stream:
            events = list(client.chat_stream(**COHERE, request_options=ONCE))
            assert events[-1].type == "message-end" and events[-1].delta.finish_reason
            return
        answer = client.chat(**COHERE, request_options=ONCE)
        assert answer.finish_reason and answer.message.role == "assistant"


@pytest.mark.parametrize("case", [*errors("cohere")])
def test_cohere_errors(case):
    from cohere.core import ApiError

    with Replay(case) as server, pytest.raises(ApiError) as raised:
        cohere(server).chat(**COHERE, request_options=ONCE)
    assert raised.value.status_code == case.status


# === Anthropic ===


def anthropic(server):
    import anthropic

    return anthropic.Anthropic(api_key="scripted", base_url=f"http://127.0.0.1:{server.port}", max_retries=0)


MESSAGES = {"model": "claude-haiku-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize("case, stream", [*answers("anthropic")])
def test_anthropic(case, stream):
    with Replay(case) as server:
        client = anthropic(server)
        if stream:
            with client.messages.stream(**MESSAGES) as events:
                answer = events.get_final_message()
        else:
            answer = client.messages.create(**MESSAGES)
        assert answer.role == "assistant" and answer.stop_reason


@pytest.mark.parametrize("case", [*errors("anthropic")])
def test_anthropic_errors(case):
    import anthropic as of

    with Replay(case) as server, pytest.raises(of.APIStatusError) as raised:
        anthropic(server).messages.create(**MESSAGES)
    assert raised.value.status_code == case.status
