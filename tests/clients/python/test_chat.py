"""The official Python SDK, unchanged: each test runs on an OpenAI and on an Anthropic upstream."""

import asyncio
import json
import time

import openai
import pydantic
import pytest

WORDS = "Sluices let every ship through."
USER = [{"role": "user", "content": "Tell me."}]


def tool(name, **properties):
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "parameters": schema, "strict": True}}


WEATHER = tool("get_weather", city={"type": "string"})
TIME = tool("get_time")


def ask(scenario, upstream, messages=USER, **more):
    return {"model": upstream.model(scenario), "messages": messages, **more}


def text_of(stream):
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def test_unary(client, upstream):
    answer = client.chat.completions.create(**ask("text", upstream))
    assert answer.object == "chat.completion"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content == WORDS
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (9, 5, 14)
    assert answer.id and answer.created and answer._request_id


def test_stream(client, upstream):
    with client.chat.completions.create(**ask("text", upstream, stream=True)) as stream:
        chunks = list(stream)
    assert text_of(chunks) == WORDS
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.usage is None for chunk in chunks)


def test_stream_with_usage(client, upstream):
    options = {"include_usage": True}
    *chunks, last = client.chat.completions.create(**ask("text", upstream, stream=True, stream_options=options))
    assert last.choices == [] and last.usage.total_tokens == 14
    assert all(chunk.usage is None for chunk in chunks)


def test_unicode(client, upstream):
    expected = client.chat.completions.create(**ask("unicode", upstream)).choices[0].message.content
    assert expected == "\u4f60\u597d \U0001f30d \u2028caf\u00e9"
    assert text_of(client.chat.completions.create(**ask("unicode", upstream, stream=True))) == expected


def test_stream_helper(client, upstream):
    with client.chat.completions.stream(**ask("text", upstream)) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    assert "".join(deltas) == WORDS
    assert final.choices[0].message.content == WORDS
    assert final.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("scenario, cities", [("tools", ["Oslo"]), ("parallel", ["Oslo", "Rome"])])
def test_tools_round_trip(client, upstream, scenario, cities, streaming):
    first = ask(scenario, upstream, tools=[WEATHER])
    if streaming:
        with client.chat.completions.stream(**first) as stream:
            stream.until_done()
            choice = stream.get_final_completion().choices[0]
    else:
        choice = client.chat.completions.create(**first).choices[0]
    calls = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls"
    assert [json.loads(call.function.arguments)["city"] for call in calls] == cities
    assert {call.function.name for call in calls} == {"get_weather"}
    assert len({call.id for call in calls}) == len(cities)
    results = [{"role": "tool", "tool_call_id": call.id, "content": f"cold in {city}"} for call, city in zip(calls, cities)]
    said = choice.message.model_dump(exclude_none=True)
    answer = client.chat.completions.create(**ask(scenario, upstream, [*USER, said, *results], tools=[WEATHER]))
    assert answer.choices[0].message.content == f"I saw: {', '.join(f'cold in {city}' for city in cities)}."


def test_call_without_arguments(client, upstream):
    """Rule T1."""
    asked = ask("no-arguments", upstream, tools=[TIME])
    assert client.chat.completions.create(**asked).choices[0].message.tool_calls[0].function.arguments == "{}"
    with client.chat.completions.stream(**asked) as stream:
        stream.until_done()
        assert stream.get_final_completion().choices[0].message.tool_calls[0].function.arguments == "{}"


class Weather(pydantic.BaseModel):
    city: str
    degrees: int


def test_parse(client, upstream):
    """Rules J1, J2: a pydantic schema."""
    answer = client.chat.completions.parse(**ask("schema", upstream, response_format=Weather))
    assert answer.choices[0].message.parsed == Weather(city="Oslo", degrees=-3)
    assert answer.choices[0].finish_reason == "stop"


def test_parse_streamed(client, upstream):
    with client.chat.completions.stream(**ask("schema", upstream, response_format=Weather)) as stream:
        stream.until_done()
        assert stream.get_final_completion().choices[0].message.parsed == Weather(city="Oslo", degrees=-3)


def test_vision(client, upstream):
    from upstreams import IMAGE

    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, image]}]
    assert client.chat.completions.create(**ask("vision", upstream, messages)).choices[0].message.content == "one pixel"


