"""The files of deploy/ name only what the service has, and docs/operations.md explains each alert and exit code."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from caser import errors
from caser.artefact.folder import save
from caser.cli.app import EXIT_CODES
from tests.runs import caser_run
from tests.service.serving import serving
from tests.skips import skipped

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
ALERTS = yaml.safe_load((DEPLOY / "alerts.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "caser.json").read_text(encoding="utf-8"))
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
KUBERNETES = list(yaml.safe_load_all((DEPLOY / "kubernetes" / "caser.yaml").read_text(encoding="utf-8")))

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason=skipped("needs promtool", "apt install prometheus")
)


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in ALERTS)
    yield from (target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"])


def commands() -> dict[str, list[str]]:
    """Every `caser serve` of deploy/, as words."""
    (unit,) = re.findall(r"^ExecStart=\S+/caser (.+)$", (DEPLOY / "caser.service").read_text(encoding="utf-8"), re.M)
    pod = KUBERNETES[0]["spec"]["template"]["spec"]["containers"][0]
    return {
        "compose": COMPOSE["services"]["caser-1"]["command"],
        "kubernetes": pod["args"],
        "systemd": shlex.split(unit),
    }


async def test_each_metric_of_alerts_and_dashboard_is_one_of_the_service(tmp_path: Path) -> None:
    save(caser_run(), tmp_path / "run")
    async with serving(tmp_path / "run") as served:
        await served.post("/v1/recommend", {"user_id": "ann"})
        await served.post("/v1/events", {"user_id": "ann", "item_id": 10})
        text = (await served.client.get("/metrics")).text
    measured = {re.split(r"[{ ]", line)[0] for line in text.splitlines() if not line.startswith("#")}
    named = {name for expression in expressions() for name in re.findall(r"\b(?:caser|process)_\w+", expression)}
    assert len(named) > 12
    if sys.platform != "linux":  # the process is measured on Linux only
        named = {name for name in named if not name.startswith("process_")}
    assert named <= measured
    routes = {route for expression in expressions() for route in re.findall(r'route="([^"]+)"', expression)}
    assert all(f'route="{route}"' in text for route in routes)


@pytest.mark.parametrize("place", ["compose", "kubernetes", "systemd"])
def test_the_commands_are_ones_that_caser_serve_takes(place: str) -> None:
    words = commands()[place]
    flags = [word.partition("=")[0] for word in words if word.startswith("--")]
    command = [sys.executable, "-m", "caser", "serve", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert words[0] == "serve"
    assert "--token-file" in flags  # all of them can be reached from other machines
    assert set(flags) <= set(re.findall(r"--[\w-]+", told))


def test_operations_explain_each_alert_and_no_other() -> None:
    assert re.findall(r"^### (\w+)$", OPERATIONS, re.M) == [rule["alert"] for rule in ALERTS]
    sections = re.split(r"^###? .+$", OPERATIONS, flags=re.M)
    explained = [section for section in sections if "**Means.**" in section]
    assert len(explained) == len(ALERTS)
    assert all("**Check.**" in section and "**Do.**" in section for section in explained)


def test_operations_explain_each_exit_code() -> None:
    codes = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")}
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", OPERATIONS, re.M)}
    killed, not_loaded = 137, 12  # by the system; by deploy/nightly.sh
    assert told == {*EXIT_CODES, killed, not_loaded}
    unit = (DEPLOY / "caser.service").read_text(encoding="utf-8")
    (lasting,) = re.findall(r"^RestartPreventExitStatus=(.+)$", unit, re.M)
    assert {int(code) for code in lasting.split()} <= codes


def test_each_alert_says_whether_it_wakes_somebody() -> None:
    assert {rule["labels"]["severity"] for rule in ALERTS} == {"page", "ticket"}
    assert all(rule["for"] and rule["annotations"]["summary"] for rule in ALERTS)


def test_the_message_of_each_alert_leads_to_its_section() -> None:
    led = [rule["annotations"]["runbook"] for rule in ALERTS]
    assert led == [f"docs/operations.md#{rule['alert'].lower()}" for rule in ALERTS]


def test_panels_do_not_cover_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place: dict[str, Any] = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not cells & taken
        taken |= cells


def test_probes_ports_and_the_user_of_the_image_agree() -> None:
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    pod = KUBERNETES[0]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert {probe: container[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")} == {
        "livenessProbe": "/healthz",
        "readinessProbe": "/readyz",
    }
    assert f"EXPOSE {container['ports'][0]['containerPort']}" in image
    assert f"--uid {pod['securityContext']['runAsUser']} " in image
    # Every volume that is mounted is there, and no file has a secret that is more than a reference.
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert all(name in COMPOSE["services"] for name in ("caser-1", "caser-2", "postgres", "prometheus", "grafana"))
    nginx = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    scraped = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"][0]
    targets = scraped["static_configs"][0]["targets"]
    assert all(f"server {target};" in nginx for target in targets)
    assert {target.partition(":")[0] for target in targets} == {"caser-1", "caser-2"}


@needs_promtool
def test_promtool_takes_the_rules_and_they_fire_when_they_must(tmp_path: Path) -> None:
    subprocess.run(["promtool", "check", "config", "--syntax-only", str(DEPLOY / "prometheus.yml")], check=True)
    for path in (DEPLOY / "alerts.yml", ROOT / "tests" / "deploy" / "alerts_test.yml"):
        shutil.copy(path, tmp_path)
    command = ["promtool", "test", "rules", "alerts_test.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tried_with_recorded_numbers() -> None:
    recorded = yaml.safe_load((ROOT / "tests" / "deploy" / "alerts_test.yml").read_text(encoding="utf-8"))
    tried = {test["alertname"] for part in recorded["tests"] for test in part["alert_rule_test"] if test["exp_alerts"]}
    assert tried == {rule["alert"] for rule in ALERTS}
