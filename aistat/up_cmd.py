"""``aistat up``: everything a newcomer needs, once: demo city, nightly job, app, Dagster; and ``aistat init``."""

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

from aistat.errors import UserError
from aistat.home import home
from aistat.services import Service, Supervisor, port_from_env, wait_for_http

DEMO_SEED = 20221101
REPOSITORY = Path(__file__).resolve().parent.parent


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``up``, ``dagster`` and ``init`` to the command line."""
    up_parser = subparsers.add_parser("up", help="建库、运行、发布并启动服务 / set up, run, publish and serve")
    up_parser.add_argument("--size", choices=["small", "city"], default=os.environ.get("AISTAT_DEMO_SIZE", "city"))
    up_parser.add_argument("--seed", type=int, default=DEMO_SEED)
    up_parser.add_argument("--no-dagster", action="store_true", help="serve the app only")
    up_parser.set_defaults(func=up)
    dagster_parser = subparsers.add_parser("dagster", help="启动 Dagster 界面与守护进程 / Dagster's UI and daemon")
    dagster_parser.set_defaults(func=dagster)
    init_parser = subparsers.add_parser("init", help="建立空的正式库（不含演示数据）/ an empty home without the demo")
    init_parser.set_defaults(func=init)


def dagster_services(root: Path) -> list[Service]:
    """Dagster's web UI and its daemon for this installation."""
    from etl.instance import prepare

    prepare(root)
    port = port_from_env("AISTAT_DAGSTER_PORT", 3000)
    binaries = Path(sys.executable).parent
    workspace = ["-w", str(REPOSITORY / "workspace.yaml")]
    web = [
        str(binaries / "dagster-webserver"),
        *workspace,
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "--log-level",
        "warning",
    ]
    daemon = [str(binaries / "dagster-daemon"), "run", *workspace, "--log-level", "warning"]
    logs = root / "logs"
    return [
        Service("Dagster", web, logs / "dagster-webserver.log", f"http://127.0.0.1:{port}/server_info"),
        Service("Dagster daemon", daemon, logs / "dagster-daemon.log"),
    ]


def app_service(root: Path) -> Service:
    """The Dash app."""
    port = port_from_env("AISTAT_PORT", 8050)
    command = [sys.executable, "-m", "aistat", "serve", "--host", "127.0.0.1", "--port", str(port)]
    return Service("app", command, root / "logs" / "app.log", f"http://127.0.0.1:{port}/api/v1/health")


def desk_service(root: Path) -> Service:
    """The review desk: a process of its own, the only one told where the evidence lies."""
    port = port_from_env("AISTAT_DESK_PORT", 8060)
    command = [sys.executable, "-m", "aistat", "desk", "--host", "127.0.0.1", "--port", str(port)]
    return Service("desk", command, root / "logs" / "desk.log", f"http://127.0.0.1:{port}/login")


def _with_desk(root: Path, services: list[Service]) -> list[Service]:
    """The services and the desk, where a release left evidence and the port is free."""
    desk = desk_service(root)
    if not (root / "evidence").is_dir():
        return services
    if not desk.has_free_port():
        print("复核台端口被占用，未启动 / the desk's port is in use, not started; set AISTAT_DESK_PORT", flush=True)
        return services
    return [*services, desk]


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(p.is_file() for p in folder.rglob("*"))


def _build_demo(root: Path, size: str, seed: int) -> None:
    from aistat.demo_cmd import build_demo

    print(f"生成模拟城市 / building the demo city ({size}, seed {seed}) …", flush=True)
    build_demo(root, size, seed, progress=lambda line: print(f"  {line}", flush=True))


def _publish_if_needed(root: Path) -> None:
    """Run the nightly job unless the current release already covers exactly what lies in the inbox."""
    from etl.fingerprint import inputs_changed

    if not inputs_changed(root):
        print("输入未变，沿用当前发布 / inputs unchanged, current release kept", flush=True)
        return
    from aistat.cli import build_parser

    # The very command a person would give, with whatever defaults it has.
    args = build_parser().parse_args(["run"])
    code = args.func(args)
    from warehouse.release import current_id

    if current_id(root) is None:
        raise UserError("the nightly job failed and there is no release to serve; see the lines above")
    if code:
        print("作业未完成，提供上一版发布 / the job did not finish; serving the last release", flush=True)


def up(args: argparse.Namespace) -> int:
    """Build what is missing, publish, serve, print addresses and demo accounts; Ctrl-C ends it."""
    started = time.perf_counter()
    root = home()
    root.mkdir(parents=True, exist_ok=True)
    services = [app_service(root)] + ([] if args.no_dagster else dagster_services(root))
    for service in services:
        service.require_free_port()
    if not _has_files(root / "inbox"):
        _build_demo(root, args.size, args.seed)
    _publish_if_needed(root)
    accounts = _accounts(root)
    services = _with_desk(root, services)
    with Supervisor(services) as running:
        for service in services:
            if service.health_url:
                wait_for_http(service, running)
        _welcome(root, services, accounts, time.perf_counter() - started)
        return running.wait()


def _accounts(root: Path) -> list[tuple[str, str, str]]:
    from warehouse.journal import create_demo_accounts

    if not (root / "demo.json").exists():
        return []
    return [(a.name, a.password, a.role) for a in create_demo_accounts(root)]


def _welcome(root: Path, services: list[Service], accounts: list[tuple[str, str, str]], seconds: float) -> None:
    print(f"\n就绪 / ready ({seconds:.0f} s)    AISTAT_HOME={root}")
    for service in services:
        if service.health_url:
            print(f"  {service.name:<10} {service.address}")
    if accounts:
        print("  演示账号（模拟数据，仅限本机）/ demo accounts (simulated data, this machine only)")
        for name, password, role in accounts:
            print(f"    {name:<10} {password:<22} {role}")
    print("  Ctrl-C 结束 / Ctrl-C to stop", flush=True)


def dagster(_: argparse.Namespace) -> int:
    """Serve Dagster's UI with its daemon until Ctrl-C."""
    services = dagster_services(home())
    for service in services:
        service.require_free_port()
    with Supervisor(services) as running:
        wait_for_http(services[0], running)
        print(f"Dagster {services[0].address}", flush=True)
        return running.wait()


def init(_: argparse.Namespace) -> int:
    """Make an empty home: an inbox folder a source, the committed public lists, a secret folder; no demo data."""
    from etl.contract import list_contracts
    from etl.sources import copy_public_data

    root = home()
    if _has_files(root / "inbox"):
        raise UserError(f"{root / 'inbox'} already holds files; choose another AISTAT_HOME or empty it first")
    for contract in list_contracts():
        (root / "inbox" / contract.id).mkdir(parents=True, exist_ok=True)
    copy_public_data(root / "inbox")
    (root / "secret").mkdir(mode=0o700, exist_ok=True)
    for stale in (root / "demo.json",):
        stale.unlink(missing_ok=True)
    shutil.rmtree(root / "truth", ignore_errors=True)
    print(f"空库已建立 / empty home at {root}; put the files here:")
    for contract in list_contracts():
        print(f"  inbox/{contract.id:<18} {contract.title_zh}  {contract.file.pattern}")
    print("然后 / then: aistat user add NAME --role admin; aistat run; aistat serve")
    return 0
