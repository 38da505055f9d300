#!/usr/bin/env python3
"""The long history from end to end: a daemon with steps of a second writes blocks, kill -9 neither loses nor doubles
one, forecast and train read the data directory (the one beside the daemon, the other after it), store check counts,
names damage, and backup, repair and compact carry the history along."""
import json
import math
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request

PROGRAM = sys.argv[1]
SECONDS, SERVERS = 8400, 3  # of the 8640 that the window holds
BLOCK = 144


def run(*arguments, code=0):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
    return done


class Daemon:
    def __init__(self, data, *more):
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "--listen", "127.0.0.1:0", "--data", data, "--step", "1", "--set",
             "fleet.window_steps=8640", *more], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.url = re.search(r"http://\S+", self.process.stdout.readline()).group(0)
        self.until(lambda: self.metric("forewarn_ready") == 1.0, 60)

    def get(self, path):
        try:
            with urllib.request.urlopen(self.url + path, timeout=30) as answer:
                return answer.read()
        except OSError:
            return b"?"

    def post(self, records):
        body = json.dumps({"records": records}).encode()
        request = urllib.request.Request(self.url + "/feed/data", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert json.load(answer)["status"] == "accepted"

    def metric(self, name):
        found = re.search(rf"^{name} (\S+)$", self.get("/metrics").decode(), re.M)
        return float(found.group(1)) if found else -1.0

    def until(self, holds, seconds):
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end and self.process.poll() is None, re.findall(
                r"^forewarn_history\S* .*$", self.get("/metrics").decode(), re.M)
            time.sleep(0.2)

    def stop(self, number):
        self.process.send_signal(number)
        self.process.wait(timeout=60)
        self.process.stdout.close()


def record(server, second):
    return {"timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second)), "server_name": f"web-{server}",
            "status": "healthy", "cpu_user_pct": round(40 + 20 * math.sin(second / 900 + server) + hash((second, server)) % 100 / 25, 2),
            "load_average": float(1 + second // 60 % 5)}


def feed(daemon, first, last):
    for second in range(first, last, 2000):
        daemon.post([record(server, s) for s in range(second, min(last, second + 2000)) for server in range(SERVERS)])


def checked(data, code=0):
    lines = run("store", "check", data, "--json", code=code).stdout.splitlines()
    return json.loads(lines[-1]), [json.loads(line) for line in lines[:-1]]


def main():
    with tempfile.TemporaryDirectory() as directory:
        data = os.path.join(directory, "data")
        off = Daemon(os.path.join(directory, "off"), "--history-days", "0")
        assert off.metric("forewarn_history_blocks") == -1.0
        off.stop(signal.SIGTERM)
        assert not os.path.exists(os.path.join(directory, "off", "history.db"))

        daemon = Daemon(data)
        newest = int(time.time())
        first = newest - SECONDS
        feed(daemon, first, newest)
        # All blocks that ended long ago are there within a turn, 12 seconds.
        old = ((newest - 12) // BLOCK - -(-first // BLOCK)) * SERVERS
        daemon.until(lambda: daemon.metric("forewarn_history_blocks") >= old, 60)
        assert daemon.metric("forewarn_history_failing") == 0.0 and daemon.metric("forewarn_history_bytes") > 0
        status = json.loads(daemon.get("/api/v1/status"))["history"]
        assert status["state"] == "ok" and status["days_kept"] == 60 and status["missed_steps"] == 0, status

        # Beside the daemon: the blocks, and behind them the snapshot as far as one was written.
        lines = run("forecast", "--data", data, "--step", "1", "--json", "--model", "none").stdout.splitlines()
        seen = [json.loads(line) for line in lines]
        assert {(one["server_name"], one["metric"]) for one in seen} == {
            (f"web-{server}", metric) for server in range(SERVERS) for metric in ("cpu_user_pct", "load_average")}

        daemon.stop(signal.SIGKILL)
        before, findings = checked(data)
        assert not findings and before["history_blocks"] >= old and before["history_damaged"] == 0, (before, findings)
        daemon = Daemon(data)
        time.sleep(14)  # everybody has had a turn, and every block was compared
        assert daemon.metric("forewarn_history_rewritten_blocks_total") <= 2 * SERVERS  # first and last are not whole
        written = daemon.metric("forewarn_history_written_blocks_total")
        daemon.stop(signal.SIGTERM)
        after, findings = checked(data)
        assert not findings and before["history_blocks"] <= after["history_blocks"] <= before["history_blocks"] + written
        assert after["history_servers"] == SERVERS
        assert abs(after["history_days"] * 86400 - SECONDS) <= 3 * BLOCK, after

        # 28 steps of five minutes are enough for a toy.
        out = os.path.join(directory, "model")
        said = run("train", "--data", data, "--out", out, "--form", "fleet", "--history", "12", "--horizon", "4", "--epochs", "1",
                   "--threads", "1", "--metrics", "cpu_user_pct,load_average").stderr
        assert os.path.exists(os.path.join(out, "model.safetensors")), said
        assert b"web-1" not in open(os.path.join(out, "spec.json"), "rb").read()
        run("model", "check", out)

        copy = os.path.join(directory, "copy")
        run("store", "backup", data, "--to", copy)
        assert checked(copy)[0]["history_blocks"] == after["history_blocks"]
        database = sqlite3.connect(os.path.join(copy, "history.db"))
        key = database.execute("SELECT key FROM blob WHERE key LIKE '%/web-1' ORDER BY key LIMIT 1 OFFSET 3").fetchone()[0]
        with database:
            database.execute("UPDATE blob SET data = zeroblob(length(data)) WHERE key = ?", (key,))
        database.close()
        report, findings = checked(copy, code=3)
        assert report["history_damaged"] == 1 and report["history_blocks"] == after["history_blocks"] - 1
        assert [f["text"] for f in findings] == [f"blob history/{key} fails its checksum"], findings
        assert "1 of them damaged" in run("store", "check", copy, code=3).stdout
        mended = os.path.join(directory, "mended")
        run("store", "check", copy, "--repair-to", mended, code=3)
        assert checked(mended)[0]["history_blocks"] == after["history_blocks"] - 1
        run("store", "compact", mended)
        assert checked(mended)[0]["history_blocks"] == after["history_blocks"] - 1
        said = run("forecast", "--data", copy, "--step", "1", "--json")
        assert "server=web-1" in said.stderr and "a block is passed over" in said.stderr, said.stderr


main()
