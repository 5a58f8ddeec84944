"""How the BLAS is found, refused and named."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stepdown.local.blas import VARIABLE, load_blas

TELL = """
import dataclasses, json, sys
if "mlx-first" in sys.argv:
    import mlx.core
from stepdown.local.blas import load_blas
print(json.dumps(dataclasses.asdict(load_blas())))
import mlx.core as mx
assert mx.allclose(mx.ones((4, 8)) @ mx.ones((8, 2)), mx.full((4, 2), 8.0))
"""


def tell(*words: str, wish: str = "") -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {VARIABLE: wish}
    arguments = [sys.executable, "-c", TELL, *words]
    return subprocess.run(arguments, capture_output=True, text=True, check=False, env=environment, timeout=60)


def blas(*words: str, wish: str = "") -> dict[str, str | None]:
    child = tell(*words, wish=wish)
    assert child.returncode == 0, child.stderr
    return json.loads(child.stdout)


def test_the_blas_says_its_name_and_where_it_came_from() -> None:
    found = blas()

    assert found["name"] in {"openblas", "mkl", "accelerate", "bundled", "other"}
    assert found["config"]
    assert found["path"] is None or Path(found["path"]).is_absolute()


def test_nothing_is_loaded_when_nothing_is_wanted() -> None:
    assert blas(wish="none")["path"] is None


def test_a_library_can_be_named() -> None:
    found = blas()

    assert blas(wish=found["path"] or "none")["path"] == found["path"]


@pytest.mark.parametrize("wish", ["/nowhere/libopenblas.so", "libc.so.6"])
def test_a_named_library_that_is_no_blas_is_refused(wish: str) -> None:
    if sys.platform == "darwin":
        assert blas(wish=wish)["name"] == "accelerate"
        return
    child = tell(wish=wish)

    assert child.returncode != 0
    assert f"{VARIABLE}={wish} is not a loadable BLAS" in child.stderr


def test_it_says_so_when_mlx_came_first() -> None:
    found = blas("mlx-first")

    assert found["name"] == "accelerate" or "mlx was imported before" in str(found["config"])


@pytest.mark.parametrize("module", ["tensors", "model", "speak", "provider"])
def test_whichever_module_comes_first_the_blas_comes_before_mlx(module: str) -> None:
    code = f"import stepdown.local.{module}, sys; import mlx.core\n" + TELL
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert json.loads(child.stdout) == blas()


def test_this_process_multiplies_with_what_a_process_of_stepdowns_does() -> None:
    assert load_blas().name == blas()["name"]


def test_a_process_settles_it_once() -> None:
    assert load_blas() is load_blas()
