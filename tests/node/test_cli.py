"""The command line: every command explains itself, and every failure is an exit code, a sentence and a next step."""

from __future__ import annotations

import importlib
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
import trio

import node.cli
from node.cli.main import COMMANDS, cli
from node.datadir import DataDir
from node.errors import CommandError, Exit
from node.keyfile import load_key
from node.local import keep_network
from node.networkfile import load_network
from storage import open_store
from tests.node.commands import Hallmark
from tests.verify.scenes import key_of


def all_commands() -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    for name in COMMANDS:
        command: click.Command = importlib.import_module(f"node.cli.{name}").command
        found[name] = command
        if isinstance(command, click.Group):
            found |= {f"{name} {sub}": inner for sub, inner in command.commands.items()}
    return found


EVERY = all_commands()
LEAVES = {name: command for name, command in EVERY.items() if not isinstance(command, click.Group)}


class TestHelp:
    def test_without_a_command_all_are_listed_with_the_exit_codes(self, hallmark: Hallmark) -> None:
        ran = hallmark("--help")
        assert ran.code == 0
        for name, what in COMMANDS.items():
            assert f"  {name} " in ran.out
            assert what in ran.out
        said = " ".join(ran.out.split())
        assert all(f"{e.value} {e.name.lower().replace('_', ' ')}" in said for e in Exit)

    def test_every_file_of_commands_is_a_command(self) -> None:
        files = {path.stem for path in Path(node.cli.__file__).parent.glob("*.py")}
        assert files - {
            "__init__",
            "amount",
            "money",
            "__main__",
            "main",
            "screen",
            "progress",
            "tier",
            "adding",
            "chaindev",
            "networkfiles",
            "publishing",
            "reach",
            "searching",
        } == set(COMMANDS)

    @pytest.mark.parametrize("name", EVERY)
    def test_each_command_says_what_it_does_and_lists_its_options(self, name: str, hallmark: Hallmark) -> None:
        ran = hallmark(*name.split(), "--help")
        assert ran.code == 0
        assert f"Usage: hallmark {name}" in ran.out
        assert (EVERY[name].help or "").split("\n")[0][:40] in ran.out
        for parameter in EVERY[name].params:
            if isinstance(parameter, click.Option):
                assert all(option in ran.out for option in parameter.opts)

    @pytest.mark.parametrize("name", [n for n in LEAVES if n != "demo"])
    def test_each_command_speaks_json_and_takes_a_data_directory(self, name: str) -> None:
        options = {option for parameter in LEAVES[name].params for option in parameter.opts}
        assert {"--json", "--data-dir"} <= options

    def test_the_version(self, hallmark: Hallmark) -> None:
        ran = hallmark("--version")
        assert (ran.code, ran.out.startswith("hallmark, version ")) == (0, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["bake"],
        ["--bake"],
        ["id", "--bake"],
        ["model"],
        ["model", "bake"],
        ["model", "add", "none.onnx", "--name", "n", "--licence", "MIT"],
        ["infer", "m"],
        ["infer", "m", "--input", "nameless"],
        ["infer", "m", "--input", "a=1", "--tier", "zkp"],
        ["infer", "m", "--input", "a=1", "--timeout", "0"],
        ["infer", "m", "--input", "a=1", "--max-price", "-1"],
        ["serve", "--role", "baker"],
        ["serve", "--price", "-1"],
        ["verify"],
        ["network", "new", "home", "--committee", "257"],
        ["network", "new", "Home!", "--verifier", key_of("v").peer_id],
        ["network", "new", "home", "--verifier", "nobody"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_exit_code_2(arguments: list[str], hallmark: Hallmark, home: Path) -> None:
    ran = hallmark(*arguments)
    assert ran.code == Exit.USAGE
    assert ran.out + ran.err
    assert "Traceback" not in ran.err
    assert "regex" not in ran.err
    assert not home.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["id"],
        ["peers"],
        ["model", "ls"],
        ["model", "show", "m"],
        ["model", "pull", "m"],
        ["infer", "m", "--input", "a=1"],
        ["network", "new", "home"],
        ["network", "show"],
        ["verify", "a.receipt"],
    ],
    ids=" ".join,
)
def test_without_a_peer_each_command_says_how_to_make_one(arguments: list[str], hallmark: Hallmark, home: Path) -> None:
    ran = hallmark(*arguments)
    assert ran.code == Exit.CONFIG
    assert "Error: " in ran.err
    assert "hallmark init" in ran.err
    (told,) = hallmark(*arguments, "--json").lines
    assert (told["event"], told["exit_code"], told["error"]) == ("error", 3, "CONFIG")
    assert "hallmark init" in told["next"]
    assert not home.exists()


