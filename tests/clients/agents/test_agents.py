"""Claude Code, Codex and Gemini CLI, unchanged and without a terminal, do a small task with a tool call through the
gateway, each against upstreams of other dialects than its own.

The scripted upstream asks for the file named in the task to be read, by whichever tool the agent offers, and
then repeats what the tool returned. Whatever an agent would like to say to the rest of the world meets a
closed local port."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

WORD = "spuisluis"
UPSTREAMS = ["openai", "anthropic"]


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "word.txt").write_text(f"{WORD}\n")
    return tmp_path


def run(command, home, **more):
    closed = "http://127.0.0.1:9"
    env = {
        "PATH": os.environ["PATH"], "HOME": str(home / "home"), "TERM": "dumb", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1",
        "HTTP_PROXY": closed, "HTTPS_PROXY": closed, "http_proxy": closed, "https_proxy": closed, **more,
    }
    done = subprocess.run(
        [str(word) for word in command], cwd=home / "work", env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=150
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def task(home):
    return f"Read the file {home / 'work' / 'word.txt'} and tell me the word in it."


def program(name):
    found = shutil.which(name, path=os.environ["AGENTS"])
    assert found, f"{name} is not installed"
    return found


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_claude_code(home, upstream):
    """Rules A1 to A5."""
    model = f"scripted-{upstream}/agent"
    said = run(
        [program("claude"), "--print", "--model", model, "--allowedTools", "Read", "--", task(home)],
        home,
        ANTHROPIC_BASE_URL=os.environ["SLUIS_URL"],
        ANTHROPIC_API_KEY="any",
        ANTHROPIC_SMALL_FAST_MODEL=model,
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        DISABLE_TELEMETRY="1",
        DISABLE_ERROR_REPORTING="1",
        DISABLE_AUTOUPDATER="1",
    )
    assert f"The word is {WORD}" in said, said


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_codex(home, upstream):
    """Rules P1 to P3."""
    codex_home = home / "home" / ".codex"
    codex_home.mkdir()
    (codex_home / "config.toml").write_text(
        f"""
model = "scripted-{upstream}/agent"
model_provider = "sluis"
check_for_update_on_startup = false

[model_providers.sluis]
name = "sluis"
base_url = "{os.environ["SLUIS_URL"]}/v1"
env_key = "SLUIS_KEY"
wire_api = "responses"

[analytics]
enabled = false

[otel]
exporter = "none"
"""
    )
    command = [program("codex"), "exec", "--skip-git-repo-check", "--sandbox", "danger-full-access", task(home)]
    said = run(command, home, CODEX_HOME=str(codex_home), SLUIS_KEY="any")
    assert f"The word is {WORD}" in said, said


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_gemini_cli(home, upstream):
    """Rules T2, T4, in Google's dialect."""
    settings = home / "home" / ".gemini" / "settings.json"
    settings.parent.mkdir()
    settings.write_text(
        json.dumps(
            {
                "security": {"auth": {"selectedType": "gemini-api-key"}},
                "general": {"enableAutoUpdate": False},
                "privacy": {"usageStatisticsEnabled": False},
                "telemetry": {"enabled": False},
            }
        )
    )
    said = run(
        [program("gemini"), "--model", f"scripted-{upstream}/agent", "--approval-mode", "yolo", "--prompt", task(home)],
        home,
        GEMINI_API_KEY="any",
        GOOGLE_GEMINI_BASE_URL=os.environ["SLUIS_URL"],
        GEMINI_CLI_TRUST_WORKSPACE="true",
    )
    assert f"The word is {WORD}" in said, said
