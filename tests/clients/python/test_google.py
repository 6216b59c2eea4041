"""Google's official SDK, unchanged but for its base URL: each test runs on an OpenAI, an Anthropic and a Gemini
upstream."""

import asyncio
import base64
import os

import pytest
from conftest import Upstream
from google import genai
from google.genai import errors, types
from pydantic import BaseModel
from upstreams import IMAGE

WORDS = "Sluices let every ship through."
MANUAL = types.AutomaticFunctionCallingConfig(disable=True)


@pytest.fixture(params=["openai", "anthropic", "gemini"])
def upstream(request):
    upstream = Upstream(request.param)
    upstream.log("DELETE")
    return upstream


def connect(url):
    return genai.Client(api_key="any", vertexai=False, http_options=types.HttpOptions(base_url=url, timeout=30_000))


@pytest.fixture
def client():
    return connect(os.environ["SLUIS_URL"])


def function(name, **properties):
    parameters = types.Schema(type="OBJECT", properties=properties, required=list(properties)) if properties else None
    return types.Tool(function_declarations=[types.FunctionDeclaration(name=name, description="d", parameters=parameters)])


WEATHER = function("get_weather", city=types.Schema(type="STRING"))
TIME = function("get_time")


def final(client, upstream, scenario, contents="Tell me.", streaming=False, **config):
    """The parts of the answer, as they came, and its last chunk."""
    config = types.GenerateContentConfig(automatic_function_calling=MANUAL, **config)
    asked = {"model": upstream.model(scenario), "contents": contents, "config": config}
    if not streaming:
        answer = client.models.generate_content(**asked)
        return answer.candidates[0].content.parts, answer
    chunks = list(client.models.generate_content_stream(**asked))
    assert len({chunk.response_id for chunk in chunks}) == 1
    return [part for chunk in chunks for part in chunk.candidates[0].content.parts or []], chunks[-1]


def text(parts):
    return "".join(part.text or "" for part in parts if not part.thought)


@pytest.mark.parametrize("streaming", [False, True])
def test_text(client, upstream, streaming):
    parts, last = final(client, upstream, "text", streaming=streaming, system_instruction="Be brief.", temperature=0.5)
    assert text(parts) == WORDS
    assert last.candidates[0].finish_reason == types.FinishReason.STOP
    usage = last.usage_metadata
    assert (usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count) == (9, 5, 14)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("scenario, cities", [("tools", ["Oslo"]), ("parallel", ["Oslo", "Rome"])])
def test_tools_round_trip(client, upstream, scenario, cities, streaming):
    """Rules T2, T4: calls come whole; their results find them by id, and by name where a client has no ids."""
    parts, _ = final(client, upstream, scenario, streaming=streaming, tools=[WEATHER])
    calls = [part.function_call for part in parts if part.function_call]
    assert [call.args["city"] for call in calls] == cities
    assert len({call.id for call in calls}) == len(cities)
    for with_ids in [True, False]:
        results = [
            types.Part(function_response=types.FunctionResponse(
                id=call.id if with_ids else None, name=call.name, response={"output": f"cold in {call.args['city']}"}))
            for call in calls
        ]
        said = [types.Content(role="model", parts=[part]) for part in parts if part.function_call]
        turns = [types.Content(role="user", parts=[types.Part(text="Tell me.")]), *said, types.Content(role="user", parts=results)]
        if not with_ids:
            for part in parts:
                part.function_call and setattr(part.function_call, "id", None)
        last, _ = final(client, upstream, scenario, turns, streaming, tools=[WEATHER])
        assert text(last) == f"I saw: {', '.join(f'cold in {city}' for city in cities)}."


