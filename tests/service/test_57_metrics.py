# SPDX-License-Identifier: AGPL-3.0-or-later
"""/metrics: well-formed, for those who may see it, and true."""

import json
import re

import pool as pools
import pytest
import requests
from pool import wait_until

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)')


def parse(text: str) -> dict:
    """(name, labels) -> value; as strict as Prometheus, and stricter: every
    sample follows the HELP and TYPE of its own family."""
    samples, family, kind, seen = {}, None, None, set()
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split(" ", 3)[2]
            assert family not in seen, f"{family} comes twice"
            assert len(line.split(" ", 3)) == 4, "a help without text"
            seen.add(family)
            kind = None
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == family
            assert kind in ("counter", "gauge", "histogram")
        else:
            match = SAMPLE.fullmatch(line)
            assert match and kind, line
            name, labels, value = match.groups()
            base = re.sub("_(bucket|sum|count)$", "", name) if (
                kind == "histogram") else name
            assert base == family, line
            assert kind != "counter" or name.endswith("_total")
            pairs = LABEL.findall(labels or "")
            assert sum(len(k) + len(v) + 3 for k, v in pairs) + max(
                len(pairs) - 1, 0) == len(labels or ""), line
            key = (name, tuple(sorted(pairs)))
            assert key not in samples, line
            samples[key] = float(value)
    return samples


def scrape(service) -> dict:
    answer = service.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith(
        "text/plain; version=0.0.4")
    return parse(answer.text)


def value(samples: dict, name: str, **labels) -> float:
    return samples.get(("zipstream_" + name, tuple(sorted(labels.items()))),
                       0)


def moved(before: dict, after: dict, name: str, **labels) -> float:
    return value(after, name, **labels) - value(before, name, **labels)


def test_a_download_counts(service, origin):
    files = [origin.file("a.jpg", size="500k"),
             origin.file("b.txt", size="100k", kind="text")]
    before = scrape(service)
    got = service.zip([f.entry() for f in files])
    got.well()
    after = scrape(service)
    assert moved(before, after, "requests_total") == 2
    assert moved(before, after, "responses_total", method="POST",
                 route="/bundle", status="200") == 1
    assert moved(before, after, "responses_total", method="GET",
                 route="/metrics", status="200") == 1
    assert moved(before, after, "files_total") == 2
    assert moved(before, after, "zips_total", end="whole") == 1
    assert moved(before, after, "sent_bytes_total") >= len(got.bytes)
    assert 600 << 10 <= moved(before, after, "source_bytes_total") < 1 << 20
    assert moved(before, after, "first_byte_seconds_count") == 2
    assert moved(before, after, "first_byte_seconds_sum") > 0
    assert value(after, "workers", state="busy") >= 1
    assert value(after, "uptime_seconds") > value(before, "uptime_seconds")
    assert value(after, "read_ahead_limit_bytes") == 4 << 20


@pytest.mark.parametrize("wish, kind", [
    ({"status": 404}, "status"), ({"stall": 0}, "timeout")])
def test_source_errors_by_kind(service, origin, wish, kind):
    before = scrape(service)
    service.zip([origin.file("a.bin", **wish).entry()]).refused()
    after = scrape(service)
    assert moved(before, after, "source_errors_total", kind=kind) >= 1
    assert moved(before, after, "responses_total", method="POST",
                 route="/bundle", status="502") == 1
    retries = moved(before, after, "source_retries_total")
    assert retries == (0 if kind == "status" else retries)


def test_an_address_that_is_refused(make_service):
    service = make_service(ALLOW_PRIVATE_NETWORKS="10.0.0.0/8")
    service.zip([{"src": "http://localhost:1/x"}]).refused()
    assert value(scrape(service), "source_errors_total", kind="refused") >= 1


def test_retries_resumes_aborts_and_other_routes(service, origin):
    before = scrape(service)
    service.zip([origin.file("a", status=503, times=1).entry()]).well()
    service.zip([origin.file("b", size="2m", die="1m", times=1).entry()])
    assert service.get("/nowhere").status_code == 404
    answer = requests.post(
        service.url("/bundle"), stream=True, timeout=30, json={
            "files": [origin.file("c", size="9m", rate="3m").entry()]})
    answer.raw.read(1000)
    answer.close()
    after = wait_until(
        lambda: (lambda now: now if moved(
            before, now, "client_aborts_total") else None)(scrape(service)),
        "the client's leaving")
    assert moved(before, after, "source_retries_total") == 1
    assert moved(before, after, "source_resumes_total") == 1
    assert moved(before, after, "zips_total", end="aborted") == 1
    assert moved(before, after, "responses_total", method="", route="none",
                 status="404") == 1


def test_what_is_read_ahead_shows_and_goes(service, origin):
    files = [origin.file("first", size="400k", rate="200k"),
             origin.file("second", size="200k")]
    with requests.post(service.url("/bundle"), stream=True, timeout=30,
                       json={"files": [f.entry() for f in files]}) as answer:
        wait_until(lambda: value(scrape(service), "read_ahead_bytes")
                   >= 10_000, "the second file's bytes")
        assert len(answer.content) > 600_000
    assert value(scrape(service), "read_ahead_bytes") == 0


def test_the_histogram_is_one(service):
    samples = scrape(service)
    buckets = [(float(dict(labels)["le"]), n)
               for (name, labels), n in samples.items()
               if name == "zipstream_first_byte_seconds_bucket"]
    assert buckets == sorted(buckets), "bounds rise, and so do the counts"
    assert buckets[-1][0] == float("inf")
    assert buckets[-1][1] == value(samples, "first_byte_seconds_count")


def test_for_others_it_is_forbidden(make_service):
    service = make_service(METRICS_ALLOW="10.1.2.0/24")
    answer = service.get("/metrics")
    assert answer.status_code == 403
    assert "METRICS_ALLOW" in answer.json()["message"]
    assert make_service(METRICS_ALLOW="none").get(
        "/metrics").status_code == 403


def test_the_dashboard_asks_for_what_there_is(service):
    path = pools.ROOT / "deploy" / "grafana" / "zipstream.json"
    dashboard = json.loads(path.read_text())
    asked = [target["expr"] for panel in dashboard["panels"]
             for target in panel.get("targets", [])]
    assert len(asked) >= 10
    families = set(re.findall(r"# TYPE (\S+)", service.get("/metrics").text))
    for expression in asked:
        names = re.findall(r"zipstream_[a-z_]+", expression)
        assert names, expression
        for name in names:
            assert re.sub("_bucket$", "", name) in families, expression


def test_the_fields_of_the_access_log_are_documented(make_service, origin):
    service = make_service(LOG_FORMAT="json")
    service.zip([origin.file("a.bin").entry()]).well()
    service.zip([origin.file("b.bin", status=404).entry()]).refused()
    written = set().union(*service.pool.accesses(2).values())
    manual = (pools.ROOT / "man" / "zipstream.1").read_text()
    listed = manual.split("with these fields:")[1].split(".El")[0]
    told = [word for names in re.findall(r"^\.It Ql (.*)", listed, re.M)
            for word in names.split(" , ")]
    assert sorted(told) == sorted(written)
