"""OpenAI's official SDK, unchanged, at `/v1/embeddings` (rule N1). It asks for base64 by itself."""

import math

import openai
import pytest

MODEL = "builtin/echo"


@pytest.mark.parametrize("encoding", [openai.NOT_GIVEN, "float", "base64"])
def test_vectors(client, encoding):
    answer = client.embeddings.create(model=MODEL, input=["the red cat", "a red cat"], encoding_format=encoding)
    assert [item.index for item in answer.data] == [0, 1]
    if encoding == "base64":
        return
    first, second = (item.embedding for item in answer.data)
    assert len(first) == 256
    assert math.isclose(sum(value * value for value in first), 1, rel_tol=1e-5)
    assert sum(a * b for a, b in zip(first, second)) > 0.5
    assert answer.usage.prompt_tokens == 6


def test_dimensions(client):
    [item] = client.embeddings.create(model=MODEL, input=[1, 2, 3], dimensions=8).data
    assert len(item.embedding) == 8


def test_nothing_to_embed(client):
    with pytest.raises(openai.BadRequestError) as raised:
        client.embeddings.create(model=MODEL, input=[])
    assert raised.value.param == "input"
