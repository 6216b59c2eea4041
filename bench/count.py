#!/usr/bin/env python3
"""Counts instructions in user space per request and per chunk, which other load on the machine does not touch. Stdlib only.

  count.py [--only floor,sluis] [--requests 200] [--chunks 200] [--keep FOLDER]

Each target runs under callgrind with one worker thread. One connection, one request at a time: some to warm up, then as many as
are counted. A stream's cost per chunk is what a stream of `--chunks` takes more than one of none, by the chunks between.
"""
import argparse, json, os, re, shutil, signal, socket, subprocess, sys, tempfile, time
from pathlib import Path

import bench


class Connection:
    """One kept connection, so that nothing but the request is counted."""

    def __init__(self, url):
        host, port, self.path = re.match(r"http://([^:/]+):(\d+)(/.*)", url).groups()
        self.socket = socket.create_connection((host, int(port)), timeout=120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.left = b""

    def ask(self, body, headers):
        head = f"POST {self.path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        head += "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        self.socket.sendall(head.encode() + b"\r\n" + body)
        head = self.until(b"\r\n\r\n").lower()
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(head.decode())
        length = re.search(rb"content-length: (\d+)", head)
        if length:
            return self.exactly(int(length.group(1)))
        out = b""
        while size := int(self.until(b"\r\n"), 16):
            out += self.exactly(size)
            self.exactly(2)
        self.exactly(2)
        return out

    def more(self):
        read = self.socket.recv(65536)
        if not read:
            raise RuntimeError("closed")
        self.left += read

    def until(self, end):
        while end not in self.left:
            self.more()
        out, self.left = self.left.split(end, 1)
        return out

    def exactly(self, size):
        while len(self.left) < size:
            self.more()
        out, self.left = self.left[:size], self.left[size:]
        return out


def control(*args):
    subprocess.run(["callgrind_control", *args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Count(bench.Bench):
    def one(self, target):
        for kind in ("chat", "stream", "big"):
            self.body(target, kind)
        out = self.work / f"{target['name']}.cg"
        plain = target["cmd"]
        target = {**target, "cmd": ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *plain]}
        process = self.start(target)
        try:
            self.wait_ready(target, process, time.monotonic())
            return self.count(target, process, out)
        finally:
            self.stop(process)

    def count(self, target, process, out):
        headers, found = target.get("headers", {}), {}
        link = Connection(self.url(target))
        text = lambda kind: (self.work / f"{target['name']}-{kind}.json").read_bytes()
        stream = lambda chunks: re.sub(rb"\[\[chunks=\d+ interval=\d+\]\]", b"[[chunks=%d interval=%d]]" % (chunks, self.a.interval), text("stream"))
        jobs = [("request", text("chat"), self.a.requests), ("large", text("big"), self.a.requests // 4)]
        jobs += [("short", stream(1), self.a.requests // 20), ("long", stream(self.a.chunks + 1), self.a.requests // 20)]
        for name, body, times in jobs:
            for _ in range(max(2, times // 10) if name != "request" else times):
                link.ask(body, headers)
            time.sleep(0.3)
            control("-z", str(process.pid))
            for _ in range(times):
                link.ask(body, headers)
            time.sleep(0.3)
            control(f"--dump={name}", str(process.pid))
            dump = max(out.parent.glob(out.name + ".*"), key=lambda path: int(path.suffix[1:]))
            found[name] = int(re.search(r"^(?:summary|totals): (\d+)", dump.read_text(), re.M).group(1)) / times
            if self.a.keep:
                shutil.move(dump, Path(self.a.keep) / f"{target['name']}.{name}")
        return {"request": found["request"], "large": found["large"], "chunk": (found["long"] - found["short"]) / self.a.chunks}

    def run(self):
        mock = subprocess.Popen([str(self.tools / "mock"), "--port", str(self.a.mock_port), "--h2-port", str(self.a.mock_port + 1)])
        self.procs.append(mock)
        time.sleep(0.3)
        found = {}
        try:
            for target in self.targets:
                if target.get("cmd") and target["name"] != "nginx":
                    found[target["name"]] = self.one(target)
                    print(target["name"], {k: round(v) for k, v in found[target["name"]].items()}, flush=True)
        finally:
            for process in list(self.procs):
                self.stop(process)
            if not self.a.keep:
                shutil.rmtree(self.work, ignore_errors=True)
        return found


def table(found):
    floor, out = found.get("floor"), ["| target | request | 64 kB prompt | SSE chunk |", "|---|---:|---:|---:|"]
    for name, counts in found.items():
        ratio = lambda key: f" ({counts[key] / floor[key]:.2f} x)" if floor and name != "floor" else ""
        out.append(f"| {name} | " + " | ".join(f"{counts[key]:,.0f}{ratio(key)}" for key in ("request", "large", "chunk")) + " |")
    return "\n".join(out)


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--targets", default=str(bench.HERE / "targets.toml"))
    ap.add_argument("--tools", default=os.environ.get("BENCH_TOOLS", str(bench.HERE / "tools/target/release")))
    ap.add_argument("--only", help="comma-separated target names")
    ap.add_argument("--requests", type=int, default=200)
    ap.add_argument("--chunks", type=int, default=200)
    ap.add_argument("--interval", type=int, default=4, help="milliseconds between chunks; each must come alone")
    ap.add_argument("--mock-port", type=int, default=18080)
    ap.add_argument("--keep", help="folder for the profiles")
    a = ap.parse_args()
    a.no_pin, a.autogroup = True, 0
    os.environ["TOKIO_WORKER_THREADS"] = "1"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(table(Count(a).run()))