@pytest.mark.parametrize("streaming", [False, True])
def test_automatic_calls(client, upstream, streaming):
    """The SDK calls the functions itself and sends back what it got, ids and signatures included."""
    asked = []

    def get_weather(city: str) -> str:
        """Tells the weather of a city."""
        asked.append(city)
        return f"cold in {city}"

    config = types.GenerateContentConfig(tools=[get_weather])
    model = upstream.model("parallel")
    if streaming:
        answer = "".join(chunk.text or "" for chunk in client.models.generate_content_stream(model=model, contents="?", config=config))
    else:
        answer = client.models.generate_content(model=model, contents="?", config=config).text
    assert asked == ["Oslo", "Rome"]
    assert "cold in Oslo" in answer and "cold in Rome" in answer


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("shows", [False, True])
def test_thinking(client, upstream, shows, streaming):
    """Rules R1, R2: the upstream refuses a turn whose thinking did not come back as it was, shown or not."""
    thinking = types.ThinkingConfig(thinking_budget=2048, include_thoughts=shows)
    options = {"tools": [WEATHER], "thinking_config": thinking}
    parts, _ = final(client, upstream, "thinking", streaming=streaming, **options)
    if upstream.dialect != "gemini":
        assert "".join(part.text for part in parts if part.thought) == ("Cold? I ask." if shows else "")
    [call] = [part.function_call for part in parts if part.function_call]
    result = types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"output": "cold"}))
    turns = [
        types.Content(role="user", parts=[types.Part(text="Tell me.")]),
        types.Content(role="model", parts=parts),
        types.Content(role="user", parts=[result]),
    ]
    last, _ = final(client, upstream, "thinking", turns, streaming, **options)
    assert text(last) == "I saw: cold."


@pytest.mark.parametrize("streaming", [False, True])
def test_call_without_arguments(client, upstream, streaming):
    """Rule T1."""
    parts, _ = final(client, upstream, "no-arguments", streaming=streaming, tools=[TIME])
    [call] = [part.function_call for part in parts if part.function_call]
    assert (call.name, call.args or {}) == ("get_time", {})


class Weather(BaseModel):
    city: str
    degrees: int


def test_schema(client, upstream):
    """Rule J1: a class of the client's, filled."""
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Weather)
    answer = client.models.generate_content(model=upstream.model("schema"), contents="?", config=config)
    assert answer.parsed == Weather(city="Oslo", degrees=-3)
    plain = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
    config = types.GenerateContentConfig(response_mime_type="application/json", response_json_schema=plain)
    assert client.models.generate_content(model=upstream.model("schema"), contents="?", config=config).parsed["city"] == "Oslo"


@pytest.mark.parametrize("streaming", [False, True])
def test_list(client, upstream, streaming):
    """Rule J1: a list of them, which other vendors have no schema for."""
    parts, last = final(client, upstream, "list", streaming=streaming, response_mime_type="application/json", response_schema=list[Weather])
    assert text(parts) == '[{"city":"Oslo","degrees":-3}]'
    if not streaming:
        assert last.parsed == [Weather(city="Oslo", degrees=-3)]


@pytest.mark.parametrize("streaming", [False, True])
def test_unicode(client, upstream, streaming):
    parts, _ = final(client, upstream, "unicode", streaming=streaming)
    assert text(parts) == "\u4f60\u597d \U0001f30d \u2028caf\u00e9"


def test_vision(client, upstream):
    image = types.Part.from_bytes(data=base64.b64decode(IMAGE), mime_type="image/png")
    parts, _ = final(client, upstream, "vision", [image, "What is it?"])
    assert text(parts) == "one pixel"


@pytest.mark.parametrize("streaming", [False, True])
def test_chat(client, upstream, streaming):
    """A session keeps what was said, chunk by chunk, and the next turn is understood."""
    chat = client.chats.create(model=upstream.model("tools"), config=types.GenerateContentConfig(tools=[WEATHER], automatic_function_calling=MANUAL))
    send = (lambda message: list(chat.send_message_stream(message))) if streaming else (lambda message: [chat.send_message(message)])
    chunks = send("Tell me.")
    [call] = [call for chunk in chunks for call in chunk.function_calls or []]
    result = types.Part.from_function_response(name=call.name, response={"output": "cold"})
    answer = "".join(chunk.text or "" for chunk in send(result))
    assert answer == "I saw: cold."
    assert len(chat.get_history(curated=True)) >= 4


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("status, seen", [(400, 400), (404, 404), (429, 429), (500, 500), (529, 503)])
def test_errors(client, upstream, status, seen, streaming):
    """Rules M1, E2."""
    expected = errors.ClientError if status < 500 else errors.ServerError
    with pytest.raises(expected) as raised:
        final(client, upstream, f"error-{status}", streaming=streaming)
    assert raised.value.code == seen and raised.value.status.isupper()
    assert f"scripted {status}" in raised.value.message


