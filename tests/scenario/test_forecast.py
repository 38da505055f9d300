#!/usr/bin/env python3
"""forewarn forecast: rows of a replay, one forecast from the newest step, and clear refusals."""
import csv
import io
import json
import os
import subprocess
import sys
import tempfile

PROGRAM = sys.argv[1]


def run(*arguments, code=0):
    done = subprocess.run([PROGRAM, "forecast", *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == code, (arguments, done.returncode, done.stderr)
    return done


def main():
    with tempfile.TemporaryDirectory() as directory:
        data = os.path.join(directory, "fleet.csv.gz")
        subprocess.run([PROGRAM, "simulate", "--servers", "3", "--days", "2", "--seed", "4", "--out", data], check=True)
        replay = run("--data", data, "--from", "2026-01-06T00:00:00Z", "--to", "2026-01-06T16:00:00Z", "--every", "96", "--csv")
        rows = list(csv.DictReader(io.StringIO(replay.stdout)))
        assert list(rows[0]) == ["server_name", "origin", "metric", "step", "p10", "p50", "p90", "method"]
        origins = sorted({row["origin"] for row in rows})
        assert origins == ["2026-01-05T23:55:00Z", "2026-01-06T07:55:00Z", "2026-01-06T15:55:00Z"], origins
        assert len({row["server_name"] for row in rows}) == 3
        assert {int(row["step"]) for row in rows} == set(range(1, 97))
        assert all(float(row["p10"]) <= float(row["p50"]) <= float(row["p90"]) for row in rows)

        newest = [json.loads(line) for line in run("--data", data, "--json", "--model", "none").stdout.splitlines()]
        assert {one["origin"] for one in newest} == {"2026-01-06T23:55:00Z"}
        assert all(len(one[key]) == 96 for one in newest for key in ("p10", "p50", "p90"))

        for arguments, words, code in (
            ((), "which --data", 2),
            (("--data", data, "--to", "2026-01-06"), "--to needs --from", 2),
            (("--data", data, "--every", "0"), "not a value in its range", 2),
            (("--data", data, "--from", "2027-01-01"), "ends before", 1),
            (("--data", directory + "/none.csv"), "none.csv", 1),
            (("--data", data, "--model", directory), "spec.json", 1),
        ):
            said = run(*arguments, code=code).stderr
            assert words in said, (arguments, said)


main()