class TestInit:
    def test_a_peer_is_made_and_shown(self, hallmark: Hallmark, home: Path) -> None:
        ran = hallmark("init")
        key = load_key(home / "node.key")
        assert ran.code == 0
        assert key.peer_id in ran.out
        assert "Next: hallmark serve" in ran.out
        (file,) = (home / "networks").glob("*.toml")
        network = load_network(file)
        assert network.name == f"home-{key.address.hex()[:6]}"
        assert [v.key for v in network.verifiers] == [key.public]

    def test_a_second_time_is_refused_and_changes_nothing(self, hallmark: Hallmark, home: Path) -> None:
        (made,) = hallmark("init", "--json").lines
        again = hallmark("init")
        assert again.code == Exit.CONFIG
        assert "exists already" in again.err
        assert load_key(home / "node.key").peer_id == made["peer_id"]

    def test_it_joins_the_network_that_is_given(self, hallmark: Hallmark, home: Path) -> None:
        hallmark("network", "new", "town", "--verifier", key_of("v").peer_id)
        (made,) = hallmark("init", "--network", "town.toml", "--json").lines
        assert made["network"] == str(home / "networks" / "town.toml")
        assert load_network(home / "networks" / "town.toml").name == "town"

    def test_a_wrong_network_file_makes_no_peer(self, hallmark: Hallmark, home: Path) -> None:
        Path("bad.toml").write_text("name = 1")
        assert hallmark("init", "--network", "bad.toml").code == Exit.CONFIG
        assert hallmark("init", "--network", "none.toml").code == Exit.CONFIG
        assert not home.exists()

    def test_id_shows_what_is_public_and_nothing_else(self, hallmark: Hallmark, home: Path) -> None:
        hallmark("init")
        key = load_key(home / "node.key")
        (told,) = hallmark("id", "--json").lines
        assert (told["peer_id"], told["public_key"]) == (key.peer_id, key.public.hex())
        ran = hallmark("id")
        assert all(text in ran.out for text in (key.peer_id, key.public.hex(), told["address"]))
        assert key.secret.hex() not in ran.out + ran.err

    def test_a_key_that_others_can_read_stops_every_command(self, hallmark: Hallmark, home: Path) -> None:
        hallmark("init")
        (home / "node.key").chmod(0o644)
        for command in (["id"], ["model", "ls"]):
            ran = hallmark(*command)
            assert (ran.code, f"chmod 600 {home / 'node.key'}" in ran.err) == (Exit.CONFIG, True)


class TestNetwork:
    def test_new_writes_what_show_shows(self, hallmark: Hallmark) -> None:
        ids = [key_of(f"v{n}").peer_id for n in range(3)]
        arguments = [part for peer_id in ids for part in ("--verifier", peer_id)]
        (made,) = hallmark("network", "new", "town", *arguments, "--committee", 2, "--json").lines
        assert made["file"] == "town.toml"
        assert [v["peer_id"] for v in made["verifiers"]] == ids
        assert (made["committee_size"], made["quorum"]) == (2, [2, 3])
        (shown,) = hallmark("network", "show", "./town.toml", "--json").lines
        assert shown == made
        assert hallmark("network", "show", "town.toml").out.strip() == Path("town.toml").read_text().strip()

    def test_new_never_replaces_a_file(self, hallmark: Hallmark) -> None:
        Path("town.toml").write_text("mine")
        assert hallmark("network", "new", "town", "--verifier", key_of("v").peer_id).code == Exit.CONFIG
        assert Path("town.toml").read_text() == "mine"
        ran = hallmark("network", "new", "town", "--verifier", key_of("v").peer_id, "--out", "folder/none.toml")
        assert (ran.code, "Traceback" in ran.err) == (Exit.STORAGE, False)

    def test_a_new_epoch_keeps_the_old_one_and_takes_the_file_s_place(self, hallmark: Hallmark, home: Path) -> None:
        first, second = key_of("v1").peer_id, key_of("v2").peer_id
        hallmark("network", "new", "town", "--verifier", first)
        (old,) = hallmark("network", "show", "./town.toml", "--json").lines
        hallmark("init", "--network", "town.toml")
        before = int(time.time() * 1000)
        flags = ["--verifier", first, "--verifier", second, "--in", 5, "--json"]
        (made,) = hallmark("network", "epoch", "./town.toml", *flags).lines
        assert (made["epoch"], made["past_epochs"], old["past_epochs"]) == (1, [0], [])
        assert 0 <= made["from_ms"] - before - 5 * 60_000 < 60_000
        assert [v["peer_id"] for v in made["verifiers"]] == [first, second]
        network = load_network(Path("town.toml"))
        assert network.at(before).verifiers == network.past[0].verifiers
        # a peer takes the newer file, and not the older one again
        stored = home / "networks" / "town.toml"
        keep_network(DataDir(home), network)
        assert load_network(stored) == network
        with pytest.raises(CommandError, match="epoch 1 is stored"):
            keep_network(DataDir(home), network.at(before))
        ran = hallmark("network", "epoch", "town", "--verifier", "nobody")
        assert (ran.code, "hallmark id" in ran.err) == (Exit.USAGE, True)

    def test_show_without_a_name_is_this_peer_s(self, hallmark: Hallmark, home: Path) -> None:
        hallmark("init")
        (shown,) = hallmark("network", "show", "--json").lines
        (file,) = (home / "networks").glob("*.toml")
        assert (shown["name"], shown["file"]) == (file.stem, str(file))
        assert hallmark("network", "show", file.stem).code == 0
        assert hallmark("network", "show", "other").code == Exit.CONFIG


