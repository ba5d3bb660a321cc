"""A module is imported when it is used, by whichever thread, and not because it was named."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = """
import sys, time
from heavy.parts import PART
time.sleep(0.1)
VALUE = 7
__version__ = "7.1"
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with a large module."""
    (tmp_path / "heavy").mkdir()
    (tmp_path / "heavy" / "__init__.py").write_text(HEAVY)
    (tmp_path / "heavy" / "parts.py").write_text("PART = 1\n")
    return tmp_path


def said_by(site: Path, code: str) -> str:
    begin = f"import sys; sys.path.insert(0, {str(site)!r})\n"
    begin += "from lockgate_release.deferring import defer_import\ndefer_import('heavy')\n"
    ran = subprocess.run(
        [sys.executable, "-c", begin + code], capture_output=True, text=True, check=True
    )
    return ran.stdout.strip()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import heavy; print('heavy.parts' in sys.modules)", "False"),
        (
            "import heavy, inspect; inspect.getmodule(compile('1', 'x', 'eval'))"
            "; print('heavy.parts' in sys.modules)",
            "False",
        ),
        ("import heavy; print(heavy.VALUE)", "7"),
        ("import heavy; print(heavy.__version__)", "7.1"),
        (
            "from importlib.util import find_spec"
            "; print(find_spec('heavy').name, 'heavy.parts' in sys.modules)",
            "heavy False",
        ),
        ("from heavy import VALUE; print(VALUE)", "7"),
        ("from heavy.parts import PART; print(PART)", "1"),
        ("import heavy.parts; print(heavy.parts.PART, heavy.VALUE)", "1 7"),
        ("import heavy; heavy.VALUE; print(sys.modules['heavy'].__file__ is not None)", "True"),
        ("import heavy; print(hasattr(heavy, 'nothing'))", "False"),
        ("defer_import('no_such_module'); print('no_such_module' in sys.modules)", "False"),
    ],
)
def test_a_module_is_there_for_whoever_uses_it_and_for_nobody_else(
    site: Path, code: str, said: str
) -> None:
    assert said_by(site, code) == said


def test_threads_that_use_it_at_the_same_time_all_find_it_whole(site: Path) -> None:
    code = (
        "import heavy\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    print({*pool.map(lambda _: heavy.VALUE, range(8))})\n"
    )
    assert said_by(site, code) == "{7}"
