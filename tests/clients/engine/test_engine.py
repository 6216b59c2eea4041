"""The Python SDK against a real engine behind the gateway: mlx_lm.server with a tiny random model.

What it has of its own, and what a scripted upstream must not be trusted to imitate: HTTP/1.0, streams that
end by closing, comments before the first chunk, a usage chunk of another object type, errors whose `error` is
a string, and no authentication. The driver (`../run`) starts the engine and the gateway.
"""

import os

import openai
import pytest

MODEL = "mlx/default_model"
USER = [{"role": "user", "content": "hello"}]


@pytest.fixture
def client():
    with openai.OpenAI(base_url=os.environ["SLUIS_URL"] + "/v1", api_key="any", max_retries=0, timeout=60) as client:
        yield client


def ask(**more):
    return {"model": MODEL, "messages": USER, "max_tokens": 8, "temperature": 0, **more}


def test_unary(client):
    answer = client.chat.completions.create(**ask())
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason in ("length", "stop")
    assert answer.usage.completion_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_stream_says_what_the_unary_answer_says(client):
    chunks = list(client.chat.completions.create(**ask(stream=True)))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == client.chat.completions.create(**ask()).choices[0].message.content
    finishes = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason]
    assert finishes == ["length"] or finishes == ["stop"]
    assert all(chunk.usage is None for chunk in chunks)


def test_stream_with_usage(client):
    """Rule S1."""
    *chunks, last = client.chat.completions.create(**ask(stream=True, stream_options={"include_usage": True}))
    assert last.choices == []
    assert last.usage.completion_tokens == client.chat.completions.create(**ask()).usage.completion_tokens
    assert all(chunk.usage is None for chunk in chunks)


def test_stream_helper(client):
    with client.chat.completions.stream(**ask()) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
    assert "".join(deltas) == client.chat.completions.create(**ask()).choices[0].message.content


@pytest.mark.parametrize("streaming", [False, True])
def test_unknown_model(client, streaming):
    """Rule M1: the engine's 404 and its string for an error become the SDK's own class."""
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(**ask(stream=streaming) | {"model": "mlx/no-such-model"})
    assert caught.value.message and caught.value.type == "invalid_request_error"


def test_leaving_frees_the_engine(client):
    """Rule D1: the engine goes on with the next request at once, not after the abandoned one."""
    stream = client.chat.completions.create(**ask(stream=True, max_tokens=400))
    next(iter(stream))
    stream.close()
    assert client.chat.completions.create(**ask()).choices[0].message.content


def test_live_models_are_listed(client):
    assert [model.id for model in client.models.list() if model.id.startswith("mlx/")]
