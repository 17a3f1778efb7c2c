"""What the kit assumes of Hypothesis, each on the real library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version

import pytest
from hypothesis.internal import constants_ast
from hypothesis.internal.conjecture import providers

from mockbroker_contract.isolation.draws import without_constants_of_modules
from mockbroker_contract.isolation.own_pytest import without_hypothesis_plugins

HYPOTHESIS = f"hypothesis {version('hypothesis')}"
RARE = 314_159_265_358_979
COUNTING = f"""
import contextlib, json, sys
import constants_of_user
from hypothesis import HealthCheck, given, settings, strategies as st
from mockbroker_contract.isolation.draws import without_constants_of_modules

def rare_draws(context):
    drawn = []
    @settings(max_examples=500, derandomize=True, database=None, deadline=None,
              suppress_health_check=list(HealthCheck))
    @given(st.integers(10**14, 10**15))
    def keep(number):
        drawn.append(number)
    with context:
        keep()
    return drawn.count({RARE})

order = [without_constants_of_modules, contextlib.nullcontext]
print(json.dumps([rare_draws(each()) for each in [*order, *order]]))
"""


def broken(assumption: str) -> str:
    return f"{HYPOTHESIS} no longer {assumption}; isolation/draws.py relies on it"


@pytest.mark.parametrize("name", ["_get_local_constants", "CONSTANTS_CACHE"])
def test_the_provider_has_the_names_that_are_replaced(name):
    assert hasattr(providers, name), broken(f"has providers.{name}")


def test_constants_may_be_empty():
    constants = constants_ast.Constants()
    for kind in ("integer", "float", "bytes", "string"):
        assert not constants.set_for_type(kind), broken("makes empty Constants()")


def test_the_names_are_restored():
    before = providers._get_local_constants, providers.CONSTANTS_CACHE
    with without_constants_of_modules():
        during = providers._get_local_constants, providers.CONSTANTS_CACHE
    assert all(new is not old for new, old in zip(during, before, strict=True))
    assert (providers._get_local_constants, providers.CONSTANTS_CACHE) == before


def test_only_without_the_patch_are_constants_of_modules_drawn(tmp_path):
    (tmp_path / "constants_of_user.py").write_text(f"RARE = {RARE}\n", encoding="utf-8")
    path = [str(tmp_path), *filter(None, sys.path)]
    program = f"import sys; sys.path[:] = {path!r}\n{COUNTING}"
    # A process of its own, because the constants that Hypothesis has seen stay in its process.
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, broken(f"draws with both names replaced:\n{done.stderr}")
    patched, unpatched, patched_later, unpatched_later = json.loads(done.stdout)
    assert unpatched, broken(
        "draws constants of modules without the patch, or caches them in providers.CONSTANTS_CACHE"
    )
    assert unpatched_later == unpatched, "the patch changes what the user's own tests draw"
    assert not patched, broken("takes constants of modules from providers._get_local_constants")
    assert not patched_later, broken("caches permitted constants in providers.CONSTANTS_CACHE")


def test_the_patch_does_not_fill_the_users_cache():
    before = dict(providers.CONSTANTS_CACHE.cache)
    with without_constants_of_modules():
        providers.CONSTANTS_CACHE["key"] = ((), ())
    assert dict(providers.CONSTANTS_CACHE.cache) == before


@pytest.mark.parametrize("context", ["without_hypothesis_plugins", "contextlib.nullcontext"])
def test_plugins_of_installed_packages_are_loaded_only_without_the_context(tmp_path, context):
    (tmp_path / "slow_strategies.py").touch()
    information = tmp_path / "slow_strategies-1.dist-info"
    information.mkdir()
    information.joinpath("METADATA").write_text("Name: slow-strategies\nVersion: 1\n")
    information.joinpath("entry_points.txt").write_text("[hypothesis]\nslow = slow_strategies\n")
    path = [str(tmp_path), *filter(None, sys.path)]
    program = f"""
import contextlib, sys
from mockbroker_contract.isolation.own_pytest import without_hypothesis_plugins
with {context}():
    import hypothesis
print("slow_strategies" in sys.modules)
"""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program],
        # tests/conftest.py sets the variable for the processes of other tests.
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "HYPOTHESIS_NO_PLUGINS": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.strip() == str(context == "contextlib.nullcontext")


@pytest.mark.parametrize("before", [None, "0"])
def test_the_variable_of_the_user_is_restored(monkeypatch, before):
    monkeypatch.delenv("HYPOTHESIS_NO_PLUGINS", raising=False)
    if before is not None:
        monkeypatch.setenv("HYPOTHESIS_NO_PLUGINS", before)
    with without_hypothesis_plugins():
        assert os.environ["HYPOTHESIS_NO_PLUGINS"]
    assert os.environ.get("HYPOTHESIS_NO_PLUGINS") == before