ERRORS = {
    400: (400, openai.BadRequestError),
    401: (502, openai.InternalServerError),
    403: (502, openai.InternalServerError),
    404: (404, openai.NotFoundError),
    409: (409, openai.ConflictError),
    422: (422, openai.UnprocessableEntityError),
    429: (429, openai.RateLimitError),
    500: (500, openai.InternalServerError),
    529: (503, openai.InternalServerError),
}


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("status", ERRORS)
def test_errors(client, upstream, status, streaming):
    """Rule M1, case 63: each status raises its own class, with the upstream's words."""
    told, kind = ERRORS[status]
    with pytest.raises(kind) as caught:
        client.chat.completions.create(**ask(f"error-{status}", upstream, stream=streaming))
    error = caught.value
    assert error.status_code == told
    assert f"scripted {status}" in error.message
    assert isinstance(error.body, dict) and error.type
    assert error.request_id
    assert "None" not in (error.param, error.code, error.type)


def test_retry_waits_as_told(options, upstream):
    """Rule F8: the SDK reads when to come back, and that some failures are not worth it."""
    begun = time.monotonic()
    with openai.OpenAI(**{**options, "max_retries": 2}) as client:
        assert client.chat.completions.create(**ask("busy-once", upstream)).choices[0].message.content == WORDS
        assert time.monotonic() - begun > 0.9
        upstream.log("DELETE")
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(**ask("error-401", upstream))
    assert len(upstream.log()) == 1


def test_unknown_model(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="nobody/knows", messages=USER)
    assert caught.value.code == "model_not_found" and caught.value.param == "model"


def test_broken_stream(client, upstream):
    """Rule E1: what came is kept, then the SDK raises."""
    seen = ""
    with pytest.raises(openai.APIError) as caught:
        for chunk in client.chat.completions.create(**ask("broken", upstream, stream=True)):
            seen += chunk.choices[0].delta.content or ""
    assert seen == "half"
    assert caught.value.code == "upstream_stream_interrupted"


def test_cancel_in_mid_stream(client, upstream):
    """Rule D1: closing the stream closes the upstream's."""
    stream = client.chat.completions.create(**ask("endless", upstream, stream=True))
    for _, chunk in zip(range(8), stream):
        assert chunk
    stream.close()
    upstream.wait_for("the close", lambda entry: entry["left"])


def test_timeout_before_the_first_byte(options, upstream):
    with openai.OpenAI(**{**options, "timeout": 0.7}) as client:
        with pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(**ask("silent", upstream))
    upstream.wait_for("the close", lambda entry: entry["left"])


def test_keep_alives_are_invisible(impatient, upstream):
    """Rules S6, S7, case 15: the gateway fills the silence, and the SDK sees the text alone."""
    late = ask("late", upstream, stream=True)
    with impatient.chat.completions.with_streaming_response.create(**late) as raw:
        assert [line for line in raw.iter_lines() if line.startswith(":")], "there was something to hide"
    assert text_of(impatient.chat.completions.create(**late)) == WORDS
    with impatient.chat.completions.stream(**ask("late", upstream)) as stream:
        stream.until_done()
        assert stream.get_final_completion().choices[0].message.content == WORDS


def test_slow_stream(client, upstream):
    assert text_of(client.chat.completions.create(**ask("slow-stream", upstream, stream=True))) == WORDS


def test_models(client):
    names = {model.id for model in client.models.list()}
    assert "builtin/echo" in names
    assert client.models.retrieve("builtin/echo").id == "builtin/echo"


def test_async_client(options, upstream):
    async def both():
        async with openai.AsyncOpenAI(**options) as client:
            stream = await client.chat.completions.create(**ask("text", upstream, stream=True))
            streamed = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
            answer = await client.chat.completions.create(**ask("text", upstream))
            return streamed, answer.choices[0].message.content

    assert asyncio.run(both()) == (WORDS, WORDS)


def test_many_at_once(options, upstream):
    async def one(client):
        stream = await client.chat.completions.create(**ask("slow-stream", upstream, stream=True))
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async def all_of_them():
        async with openai.AsyncOpenAI(**options) as client:
            return await asyncio.gather(*[one(client) for _ in range(30)])

    assert asyncio.run(all_of_them()) == [WORDS] * 30


def test_sdk_noise_stays_here(client, openai_upstream):
    """Design 6.9: what the SDK says of itself is not forwarded; what it says to the vendor is."""
    client.chat.completions.create(**ask("text", openai_upstream), extra_headers={"OpenAI-Beta": "x=1"}, extra_body={"zeta": 1})
    entry = openai_upstream.log()[-1]
    assert not [name for name in entry["headers"] if name.startswith("x-stainless")]
    assert entry["body"]["zeta"] == 1
    assert entry["body"]["model"] == "text"
