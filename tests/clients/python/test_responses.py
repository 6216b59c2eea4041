"""OpenAI's official SDK, unchanged, at `/v1/responses` and `/v1/conversations`: each test runs on an OpenAI
chat and on an Anthropic upstream, which know neither."""

import json
import time

import openai
import pydantic
import pytest

WORDS = "Sluices let every ship through."
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


def ask(scenario, upstream, given="Tell me.", **more):
    return {"model": upstream.model(scenario), "input": given, **more}


def streamed(client, asked):
    """The events of a stream and its answer."""
    events = list(client.responses.create(**asked, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    return events, events[-1].response


def test_unary(client, upstream):
    answer = client.responses.create(**ask("text", upstream))
    assert (answer.object, answer.status, answer.output_text) == ("response", "completed", WORDS)
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (9, 5, 14)


def test_stream(client, upstream):
    events, answer = streamed(client, ask("text", upstream))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"] and kinds[-1] == "response.completed"
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == WORDS
    assert answer.output_text == WORDS


def test_stream_helper(client, upstream):
    with client.responses.stream(**ask("text", upstream)) as stream:
        stream.until_done()
        assert stream.get_final_response().output_text == WORDS


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("scenario, cities", [("tools", ["Oslo"]), ("parallel", ["Oslo", "Rome"])])
def test_tools_round_trip(client, upstream, scenario, cities, streaming):
    asked = ask(scenario, upstream, tools=[WEATHER])
    first = streamed(client, asked)[1] if streaming else client.responses.create(**asked)
    calls = [item for item in first.output if item.type == "function_call"]
    assert [json.loads(call.arguments)["city"] for call in calls] == cities
    results = [
        {"type": "function_call_output", "call_id": call.call_id, "output": f"cold in {city}"} for call, city in zip(calls, cities)
    ]
    expected = f"I saw: {', '.join(f'cold in {city}' for city in cities)}."
    # The gateway remembers the first turn ...
    answer = client.responses.create(**ask(scenario, upstream, results, tools=[WEATHER], previous_response_id=first.id))
    assert answer.output_text == expected and answer.previous_response_id == first.id
    # ... and needs not, when the client says it all again.
    said = [{"role": "user", "content": "Tell me."}, *[item.to_dict() for item in first.output], *results]
    assert client.responses.create(**ask(scenario, upstream, said, tools=[WEATHER], store=False)).output_text == expected


class Weather(pydantic.BaseModel):
    city: str
    degrees: int


def test_parse(client, upstream):
    answer = client.responses.parse(**ask("schema", upstream, text_format=Weather))
    assert answer.output_parsed == Weather(city="Oslo", degrees=-3)


def test_memory(client, upstream):
    """`history` answers with the roles it was sent."""
    first = client.responses.create(**ask("history", upstream))
    second = client.responses.create(**ask("history", upstream, "And?", previous_response_id=first.id))
    assert (first.output_text, second.output_text) == ("user", "user / assistant / user")
    assert client.responses.retrieve(second.id).output_text == second.output_text
    items = client.responses.input_items.list(second.id).data
    assert items and items[0].type == "message"
    client.responses.delete(second.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(second.id)


def test_conversations(client, upstream):
    conversation = client.conversations.create(metadata={"topic": "ships"})
    for turn, expected in [("One.", "user"), ("Two.", "user / assistant / user")]:
        assert client.responses.create(**ask("history", upstream, turn, conversation=conversation.id)).output_text == expected
    items = client.conversations.items.list(conversation.id, order="asc").data
    assert [item.role for item in items] == ["user", "assistant", "user", "assistant"]
    assert client.conversations.update(conversation.id, metadata={"topic": "locks"}).metadata == {"topic": "locks"}
    assert client.conversations.delete(conversation.id).deleted


def test_background(client, upstream):
    answer = client.responses.create(**ask("slow-stream", upstream, background=True))
    assert answer.status in ("queued", "in_progress")
    deadline = time.monotonic() + 20
    while answer.status in ("queued", "in_progress") and time.monotonic() < deadline:
        time.sleep(0.05)
        answer = client.responses.retrieve(answer.id)
    assert (answer.status, answer.output_text) == ("completed", WORDS)


def test_background_cancel(client, upstream):
    answer = client.responses.create(**ask("endless", upstream, background=True))
    upstream.wait_for("the question", lambda entry: entry["body"])
    assert client.responses.cancel(answer.id).status == "cancelled"
    upstream.wait_for("the close", lambda entry: entry["left"])


def test_resumed_stream(client, upstream):
    """A stream that was left is taken up where it stood."""
    seen = []
    for event in client.responses.create(**ask("slow-stream", upstream, background=True, stream=True)):
        seen.append(event)
        if len(seen) == 5:
            break
    rest = list(client.responses.retrieve(seen[0].response.id, stream=True, starting_after=seen[-1].sequence_number))
    assert [event.sequence_number for event in [*seen, *rest]] == list(range(len(seen) + len(rest)))
    assert rest[-1].type == "response.completed" and rest[-1].response.output_text == WORDS


def test_errors(client, upstream):
    with pytest.raises(openai.RateLimitError) as raised:
        client.responses.create(**ask("error-429", upstream))
    assert "scripted 429" in raised.value.message
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="nobody/knows", input="Hi")
    with pytest.raises(openai.APIError):
        streamed_on = client.responses.create(**ask("broken", upstream, stream=True))
        failed = [event for event in streamed_on if event.type in ("error", "response.failed")]
        assert failed, "a stream that broke off says so"
        raise openai.APIError("response.failed", request=None, body=None)