def test_unknown_model(client):
    with pytest.raises(errors.ClientError) as raised:
        client.models.generate_content(model="nobody/nothing", contents="?")
    assert (raised.value.code, raised.value.status) == (404, "NOT_FOUND")


def test_what_has_no_place(client):
    """A cache of Google's means nothing elsewhere: refused, and nobody is asked."""
    config = types.GenerateContentConfig(cached_content="cachedContents/a")
    with pytest.raises(errors.ClientError) as raised:
        client.models.generate_content(model="scripted-openai/text", contents="?", config=config)
    assert raised.value.code == 400 and "cachedContents/a" in raised.value.message


def test_broken_stream(client, upstream):
    """Rule E1: what broke off is an error, after what came."""
    seen = ""
    with pytest.raises(errors.ServerError):
        for chunk in client.models.generate_content_stream(model=upstream.model("broken"), contents="?"):
            seen += chunk.text or ""
    assert seen == "half"


def test_leaving_early(client, upstream):
    """Rule D1."""
    stream = client.models.generate_content_stream(model=upstream.model("endless"), contents="?")
    for count, _ in enumerate(stream):
        if count == 5:
            break
    stream.close()
    if hasattr(client, "close"):
        client.close()
    upstream.wait_for("the client's leaving", lambda entry: entry["left"])


def test_keep_alive(upstream):
    """Rules S6, S7: the SDK passes over the signs of life while the upstream is silent, and loses nothing."""
    client = connect(os.environ["SLUIS_IMPATIENT_URL"])
    for scenario in ["late", "slow-stream"]:
        parts, _ = final(client, upstream, scenario, streaming=True)
        assert text(parts) == WORDS


def test_async(upstream):
    """The asynchronous client reads streams with code of its own."""

    async def asked():
        client = connect(os.environ["SLUIS_IMPATIENT_URL"]).aio
        whole = await client.models.generate_content(model=upstream.model("text"), contents="?")
        stream = await client.models.generate_content_stream(model=upstream.model("late"), contents="?")
        return whole.text, "".join([chunk.text or "" async for chunk in stream])

    assert asyncio.run(asked()) == (WORDS, WORDS)


def test_count_tokens(client, upstream):
    """Rule A2: two of the scripted upstreams count, for the other one the gateway guesses."""
    count = lambda contents: client.models.count_tokens(model=upstream.model("text"), contents=contents).total_tokens
    assert 0 < count("Tell me.") < count("Tell me, and tell me all of it. " * 20)


def test_embeddings(client):
    answer = client.models.embed_content(model="builtin/echo", contents=["a ship", "a lock"])
    first, second = answer.embeddings
    assert len(first.values) == len(second.values) > 8 and first.values != second.values


def test_models(client):
    names = [model.name for model in client.models.list(config={"page_size": 2})]
    assert "models/builtin/echo" in names and len(names) == len(set(names))
    model = client.models.get(model="builtin/echo")
    assert (model.name, model.display_name) == ("models/builtin/echo", "builtin/echo")
    assert "generateContent" in model.supported_actions


def test_bytes_pass(client):
    """Rule P2: what the SDK writes reaches an upstream of the same dialect as it is."""
    upstream = Upstream("gemini")
    upstream.log("DELETE")
    setting = types.SafetySetting(category="HARM_CATEGORY_HARASSMENT", threshold="OFF")
    final(client, upstream, "text", safety_settings=[setting], top_k=40, seed=7)
    [entry] = upstream.log()
    assert entry["body"]["safetySettings"][0]["threshold"] == "OFF"
    assert entry["body"]["generationConfig"]["topK"] == 40
    assert entry["path"] == "/v1beta/models/text:generateContent"
    assert entry["headers"]["x-goog-api-key"] == "scripted-gemini"
