"""The release checklist is a page that runs."""

from pathlib import Path

import pytest
import yaml

from releasing.checklist import MARK, PAGE, read_steps, run_checklist

ROOT = PAGE.parent.parent


def test_the_steps_of_the_page_are_numbered_without_a_gap() -> None:
    steps = read_steps(PAGE.read_text())
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))


def test_every_marked_block_is_run_and_no_other() -> None:
    page = PAGE.read_text()
    scripts = [script for step in read_steps(page) for script in step.scripts]
    assert len(scripts) == page.count(MARK)
    said = "".join(scripts)
    assert "releasing build" in said
    # What leaves the machine, or changes the repository, is for people.
    for word in ("git push", "git commit", "git switch", "uv publish", "lockgate publish"):
        assert word in page
        assert word not in said


def test_a_step_that_fails_is_counted_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        f'1. **Works.**\n   {MARK}\n   ```\n   test -n "$DIST"\n   echo $VERSION\n   ```\n'
        f"2. **Breaks**: here.\n   {MARK}\n   ```\n   echo words; false\n   true\n   ```\n"
        "3. **By hand.**\n   ```\n   exit 1\n   ```\n"
    )
    assert run_checklist("1.2.3", page=page) == 1
    said = capsys.readouterr().out
    assert "ok  1. Works" in said
    assert "FAILED  2. Breaks" in said
    assert "words" in said
    assert "3. By hand" in said
    assert run_checklist("1.2.3", (1, 3), page=page) == 0


def test_the_workflow_runs_steps_of_the_page_and_only_a_tag_starts_it() -> None:
    flow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
    # YAML 1.1 reads the key `on` as true.
    assert flow[True] == {"push": {"tags": ["v[0-9]*"]}}
    typed = "\n".join(step.get("run", "") for job in flow["jobs"].values() for step in job["steps"])
    (picked,) = (line for line in typed.splitlines() if "release-check" in line)
    numbers = {int(word) for word in picked.partition('"')[2].strip('"').split()}
    assert numbers == {step.number for step in read_steps(PAGE.read_text()) if step.scripts} - {4}
    assert "notes --closed" in typed
    assert "${{" not in typed