class TestConfig:
    def test_each_setting_with_its_origin(
        self, hallmark: Hallmark, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        home.mkdir()
        (home / "config.toml").write_text("price = 0.07")
        monkeypatch.setenv("HALLMARK_THREADS", "2")
        (told,) = hallmark("config", "show", "--json").lines
        assert told["settings"]["price"] == {"value": 7 * 10**16, "origin": str(home / "config.toml")}
        assert told["settings"]["threads"] == {"value": 2, "origin": "environment"}
        assert told["settings"]["roles"] == {"value": ["hub"], "origin": "default"}
        ran = hallmark("config", "show")
        assert ran.code == 0
        assert all(name in ran.out for name in told["settings"])

    def test_a_wrong_setting_is_told_at_once(self, hallmark: Hallmark, home: Path) -> None:
        home.mkdir()
        (home / "config.toml").write_text("prise = 7")
        ran = hallmark("config", "show")
        assert (ran.code, "unknown setting 'prise'" in ran.err, "price" in ran.err) == (Exit.CONFIG, True, True)

    def test_a_wrong_log_level_is_told_at_once(self, hallmark: Hallmark, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HALLMARK_LOG", "loud")
        ran = hallmark("config", "show")
        assert (ran.code, "HALLMARK_LOG" in ran.err) == (Exit.CONFIG, True)


def test_a_data_directory_in_use_is_exit_code_4(hallmark: Hallmark, home: Path) -> None:
    hallmark("init")
    with open_store(home / "store"):
        ran = hallmark("model", "ls")
    assert (ran.code, "in use" in ran.err) == (Exit.BUSY, True)
    assert hallmark("model", "ls").code == 0


def test_a_peer_that_knows_nobody_is_exit_code_6(hallmark: Hallmark) -> None:
    hallmark("init")
    ran = hallmark("infer", "digits", "--input", "a=1")
    assert (ran.code, "--bootstrap" in ran.err) == (Exit.NO_PEERS, True)
    assert hallmark("peers", "--json").lines[-1]["error"] == "NO_PEERS"


def test_a_file_that_is_no_model_is_exit_code_9(hallmark: Hallmark) -> None:
    hallmark("init")
    Path("prose.onnx").write_text("It was a dark and stormy night.")
    ran = hallmark("model", "add", "prose.onnx", "--name", "prose", "--licence", "MIT", "--json")
    assert (ran.code, ran.lines[-1]["error"]) == (Exit.MODEL, "MODEL")
    (listed,) = hallmark("model", "ls", "--json").lines
    assert listed["models"] == []
    assert "No models yet" in hallmark("model", "ls").out


def test_no_peer_is_made_for_a_network_that_is_not_stored_here(hallmark: Hallmark, home: Path) -> None:
    refused = hallmark("serve", "--network", "nowhere")
    assert (refused.code, "no network named 'nowhere' is stored here" in refused.err) == (Exit.CONFIG, True)
    assert "hallmark network add" in refused.err
    assert not home.exists()


def test_doctor_finds_a_peer_well_and_says_what_is_missing_without_one(hallmark: Hallmark, home: Path) -> None:
    sick = hallmark("doctor")
    assert (sick.code, "Run: hallmark init" in sick.out) == (Exit.CONFIG, True)
    hallmark("init")
    well = hallmark("doctor", "--json")
    found = {line["name"]: line for line in well.lines}
    assert well.code == 0, well.out
    assert {"python", "backend", "sandbox", "key", "config", "network", "disk", "peers"} <= set(found)
    assert str(home) in found["disk"]["detail"]
    Path(home, "config.toml").write_text('backend = "tensorrt"')
    wanted = hallmark("doctor")
    assert (wanted.code, "set backend to auto" in wanted.out) == (Exit.CONFIG, True)


HALLMARK = [sys.executable, "-m", "node.cli"]


def test_the_command_itself_ends_with_these_codes(home: Path) -> None:
    def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*HALLMARK, *arguments], capture_output=True, text=True, check=False, timeout=60)

    missing = ran("id")
    assert (missing.returncode, "hallmark init" in missing.stderr, missing.stdout) == (Exit.CONFIG, True, "")
    assert ran("bake").returncode == Exit.USAGE
    made = ran("init", "--json")
    assert (made.returncode, made.stderr) == (0, "")
    assert home.exists()


def test_ctrl_c_is_exit_code_130_and_no_traceback(hallmark: Hallmark) -> None:
    hallmark("init")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it accepts, and never says a word
        address = f"/ip4/127.0.0.1/tcp/{silent.getsockname()[1]}/p2p/{key_of('someone').peer_id}"
        command = [*HALLMARK, "peers", "--bootstrap", address]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            assert "looking for a first peer" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)
        finally:
            process.kill()
            process.communicate()
    assert (process.returncode, err.split()) == (Exit.INTERRUPTED, ["Stopped."])


def test_a_bug_shows_itself(hallmark: Hallmark, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    hallmark("init")
    monkeypatch.setattr(trio, "run", broken)
    with pytest.raises(ZeroDivisionError):
        hallmark("model", "ls")
    assert cli.name == "cli"
