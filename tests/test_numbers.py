"""Numbers in what somebody else wrote: a digit of another script, or five thousand of them, is none."""

import ast
from pathlib import Path

import pytest

import scaffold
from scaffold.errors import ScaffoldError
from scaffold.numbers import whole
from scaffold.stack import desired
from scaffold.stack.desired import Port


@pytest.mark.parametrize("text", ["²", "٣", "9" * 5000, "", "-1", "+1", " 1", "1_0", "0x1", "1.0"])
def test_what_is_no_number_is_none(text: str) -> None:
    assert whole(text) is None
    assert Port(80, text).number == 0


def test_number_is_read() -> None:
    assert whole("0080") == 80
    assert whole("65536", 4) is None


@pytest.mark.parametrize("entry", ["²", "1-99999999999", "1-²"])
def test_exposed_port_that_is_no_number_is_one_error(entry: str) -> None:
    with pytest.raises(ScaffoldError, match="is not a port or a range"):
        desired.read({"name": "p", "services": {"app": {"image": "x", "expose": [entry]}}}, "/p")


def test_no_text_is_asked_for_its_digits() -> None:
    """`isdigit` before `int` lets through what `int` refuses: `scaffold.numbers` reads texts."""
    asked = {
        f"{path.relative_to(Path(scaffold.__file__).parent)}:{node.lineno}"
        for path in Path(scaffold.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("isdigit", "isnumeric", "isdecimal")
        and path.name not in ("numbers.py", "leaks.py", "dockerfile.py", "recovery.py")
    }
    assert not asked
