"""Anthropic's official SDK, unchanged, at `/v1/messages`: each test runs on an OpenAI and on an Anthropic
upstream."""

import os
import time

import anthropic
import pytest
from upstreams import IMAGE

WORDS = "Sluices let every ship through."
USER = [{"role": "user", "content": "Tell me."}]


@pytest.fixture
def options():
    return {"base_url": os.environ["SLUIS_URL"], "api_key": "any", "max_retries": 0, "timeout": 30}


@pytest.fixture
def client(options):
    with anthropic.Anthropic(**options) as client:
        yield client


def tool(name, **properties):
    return {"name": name, "input_schema": {"type": "object", "properties": properties, "required": list(properties)}}


WEATHER = tool("get_weather", city={"type": "string"})
TIME = tool("get_time")


def ask(scenario, upstream, messages=USER, **more):
    return {"model": upstream.model(scenario), "max_tokens": 200, "messages": messages, **more}


def final(client, asked, streaming):
    if not streaming:
        return client.messages.create(**asked)
    with client.messages.stream(**asked) as stream:
        return stream.get_final_message()


@pytest.mark.parametrize("streaming", [False, True])
def test_text(client, upstream, streaming):
    answer = final(client, ask("text", upstream), streaming)
    assert (answer.type, answer.role, answer.stop_reason) == ("message", "assistant", "end_turn")
    assert [block.text for block in answer.content] == [WORDS]
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (9, 5)


def test_events(client, upstream):
    """Rule A1: one message, blocks one at a time."""
    kinds = [event.type for event in client.messages.create(**ask("text", upstream, stream=True)) if event.type != "ping"]
    middle = ["content_block_delta"] * kinds.count("content_block_delta")
    assert kinds == ["message_start", "content_block_start", *middle, "content_block_stop", "message_delta", "message_stop"]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("scenario, cities", [("tools", ["Oslo"]), ("parallel", ["Oslo", "Rome"])])
def test_tools_round_trip(client, upstream, scenario, cities, streaming):
    """Rules T2, T4, T8."""
    answer = final(client, ask(scenario, upstream, tools=[WEATHER]), streaming)
    calls = [block for block in answer.content if block.type == "tool_use"]
    assert answer.stop_reason == "tool_use"
    assert [call.input["city"] for call in calls] == cities
    assert len({call.id for call in calls}) == len(cities)
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": f"cold in {city}"} for call, city in zip(calls, cities)
    ]
    said = {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in answer.content]}
    turns = [*USER, said, {"role": "user", "content": results}]
    answer = final(client, ask(scenario, upstream, turns, tools=[WEATHER]), streaming)
    assert answer.content[0].text == f"I saw: {', '.join(f'cold in {city}' for city in cities)}."


@pytest.mark.parametrize("streaming", [False, True])
def test_thinking(client, upstream, streaming):
    """Rules A1, R1: the upstream refuses a turn whose thinking did not come back as it was."""
    answer = final(client, ask("thinking", upstream, tools=[WEATHER]), streaming)
    thought, call = answer.content
    assert (thought.type, thought.thinking, call.type) == ("thinking", "Cold? I ask.", "tool_use") and thought.signature
    said = {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in answer.content]}
    results = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "cold"}]}
    answer = final(client, ask("thinking", upstream, [*USER, said, results], tools=[WEATHER]), streaming)
    assert answer.content[-1].text == "I saw: cold."


@pytest.mark.parametrize("streaming", [False, True])
def test_call_without_arguments(client, upstream, streaming):
    """Rule T1."""
    [call] = final(client, ask("no-arguments", upstream, tools=[TIME]), streaming).content
    assert (call.name, call.input) == ("get_time", {})


@pytest.mark.parametrize("streaming", [False, True])
def test_unicode(client, upstream, streaming):
    [block] = final(client, ask("unicode", upstream), streaming).content
    assert block.text == "\u4f60\u597d \U0001f30d \u2028caf\u00e9"


def test_vision(client, upstream):
    source = {"type": "base64", "media_type": "image/png", "data": IMAGE}
    seen = [{"role": "user", "content": [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]}]
    assert client.messages.create(**ask("vision", upstream, seen)).content[0].text == "one pixel"


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    "status, expected",
    [
        (400, anthropic.BadRequestError),
        (404, anthropic.NotFoundError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.InternalServerError),
    ],
)
def test_errors(client, upstream, status, expected, streaming):
    """Rules M1, E3."""
    with pytest.raises(expected) as raised:
        final(client, ask(f"error-{status}", upstream), streaming)
    assert f"scripted {status}" in str(raised.value)
    assert raised.value.body["type"] == "error" and raised.value.body["error"]["type"]


def test_retry_waits_as_told(options, upstream):
    """Rule F8: the SDK reads when to come back, and that some failures are not worth it."""
    begun = time.monotonic()
    with anthropic.Anthropic(**{**options, "max_retries": 2}) as client:
        assert client.messages.create(**ask("busy-once", upstream)).content[0].text == WORDS
        assert time.monotonic() - begun > 0.9
        upstream.log("DELETE")
        with pytest.raises(anthropic.InternalServerError):
            client.messages.create(**ask("error-401", upstream))
    assert len(upstream.log()) == 1


def test_unknown_model(client):
    with pytest.raises(anthropic.NotFoundError) as raised:
        client.messages.create(model="nobody/nothing", max_tokens=5, messages=USER)
    assert raised.value.body["error"]["type"] == "not_found_error"


def test_broken_stream(client, upstream):
    """Rule E3: what broke off is no end of a turn."""
    with pytest.raises(anthropic.APIError), client.messages.stream(**ask("broken", upstream)) as stream:
        stream.get_final_message()


def test_leaving_early(client, upstream):
    """Rule D1."""
    with client.messages.create(**ask("endless", upstream, stream=True)) as stream:
        for count, _ in enumerate(stream):
            if count == 5:
                break
    upstream.wait_for("the client's leaving", lambda entry: entry["left"])


def test_keep_alive(upstream):
    """Rules S6, S7: pings while the upstream is silent."""
    with anthropic.Anthropic(base_url=os.environ["SLUIS_IMPATIENT_URL"], api_key="any", max_retries=0) as client:
        with client.messages.stream(**ask("late", upstream)) as stream:
            assert stream.get_final_text() == WORDS


def test_count_tokens(client, upstream):
    """Rule A2: the scripted Anthropic upstream counts, for the other one the gateway guesses."""
    short = client.messages.count_tokens(model=upstream.model("text"), messages=USER).input_tokens
    long = client.messages.count_tokens(model=upstream.model("text"), messages=USER, system="Be brief.", tools=[WEATHER])
    assert 0 < short < long.input_tokens


def test_models(client):
    names = [model.id for model in client.models.list(limit=100)]
    assert "builtin/echo" in names
    assert client.models.retrieve("builtin/echo").id == "builtin/echo"
