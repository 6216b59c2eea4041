"""Clients and upstreams for the suite. The driver (`../run`) starts both servers and tells where they are."""

import json
import os
import time
import urllib.request

import openai
import pytest

DIALECTS = ["openai", "anthropic"]


class Upstream:
    """One of the scripted upstreams, and what it remembers."""

    def __init__(self, dialect):
        self.dialect = dialect
        self.url = f"http://127.0.0.1:{os.environ['UPSTREAM_' + dialect.upper()]}"

    def model(self, scenario):
        """The public name of a scenario; the provider is named like its dialect."""
        return f"{os.environ.get('MODEL_PREFIX_' + self.dialect.upper(), f'scripted-{self.dialect}/')}{scenario}"

    def log(self, method="GET"):
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/log", method=method)) as reply:
            return json.load(reply)

    def wait_for(self, what, condition):
        """Looks into the log until the condition holds."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if any(condition(entry) for entry in self.log()):
                return
            time.sleep(0.02)
        raise AssertionError(f"{what} was not seen: {self.log()}")


@pytest.fixture(params=DIALECTS)
def upstream(request):
    upstream = Upstream(request.param)
    upstream.log("DELETE")
    return upstream


@pytest.fixture
def openai_upstream():
    upstream = Upstream("openai")
    upstream.log("DELETE")
    return upstream


@pytest.fixture
def options():
    return {"base_url": os.environ["SLUIS_URL"] + "/v1", "api_key": "any", "max_retries": 0, "timeout": 30}


@pytest.fixture
def impatient():
    """On a gateway whose keep-alive interval is shorter than the upstream's silence."""
    url = os.environ["SLUIS_IMPATIENT_URL"] + "/v1"
    with openai.OpenAI(base_url=url, api_key="any", max_retries=0, timeout=30) as client:
        yield client


@pytest.fixture
def client(options):
    with openai.OpenAI(**options) as client:
        yield client
